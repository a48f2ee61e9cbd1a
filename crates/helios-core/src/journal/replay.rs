//! Reading the journal: from scratch when it is opened, and what others append afterwards.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::frame::{self, Item};
use super::ledger::{packed, place_of, PLACES};
use super::locations::{Location, Locations};
use super::segment::{self, Segment};
use super::{sync, Journal, Position};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::object::Kind;

/// A stretch of a segment that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub segment: u64,
    pub offset: u64,
    pub len: u64,
}

#[derive(Default)]
pub struct State {
    pub segments: BTreeMap<u64, Arc<Segment>>,
    /// The segment that is read and appended to next, and where.
    pub active: u64,
    pub tail: u64,
    /// Whether the active segment is sealed, and its successor not here yet.
    pub sealed: bool,
    /// The active segment's file length, if it is known to hold only zeros behind the tail.
    pub allocated: u64,
    pub locations: Locations,
    /// Values of refs: set by frames, or remembered from L2.
    pub refs: HashMap<Vec<u8>, Option<Id>>,
    pub damage: Vec<Damage>,
    /// What segments are read into.
    buffer: Vec<u8>,
    /// Whether this process has compared the ledger with the whole journal, and kept it since.
    pub believes_ledger: bool,
    /// Per place of the ledger, where this process has last changed a ref of it. Up to there the
    /// place held nothing unknown, or the frame could not have been written.
    pub own: OwnChanges,
    /// Counts reloads: each means that maintenance moved segments into L2 before they were read.
    pub generation: u64,
}

/// How much is read of a segment at once: at first, and when there is more. Little enough to stay
/// in the processor's cache, because fresh pages cost more than the reading.
const READ_BYTES_MIN: usize = 8 << 10;
const READ_BYTES_MAX: usize = 256 << 10;

enum Successor {
    Open,
    NotYet,
    Moved,
}

/// Zero for a place where nothing was changed.
pub struct OwnChanges(Box<[u64; PLACES]>);

impl Default for OwnChanges {
    fn default() -> OwnChanges {
        OwnChanges(Box::new([0; PLACES]))
    }
}

impl State {
    /// Up to where all changes are known of the refs that share a place.
    pub fn known_of(&self, place: usize) -> u64 {
        self.own.0[place].max(packed((self.active, self.tail)))
    }

    /// This process has changed a ref in a frame that ends there.
    pub fn note_own(&mut self, name: &[u8], end: Position) {
        self.own.0[place_of(name)] = packed(end);
    }

    /// Reads and appends to this segment next.
    pub fn begin(&mut self, segment: u64) {
        self.active = segment;
        self.tail = segment::HEADER_LEN;
        self.allocated = 0;
        self.sealed = false;
    }

    /// Whether something is written behind the tail; costs one read of a header.
    pub fn has_more(&self) -> Result<bool> {
        let Some(segment) = self.segments.get(&self.active).filter(|_| !self.sealed) else {
            return Ok(true);
        };
        let mut header = [0; frame::HEADER_LEN];
        let read = segment.read_at(&mut header, self.tail)?;
        Ok(read == header.len() && !is_blank(&header))
    }
}

impl Journal {
    /// Reads all segments from scratch.
    pub(super) fn reload(&self, state: &mut State) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        // Maintenance may delete a segment between the listing and the opening: list again.
        for _ in 0..100 {
            // Before anything is read: what is synced later may also be written later.
            let synced = sync::synced_position(directory);
            let numbers = list_segments(directory)?;
            let mut segments = BTreeMap::new();
            for number in &numbers {
                if let Some(segment) = Segment::open(directory, *number, self.writable)? {
                    segments.insert(*number, Arc::new(segment));
                }
            }
            if segments.len() != numbers.len() {
                continue;
            }
            let Some(first) = segments.keys().next().copied() else {
                let reason = "no segment found".to_owned();
                return Err(Error::CorruptJournal { segment: 0, offset: 0, reason });
            };
            if let Some(newborn) = segments.get(&1) {
                if newborn.byte_len()? < segment::HEADER_LEN {
                    let reason = "it was cut off within its header".to_owned();
                    return Err(Error::CorruptJournal { segment: 1, offset: 0, reason });
                }
            }
            let generation = state.generation + 1;
            *state = State { segments, generation, ..State::default() };
            state.begin(first);
            state.damage.extend(state.segments.values().filter_map(|each| header_damage(each)));
            if self.follow(state)? {
                return self.compare_with_synced(state, synced);
            }
        }
        let reason = "segments keep disappearing".to_owned();
        Err(Error::CorruptJournal { segment: 0, offset: 0, reason })
    }

    /// A tail that does not read is torn if nobody waited for it. But what was once on disk has
    /// been damaged since: it is reported, and never overwritten.
    fn compare_with_synced(&self, state: &mut State, (number, offset): Position) -> Result<()> {
        if number != state.active || offset <= state.tail {
            return Ok(());
        }
        let len = offset - state.tail;
        state.damage.push(Damage { segment: number, offset: state.tail, len });
        if let Some(segment) = state.segments.get(&number) {
            let mut rest = vec![0; len as usize];
            let read = segment.read_at(&mut rest, state.tail)?;
            if read == rest.len() && !is_blank(&rest) {
                state.tail = offset;
            }
        }
        Ok(())
    }

    /// Takes in all frames from the tail on, over segment boundaries. False if the next segment
    /// is gone, so that only a reload helps.
    pub(super) fn follow(&self, state: &mut State) -> Result<bool> {
        // Own frames among them are read again, so that a ref has older values in between.
        let believes_ledger = std::mem::take(&mut state.believes_ledger);
        let outcome = self.follow_to_end(state)?;
        state.believes_ledger = believes_ledger;
        Ok(outcome)
    }

    fn follow_to_end(&self, state: &mut State) -> Result<bool> {
        loop {
            if state.sealed {
                match self.open_successor(state)? {
                    Successor::Open => {}
                    Successor::NotYet => return Ok(true),
                    Successor::Moved => return Ok(false),
                }
            }
            let Some(segment) = state.segments.get(&state.active).cloned() else {
                return Ok(false);
            };
            state.sealed = self.read_segment(state, &segment)?;
            if state.sealed {
                continue;
            }
            // The end of what is written. But if a later segment is here already, the seal of this
            // one was damaged.
            let Some(next) = state.segments.range(state.active + 1..).next() else {
                return Ok(true);
            };
            let next = *next.0;
            let len = segment.byte_len()?.saturating_sub(state.tail);
            state.damage.push(Damage { segment: state.active, offset: state.tail, len });
            state.begin(next);
        }
    }

    /// Goes on to the segment behind the sealed one.
    fn open_successor(&self, state: &mut State) -> Result<Successor> {
        let next = state.active + 1;
        let known = state.segments.contains_key(&next);
        if let (false, Some(directory)) = (known, &self.directory) {
            let Some(segment) = Segment::open(directory, next, self.writable)? else {
                // A crash came between seal and creation, and the next writer creates it; or
                // maintenance has moved it already.
                let newest = list_segments(directory)?.into_iter().next_back();
                return match newest.is_none_or(|newest| newest <= state.active) {
                    true => Ok(Successor::NotYet),
                    false => Ok(Successor::Moved),
                };
            };
            state.damage.extend(header_damage(&segment));
            state.segments.insert(next, Arc::new(segment));
        }
        state.begin(next);
        forget_moved(state);
        // Somebody is filling it. What was there when the journal was opened may be small.
        if !known {
            state.locations.reserve(next);
        }
        Ok(Successor::Open)
    }

    /// Takes in the frames of one segment from the tail on; whether it is sealed.
    fn read_segment(&self, state: &mut State, segment: &Segment) -> Result<bool> {
        let mut bytes = std::mem::take(&mut state.buffer);
        let sealed = self.read_frames(state, segment, &mut bytes);
        bytes.truncate(READ_BYTES_MAX);
        bytes.shrink_to(READ_BYTES_MAX);
        state.buffer = bytes;
        sealed
    }

    fn read_frames(
        &self,
        state: &mut State,
        segment: &Segment,
        buffer: &mut Vec<u8>,
    ) -> Result<bool> {
        let mut window = READ_BYTES_MIN;
        let mut is_sure = false;
        loop {
            if buffer.len() < window {
                buffer.resize(window, 0);
            }
            let bytes = &mut buffer[..window];
            let read = segment.read_at(bytes, state.tail)?;
            let found = &bytes[..read];
            let mut at = 0;
            while let Some(frame) = intact_frame(&found[at..]) {
                let sealed = self.take_in(state, segment.number, state.tail, frame)?;
                at += frame.len();
                state.tail += frame.len() as u64;
                is_sure = false;
                if sealed {
                    return Ok(true);
                }
            }
            let rest = &found[at..];
            if read == window && at > 0 {
                window = window.max(READ_BYTES_MAX);
                continue;
            }
            if is_blank(rest) {
                return Ok(false);
            }
            if read == window {
                // Nothing whole is in the window: look at a whole frame, or all there is.
                let announced = rest.first_chunk().and_then(frame::payload_len).unwrap_or(0);
                let behind = segment.byte_len()?.saturating_sub(state.tail) as usize + 1;
                let wanted = (window * 2).max(frame::HEADER_LEN + announced);
                window = wanted.min(behind).max(window + 1);
                continue;
            }
            match next_intact(rest) {
                // A read takes one page after the other while others write: it may hold the half
                // of a frame, and the next one whole. Whoever wrote that one came after the half
                // was whole, so it is whole when it is read again.
                Some(_) if !is_sure => is_sure = true,
                Some(skip) => {
                    is_sure = false;
                    let len = skip as u64;
                    let damage = Damage { segment: segment.number, offset: state.tail, len };
                    state.damage.push(damage);
                    state.tail += len;
                }
                None => return Ok(false),
            }
        }
    }

    fn take_in(
        &self,
        state: &mut State,
        segment: u64,
        frame_offset: u64,
        frame: &[u8],
    ) -> Result<bool> {
        let mut sealed = false;
        for item in frame::items(frame) {
            let item = item.map_err(|error| Error::CorruptJournal {
                segment,
                offset: frame_offset,
                reason: error.to_string(),
            })?;
            match item {
                Item::Object { id, offset, record } => {
                    let kind = Kind::from_byte(record.first().copied().unwrap_or(0))?;
                    let offset = (frame_offset + offset as u64) as u32;
                    let location = Location { offset, len: record.len() as u32, kind };
                    state.locations.insert(segment, id, location);
                }
                Item::Operation { bytes } => {
                    frame::each_change(bytes, |name, new| match state.refs.get_mut(name) {
                        Some(value) => *value = new,
                        None => drop(state.refs.insert(name.to_vec(), new)),
                    })?;
                }
                // Only the successor may be named: anything else would lead the reader astray.
                Item::Seal { next: number } if number == segment + 1 => sealed = true,
                Item::Seal { next: number } => {
                    let reason = format!("its seal names segment {number}");
                    return Err(Error::CorruptJournal { segment, offset: frame_offset, reason });
                }
            }
        }
        Ok(sealed)
    }
}

fn header_damage(segment: &Segment) -> Option<Damage> {
    let damage = Damage { segment: segment.number, offset: 0, len: segment::HEADER_LEN };
    segment.is_header_damaged.then_some(damage)
}

/// Drops what is known of segments that maintenance has moved into L2 and deleted.
pub fn forget_moved(state: &mut State) {
    let State { segments, locations, active, .. } = state;
    segments.retain(|number, segment| number == active || segment.path().is_none_or(Path::exists));
    locations.retain(|number| segments.contains_key(&number));
}

fn list_segments(directory: &Path) -> Result<Vec<u64>> {
    let fail = |error| Error::io(directory, error);
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        numbers.extend(name.to_str().and_then(segment::number_of));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The frame at the start of `bytes`, if it is whole and its checksum holds.
pub fn intact_frame(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.first_chunk::<{ frame::HEADER_LEN }>()?;
    let frame = bytes.get(..frame::HEADER_LEN + frame::payload_len(header)?)?;
    frame::is_intact(frame).then_some(frame)
}

/// Where the next intact frame starts, behind at least one byte.
pub fn next_intact(bytes: &[u8]) -> Option<usize> {
    (1..bytes.len().saturating_sub(frame::HEADER_LEN))
        .filter(|at| bytes[*at..].starts_with(&frame::MAGIC))
        .find(|at| intact_frame(&bytes[*at..]).is_some())
}
