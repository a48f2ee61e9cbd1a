//! Where the journal holds which object: one map per segment.
//!
//! One per segment, because a map of everything would stop a commit for milliseconds when it grows,
//! and again when maintenance has moved a segment away. The oldest segment is asked first, for the
//! first record of an object is the one that counts: later ones may be spliced from what rests on
//! it. The others are kept in mind for when that one cannot be read.

use std::collections::hash_map::Entry;
use std::collections::BTreeMap;

use crate::id::{Id, IdMap};
use crate::object::Kind;

/// A map with room for more is not kept for another segment: one of small commits, of four objects
/// each, holds half of this.
const SPARE_OBJECTS_MAX: usize = 28_000;

/// Where a record is in its segment. Segments are sealed long before offsets outgrow 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    pub offset: u32,
    pub len: u32,
    pub kind: Kind,
}

#[derive(Default)]
pub struct Locations {
    by_segment: BTreeMap<u64, IdMap<Location>>,
    /// Further records of an object in a segment that had one already: few, or none.
    further: IdMap<Vec<(u64, Location)>>,
    /// A map of a segment that is gone, empty: its pages are used again.
    spare: Option<IdMap<Location>>,
}

impl Locations {
    /// The segment that holds an object's first record, and where.
    pub fn get(&self, id: &Id) -> Option<(u64, Location)> {
        let mut segments = self.by_segment.iter();
        segments.find_map(|(number, map)| map.get(id).map(|location| (*number, *location)))
    }

    /// All records of an object.
    pub fn all(&self, id: &Id) -> Vec<(u64, Location)> {
        let first =
            self.by_segment.iter().filter_map(|(number, map)| Some((*number, *map.get(id)?)));
        first.chain(self.further.get(id).into_iter().flatten().copied()).collect()
    }

    pub fn contains(&self, id: &Id) -> bool {
        self.by_segment.values().any(|map| map.contains_key(id))
    }

    /// Takes in a record; one that is known already, because this process has written it and reads
    /// it again among those of others, stays as it is.
    pub fn insert(&mut self, segment: u64, id: Id, location: Location) {
        let first = match self.by_segment.entry(segment).or_default().entry(id) {
            Entry::Vacant(place) => place.insert(location).offset,
            Entry::Occupied(place) => place.get().offset,
        };
        let is_known =
            |(number, at): &(u64, Location)| (*number, at.offset) == (segment, location.offset);
        if first != location.offset {
            let further = self.further.entry(id).or_default();
            if !further.iter().any(is_known) {
                further.push((segment, location));
            }
        }
    }

    /// Makes room for a segment that is about to be filled, all at once: for as many objects as
    /// this process knows of the one before, which is full. One of many writers knows mostly its
    /// own, and room for all would be pages that are zeroed for nothing; measured with eight, a
    /// tenth of all their time at first.
    pub fn reserve(&mut self, segment: u64) {
        let expected = self.by_segment.get_mut(&(segment - 1)).map_or(0, |full| {
            if full.len() < full.capacity() / 4 {
                full.shrink_to_fit();
            }
            full.len()
        });
        let spare = &mut self.spare;
        let map =
            self.by_segment.entry(segment).or_insert_with(|| spare.take().unwrap_or_default());
        map.reserve(expected);
    }

    /// Forgets all segments but those that `keep` names.
    pub fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        let spare = &mut self.spare;
        self.by_segment.retain(|number, map| {
            let kept = keep(*number);
            if !kept && spare.is_none() && map.capacity() <= SPARE_OBJECTS_MAX {
                map.clear();
                *spare = Some(std::mem::take(map));
            }
            kept
        });
        self.further.retain(|_, found| {
            found.retain(|(number, _)| keep(*number));
            !found.is_empty()
        });
    }

    /// Records in all segments; an object that has several counts for each.
    pub fn len(&self) -> usize {
        self.by_segment.values().map(|map| map.len()).sum()
    }

    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Id> {
        let all = self.by_segment.values().flatten();
        all.filter(move |(_, location)| location.kind == kind).map(|(id, _)| id)
    }
}
