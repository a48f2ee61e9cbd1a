//! The map: which git object is which Helios object, both ways.
//!
//! Immutable segments, each a file. What an import or a large push has brought is one pack, and its
//! rows name objects by their places in it. All else names them by their ids: whoever has learned
//! something writes a segment of its own, and merges what has become many; a merge adds a file
//! before it removes those that it is made of. So no lock is needed: two that merge the same leave
//! the same rows twice. Layout: docs/FORMAT.md.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rayon::prelude::*;

use super::oid::{Format, Oid};
use super::pack_index::PackIndex;
use super::packed::{self, Packed};
use super::row::{Role, Row, RowId, PREFIX_LEN};
use super::segment::{self, Segment};
use super::sorted::lower_bound;
use crate::error::{Error, Result};
use crate::id::{Id, IdBuildHasher};
use crate::object::Kind;

/// Two segments are merged when the larger one is not more than this many times the smaller.
const MERGE_RATIO: u64 = 4;
/// A pack of fewer objects has its rows among the others.
const PACK_OBJECTS_MIN: usize = 256;
/// Where git stores more bytes of an object, a row is not worth shortening.
const SHORTENED_BYTES_MAX: u64 = 192;
/// So many ids are kept of rows that do not have them.
const LEARNED_MAX: usize = 1 << 20;

/// Git ids are as random as ids of Helios.
pub type OidSet = HashSet<Oid, IdBuildHasher>;
type OidMap<V> = HashMap<Oid, V, IdBuildHasher>;

/// What is open of the files of one directory.
#[derive(Clone, Default)]
struct Segments {
    /// About packs that git has.
    packed: Vec<Arc<Packed>>,
    /// The largest first: it has most of what is asked for.
    plain: Vec<Arc<Segment>>,
    /// About packs that git has no more.
    orphans: Vec<PathBuf>,
}

/// All segments of one directory.
pub struct Map {
    directory: PathBuf,
    packs: PathBuf,
    format: Format,
    segments: RwLock<Arc<Segments>>,
    /// Whole ids of rows that have no more than the beginning; `None` where none can be found.
    learned: RwLock<OidMap<Option<Id>>>,
}

impl Map {
    /// A directory that is not there is an empty map. `packs` is `objects/pack` of the view.
    pub fn open(directory: &Path, packs: &Path, format: Format) -> Result<Map> {
        let (directory, packs) = (directory.to_path_buf(), packs.to_path_buf());
        let (segments, learned) = (RwLock::default(), RwLock::default());
        let map = Map { directory, packs, format, segments, learned };
        map.refresh()?;
        Ok(map)
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Takes in what others have written.
    pub fn refresh(&self) -> Result<()> {
        loop {
            match self.load() {
                // A merge was faster.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                done => return done,
            }
        }
    }

    fn load(&self) -> Result<()> {
        let known = Arc::clone(&self.segments.read());
        let mut segments = Segments::default();
        for path in files(&self.directory)? {
            if has_suffix(&path, packed::SUFFIX) {
                let open = known.packed.iter().find(|segment| segment.path == path);
                let segment = match open {
                    Some(segment) => Some(Arc::clone(segment)),
                    None => Packed::open(&path, &self.packs, self.format)?.map(Arc::new),
                };
                match segment {
                    Some(segment) => segments.packed.push(segment),
                    None => segments.orphans.push(path),
                }
            } else if has_suffix(&path, segment::SUFFIX) {
                segments.plain.push(match known.plain.iter().find(|open| open.path == path) {
                    Some(segment) => Arc::clone(segment),
                    None => Arc::new(Segment::open(&path, self.format)?),
                });
            }
        }
        segments.packed.sort_by_key(|segment| std::cmp::Reverse(segment.count));
        segments.plain.sort_by_key(|segment| std::cmp::Reverse(segment.count));
        *self.segments.write() = Arc::new(segments);
        self.learned.write().retain(|_, id| id.is_some());
        Ok(())
    }

    fn open_segments(&self) -> Arc<Segments> {
        Arc::clone(&self.segments.read())
    }

    /// Whether every segment is as it was written.
    pub fn check(&self) -> Result<()> {
        let segments = self.open_segments();
        segments.packed.iter().try_for_each(|segment| segment.check())?;
        segments.plain.iter().try_for_each(|segment| segment.check())
    }

    /// Whether git has lost a pack that rows were about, as by `git repack`: what it held has to be
    /// taken in again.
    pub fn is_orphaned(&self) -> bool {
        !self.open_segments().orphans.is_empty()
    }

    /// Rows in all segments; what is there twice counts twice.
    pub fn len(&self) -> usize {
        let segments = self.open_segments();
        let packed: usize = segments.packed.iter().map(|segment| segment.count).sum();
        packed + segments.plain.iter().map(|segment| segment.count).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Helios object of a git object: the one that is derived from it, or else the one that it
    /// was written from.
    pub fn find(&self, oid: &Oid) -> Result<Option<Row>> {
        self.find_preferring(oid, Role::Derived)
    }

    /// As `find`, but what has this role goes before what has another. The row's id is whole if it
    /// is stored so, or was learned.
    pub fn find_preferring(&self, oid: &Oid, role: Role) -> Result<Option<Row>> {
        let wanted = oid.bytes(self.format);
        let segments = self.segments.read();
        let mut begins: Option<Row> = None;
        let mut found: Option<Row> = None;
        for segment in &segments.packed {
            match segment.find(oid)? {
                Some(row) if row.role != role => found = found.or(Some(row)),
                Some(row) if row.id.whole().is_some() => return Ok(Some(row)),
                Some(row) => begins = Some(row),
                None => {}
            }
        }
        for segment in &segments.plain {
            let mut at = lower_bound(segment.count, wanted, |at| segment.oid(at));
            while at < segment.count && segment.oid(at) == wanted {
                let row = segment.row(at)?;
                match row.role {
                    found if found == role => return Ok(Some(row)),
                    Role::Inner => {}
                    _ => found = found.or(Some(row)),
                }
                at += 1;
            }
        }
        let Some(mut row) = begins.or(found) else {
            return Ok(None);
        };
        if row.id.whole().is_none() {
            match self.learned.read().get(oid) {
                Some(Some(id)) => row.id = RowId::Whole(*id),
                Some(None) => return Ok(None),
                None => {}
            }
        }
        Ok(Some(row))
    }

    /// Notes which of what was derived from a git object its row is about, if that has no more than
    /// the beginning of the id.
    pub fn learn(&self, oid: &Oid, derived: impl Iterator<Item = Id>) -> Result<()> {
        let row = self.find(oid)?.filter(|row| row.id.whole().is_none());
        if let Some(id) = row.and_then(|row| derived.into_iter().find(|id| row.id.is_of(id))) {
            let mut learned = self.learned.write();
            if learned.len() >= LEARNED_MAX {
                learned.clear();
            }
            learned.insert(*oid, Some(id));
        }
        Ok(())
    }

    /// Notes that what could be read of a git object is not what its row is about, unless it was
    /// learned: the row then counts as none.
    pub fn give_up(&self, oid: &Oid) {
        self.learned.write().entry(*oid).or_insert(None);
    }

    /// The git objects of a Helios object, from which it can be derived if `derivable`.
    pub fn origins(&self, id: &Id, derivable: bool) -> Result<Vec<Row>> {
        let fits = |row: &Row| match derivable {
            true => row.role != Role::Written,
            false => row.role != Role::Inner,
        };
        let mut found: Vec<Row> = Vec::new();
        let mut note = |mut row: Row| {
            if row.id.is_of(id) && fits(&row) {
                row.id = RowId::Whole(*id);
                if !found.contains(&row) {
                    found.push(row);
                }
            }
        };
        self.between(id, id, &mut note)?;
        Ok(found)
    }

    /// Rows of derived objects of a kind whose ids lie between two ids, as far as the row has them.
    pub fn rows_between(&self, low: &Id, high: &Id, kind: Kind) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        self.between(low, high, &mut |row: Row| {
            if row.kind == kind && row.role != Role::Written {
                found.push(row);
            }
        })?;
        Ok(found)
    }

    fn between(&self, low: &Id, high: &Id, note: &mut impl FnMut(Row)) -> Result<()> {
        let segments = self.segments.read();
        let (low, high) = (low.as_bytes().as_slice(), high.as_bytes().as_slice());
        for segment in &segments.packed {
            let (low, high) = (&low[..PREFIX_LEN], &high[..PREFIX_LEN]);
            let mut at = lower_bound(segment.count, low, |at| segment.by_id(at).1);
            while at < segment.count {
                let (number, there) = segment.by_id(at);
                if there > high {
                    break;
                }
                segment.row(number)?.map(&mut *note);
                at += 1;
            }
        }
        for segment in &segments.plain {
            let mut at = lower_bound(segment.count, low, |at| segment.by_id(at).1);
            while at < segment.count {
                let (place, there) = segment.by_id(at);
                if there > high {
                    break;
                }
                note(segment.row(place)?);
                at += 1;
            }
        }
        Ok(())
    }

    /// All rows from a place on, at most `limit`: the place is a segment and a row in it. Gives
    /// the place to go on with.
    pub fn page(&self, from: (usize, usize), limit: usize) -> Result<(Vec<Row>, (usize, usize))> {
        let segments = self.open_segments();
        let (mut segment, mut at) = from;
        let mut rows = Vec::new();
        while rows.len() < limit {
            let behind = segment.checked_sub(segments.packed.len());
            let (row, count) = match (segments.packed.get(segment), behind) {
                (Some(packed), _) if at < packed.numbers() => (packed.row(at)?, packed.numbers()),
                (Some(packed), _) => (None, packed.numbers()),
                (None, behind) => match behind.and_then(|behind| segments.plain.get(behind)) {
                    Some(plain) if at < plain.count => (Some(plain.row(at)?), plain.count),
                    Some(plain) => (None, plain.count),
                    None => break,
                },
            };
            rows.extend(row);
            (segment, at) = if at < count { (segment, at + 1) } else { (segment + 1, 0) };
        }
        Ok((rows, (segment, at)))
    }

    /// Adds rows, durably: what is derived from a pack of its own beside that, the rest as `add`.
    /// Those of `short` may be stored with the beginning of their ids alone.
    pub fn add_derived(&self, rows: Vec<Row>, short: &OidSet) -> Result<()> {
        self.refresh()?;
        let orphans = self.open_segments().orphans.clone();
        let mut rest = rows;
        for (index, name) in self.unmapped(rest.len())? {
            let fits = |row: &Row| row.role != Role::Written && !row.is_mixed;
            let place = |row: &Row| if fits(row) { index.find(&row.oid) } else { None };
            let places: Vec<Option<usize>> = rest.par_iter().map(place).collect();
            let placed = places.iter().zip(&rest).filter_map(|(place, row)| Some(((*place)?, row)));
            let placed: Vec<(usize, &Row)> = placed.collect();
            if placed.len() < PACK_OBJECTS_MIN {
                continue;
            }
            let is_dense = index.disk_bytes()? / index.len() as u64 > SHORTENED_BYTES_MAX;
            let may_begin = |row: &Row| !is_dense && short.contains(&row.oid);
            let bytes = packed::encode(&index, &placed, self.format, may_begin)?;
            segment::put_file(&self.directory, &name, &bytes)?;
            let mut at = 0..;
            rest.retain(|_| at.next().is_some_and(|at| places[at].is_none()));
        }
        self.add(rest)?;
        // What they were about is known again.
        orphans.iter().try_for_each(|path| remove(path))?;
        self.refresh()
    }

    /// The packs that have no rows of their own and are worth it, and the names these would have.
    fn unmapped(&self, rows: usize) -> Result<Vec<(PackIndex, String)>> {
        let mut found = Vec::new();
        if rows < PACK_OBJECTS_MIN {
            return Ok(found);
        }
        let segments = self.open_segments();
        for path in files(&self.packs)? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = name + packed::SUFFIX;
            if !has_suffix(&path, ".idx")
                || segments.packed.iter().any(|segment| segment.path.ends_with(&name))
            {
                continue;
            }
            // Without an index that can be read here, such as one of version 1, rows are plain.
            match PackIndex::open(&path, self.format) {
                Ok(index) if index.len() >= PACK_OBJECTS_MIN => found.push((index, name)),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Adds rows, durably, and merges segments of about the same size.
    pub fn add(&self, rows: Vec<Row>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.refresh()?;
        let mut rows = rows;
        let mut merged = Vec::new();
        for segment in self.open_segments().plain.iter().rev() {
            if segment.count as u64 > MERGE_RATIO * rows.len() as u64 {
                break;
            }
            // What is damaged is not spread.
            segment.check()?;
            rows.reserve(segment.count);
            for at in 0..segment.count {
                rows.push(segment.row(at)?);
            }
            merged.push(Arc::clone(segment));
        }
        rows.sort_unstable();
        rows.dedup();
        let (name, bytes) = segment::encode(&rows, self.format)?;
        let path = segment::put_file(&self.directory, &name, &bytes)?;
        // Somebody else may have merged it too; and two that merge the same may write the same.
        let others = merged.iter().filter(|segment| segment.path != path);
        others.map(|segment| &segment.path).try_for_each(|path| remove(path))?;
        self.refresh()
    }
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.to_string_lossy().ends_with(suffix)
}

/// The files of a directory in the order of their names; none if it is not there.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| Error::io(directory, error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let paths: std::io::Result<Vec<PathBuf>> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(fail)?;
    paths.sort();
    Ok(paths)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn opened(directory: &tempfile::TempDir, format: Format) -> Result<Map> {
        Map::open(directory.path(), directory.path(), format)
    }

    fn row(number: u64) -> Row {
        let id = Id::of_blob(&number.to_le_bytes());
        let oid = Oid::from_slice(&Id::of_tree_node(&number.to_le_bytes()).as_bytes()[..20]);
        let is_mixed = number.is_multiple_of(3);
        let id = RowId::Whole(id);
        Row { oid, role: Role::Derived, kind: Kind::Blob, is_mixed, size: number, id }
    }

    proptest! {
        #[test]
        fn a_map_finds_both_ways_what_was_added(
            batches in proptest::collection::vec(
                proptest::collection::vec(0u64..500, 0..60), 0..12
            )
        ) {
            let directory = tempfile::tempdir().unwrap();
            let map = opened(&directory, Format::Sha1).unwrap();
            let mut model = BTreeMap::new();
            for batch in batches {
                model.extend(batch.iter().map(|number| (*number, row(*number))));
                map.add(batch.into_iter().map(row).collect()).unwrap();
            }
            map.check().unwrap();
            let again = opened(&directory, Format::Sha1).unwrap();
            for number in 0..500 {
                let wanted = model.get(&number).copied();
                let row = row(number);
                prop_assert_eq!(again.find(&row.oid).unwrap(), wanted);
                let id = row.id.whole().unwrap();
                prop_assert_eq!(again.origins(&id, true).unwrap().pop(), wanted);
            }
            let all = again.page((0, 0), usize::MAX).unwrap().0;
            let distinct: std::collections::BTreeSet<Row> = all.into_iter().collect();
            prop_assert_eq!(distinct.len(), model.len());
        }

        #[test]
        fn a_damaged_segment_is_an_error_or_another_answer(at in 0usize..2000, bit in 0u8..8) {
            let directory = tempfile::tempdir().unwrap();
            let map = opened(&directory, Format::Sha1).unwrap();
            map.add((0..20).map(row).collect()).unwrap();
            let path = files(directory.path()).unwrap().pop().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, bytes).unwrap();
            let Ok(map) = opened(&directory, Format::Sha1) else { return Ok(()) };
            prop_assert!(map.check().is_err());
            for number in 0..20 {
                let Row { oid, id, .. } = row(number);
                let _ = (map.find(&oid), map.origins(&id.whole().unwrap(), true));
            }
        }
    }

    #[test]
    fn what_is_derived_goes_before_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let map = opened(&directory, Format::Sha1).unwrap();
        let derived = row(1);
        let written =
            Row { role: Role::Written, id: RowId::Whole(Id::of_blob(b"native")), ..derived };
        map.add(vec![written]).unwrap();
        assert_eq!(map.find(&derived.oid).unwrap(), Some(written));
        map.add(vec![derived]).unwrap();
        assert_eq!(map.find(&derived.oid).unwrap(), Some(derived));
        assert!(map.origins(&written.id.whole().unwrap(), true).unwrap().is_empty());
        assert_eq!(map.origins(&written.id.whole().unwrap(), false).unwrap(), [written]);
        assert_eq!(map.origins(&derived.id.whole().unwrap(), true).unwrap(), [derived]);
    }

    #[test]
    fn a_segment_cut_short_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let map = opened(&directory, Format::Sha256).unwrap();
        map.add(vec![row(1), row(2)]).unwrap();
        let path = files(directory.path()).unwrap().pop().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for len in [0, 10, segment::HEADER_LEN, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = opened(&directory, Format::Sha256).err().unwrap();
            assert!(error.to_string().contains(".map"), "{error}");
        }
    }
}
