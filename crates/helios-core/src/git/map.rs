//! The map: which git object is which Helios object, both ways.
//!
//! Immutable segments, each a file of rows in the order of git ids, with a permutation that gives
//! the order of Helios ids. Whoever has learned something writes a segment of its own, and merges
//! what has become many; a merge adds a file before it removes those that it is made of. So no lock
//! is needed: two that merge the same leave the same rows twice. Layout: docs/FORMAT.md.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use memmap2::Mmap;
use parking_lot::RwLock;

use super::oid::{Format, Oid};
use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};
use crate::object::Kind;
use crate::platform;

const MAGIC: [u8; 8] = *b"HELIOSGM";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 64;
const CHECKSUM_AT: usize = 32;
const META_LEN: usize = 6;
/// In a row's first byte, beside kind and role.
const MIXED: u8 = 1 << 6;
const SUFFIX: &str = ".map";
/// A size is stored in five bytes.
pub const SIZE_MAX: u64 = (1 << 40) - 1;
/// Two segments are merged when the larger one is not more than this many times the smaller.
const MERGE_RATIO: u64 = 4;

/// What a row says beside the kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Role {
    /// The Helios object is derived from the git object.
    Derived = 0,
    /// The git object was written from the Helios object, which cannot be derived from it.
    Written = 1,
    /// A node of a directory of several nodes, but for its root: derived from the same git tree.
    Inner = 2,
}

/// One row. `size` is a blob's bytes, or the files in and below a directory; 0 for the rest.
/// `is_mixed` says that the derived object leads to something that was written, at any distance:
/// all below any other derived object is derived too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Row {
    pub oid: Oid,
    pub role: Role,
    pub kind: Kind,
    pub is_mixed: bool,
    pub size: u64,
    pub id: Id,
}

struct Segment {
    path: PathBuf,
    bytes: Mmap,
    count: usize,
    format: Format,
}

impl Segment {
    fn open(path: &Path, format: Format) -> Result<Segment> {
        let fail = |error| Error::io(path, error);
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        if len < HEADER_LEN as u64 {
            return Err(malformed(path, "it is too short for a header"));
        }
        // SAFETY: a segment is written under another name, renamed when it is whole, and never
        // written or shortened afterwards, only unlinked; so what is mapped does not change. The
        // mapping is read as bytes, for which any value is valid.
        let bytes = unsafe { Mmap::map(&file) }.map_err(fail)?;
        if bytes[..8] != MAGIC {
            return Err(malformed(path, "it does not begin as a segment does"));
        }
        let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if version > VERSION {
            let (found, known) = (u64::from(version), u64::from(VERSION));
            return Err(Error::FormatTooNew(path.display().to_string(), found, known));
        }
        if usize::from(bytes[12]) != format.id_bytes() {
            return Err(malformed(path, "its git ids are of another length"));
        }
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[16..24]);
        let row_len = (format.id_bytes() + META_LEN + ID_LEN + 4) as u64;
        let wanted = u64::from_le_bytes(word).checked_mul(row_len);
        let wanted = wanted.and_then(|rows| rows.checked_add(HEADER_LEN as u64));
        if wanted != Some(bytes.len() as u64) {
            return Err(malformed(path, "its length is not that of its rows"));
        }
        let count = u64::from_le_bytes(word) as usize;
        Ok(Segment { path: path.to_path_buf(), bytes, count, format })
    }

    /// Whether the bytes are those that were written, and in order.
    fn check(&self) -> Result<()> {
        if checksum(&self.bytes) != self.bytes[CHECKSUM_AT..HEADER_LEN] {
            return Err(malformed(&self.path, "its checksum is another"));
        }
        let is_sorted = (1..self.count).all(|at| self.oid(at - 1) <= self.oid(at));
        let ids = (0..self.count).map(|at| self.by_id(at));
        match is_sorted && ids.clone().zip(ids.skip(1)).all(|(left, right)| left.1 <= right.1) {
            true => Ok(()),
            false => Err(malformed(&self.path, "it is not sorted")),
        }
    }

    fn oid(&self, at: usize) -> &[u8] {
        let len = self.format.id_bytes();
        &self.bytes[HEADER_LEN + at * len..HEADER_LEN + (at + 1) * len]
    }

    fn id(&self, at: usize) -> &[u8] {
        let from = HEADER_LEN + self.count * (self.format.id_bytes() + META_LEN) + at * ID_LEN;
        &self.bytes[from..from + ID_LEN]
    }

    /// The row at a place in the order of Helios ids, and its id.
    fn by_id(&self, at: usize) -> (usize, &[u8]) {
        let start = HEADER_LEN + self.count * (self.format.id_bytes() + META_LEN + ID_LEN);
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[start + at * 4..start + at * 4 + 4]);
        // A damaged number must not lead out of the file; the id there will not be the right one.
        let row = (u32::from_le_bytes(word) as usize).min(self.count.saturating_sub(1));
        (row, self.id(row))
    }

    fn row(&self, at: usize) -> Result<Row> {
        let from = HEADER_LEN + self.count * self.format.id_bytes() + at * META_LEN;
        let meta = &self.bytes[from..from + META_LEN];
        let role = match meta[0] >> 4 & 3 {
            0 => Role::Derived,
            1 => Role::Written,
            2 => Role::Inner,
            _ => return Err(malformed(&self.path, "a row has an unknown role")),
        };
        let kind = Kind::from_byte(meta[0] & 15)
            .map_err(|_| malformed(&self.path, "a row has an unknown kind"))?;
        let mut size = [0; 8];
        size[..5].copy_from_slice(&meta[1..]);
        Ok(Row {
            oid: Oid::from_slice(self.oid(at)),
            role,
            kind,
            is_mixed: meta[0] & MIXED != 0,
            size: u64::from_le_bytes(size),
            id: Id::from_slice(self.id(at))?,
        })
    }
}

/// The first of `count` sorted keys that is not less than `wanted`. Ids are spread evenly, so the
/// search begins where it would be, and ends after a few steps.
fn lower_bound<'k>(count: usize, wanted: &[u8], key: impl Fn(usize) -> &'k [u8]) -> usize {
    let mut prefix = [0; 8];
    let len = wanted.len().min(8);
    prefix[..len].copy_from_slice(&wanted[..len]);
    let share = (u128::from(u64::from_be_bytes(prefix)) * count as u128) >> 64;
    let guess = (share as usize).min(count);
    let (mut low, mut high) = (0, count);
    let mut step = 8;
    if guess < count && key(guess) < wanted {
        low = guess + 1;
        while low + step < high {
            match key(low + step) < wanted {
                true => low += step + 1,
                false => high = low + step,
            }
            step *= 2;
        }
    } else {
        high = guess;
        while high > step {
            match key(high - step) < wanted {
                true => {
                    low = high - step + 1;
                    break;
                }
                false => high -= step,
            }
            step *= 2;
        }
    }
    while low < high {
        let middle = low + (high - low) / 2;
        match key(middle) < wanted {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

fn malformed(path: &Path, reason: &str) -> Error {
    Error::CorruptStore(format!(
        "{}: {reason}; delete the directory it is in, and `git fetch` or `git import` again, or \
         restore it from a copy of the repository",
        path.display()
    ))
}

fn checksum(bytes: &[u8]) -> [u8; ID_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..CHECKSUM_AT]).update(&bytes[HEADER_LEN..]);
    *hasher.finalize().as_bytes()
}

/// All segments of one directory.
pub struct Map {
    directory: PathBuf,
    format: Format,
    segments: RwLock<Vec<Arc<Segment>>>,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Map {
    /// A directory that is not there is an empty map.
    pub fn open(directory: &Path, format: Format) -> Result<Map> {
        let segments = RwLock::default();
        let map = Map { directory: directory.to_path_buf(), format, segments };
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
        let paths = self.paths()?;
        let known = self.segments.read().clone();
        let mut segments = Vec::with_capacity(paths.len());
        for path in paths {
            let segment = match known.iter().find(|segment| segment.path == path) {
                Some(segment) => Arc::clone(segment),
                None => Arc::new(Segment::open(&path, self.format)?),
            };
            segments.push(segment);
        }
        // The largest first: it has most of what is asked for.
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.count));
        *self.segments.write() = segments;
        Ok(())
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&self.directory, error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| Error::io(&self.directory, error))?.path();
            if path.to_string_lossy().ends_with(SUFFIX) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Whether every segment is as it was written.
    pub fn check(&self) -> Result<()> {
        self.segments.read().iter().try_for_each(|segment| segment.check())
    }

    /// Rows in all segments; what is there twice counts twice.
    pub fn len(&self) -> usize {
        self.segments.read().iter().map(|segment| segment.count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Helios object of a git object: the one that is derived from it, or else the one that it
    /// was written from.
    pub fn find(&self, oid: &Oid) -> Result<Option<Row>> {
        self.find_preferring(oid, Role::Derived)
    }

    /// As `find`, but what has this role goes before what has another.
    pub fn find_preferring(&self, oid: &Oid, role: Role) -> Result<Option<Row>> {
        let wanted = oid.bytes(self.format);
        let mut found: Option<Row> = None;
        for segment in self.segments.read().iter() {
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
        Ok(found)
    }

    /// The git objects of a Helios object, from which it can be derived if `derivable`.
    pub fn origins(&self, id: &Id, derivable: bool) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        for segment in self.segments.read().iter() {
            let wanted = id.as_bytes().as_slice();
            let mut at = lower_bound(segment.count, wanted, |at| segment.by_id(at).1);
            while at < segment.count {
                let (place, there) = segment.by_id(at);
                if there != wanted {
                    break;
                }
                let row = segment.row(place)?;
                let fits = match derivable {
                    true => row.role != Role::Written,
                    false => row.role != Role::Inner,
                };
                if fits && !found.contains(&row) {
                    found.push(row);
                }
                at += 1;
            }
        }
        Ok(found)
    }

    /// Ids, ascending, of the derived objects of a kind that lie between two ids.
    pub fn ids_between(&self, low: &Id, high: &Id, kind: Kind) -> Result<Vec<Id>> {
        let mut found = Vec::new();
        for segment in self.segments.read().iter() {
            let low = low.as_bytes().as_slice();
            let mut at = lower_bound(segment.count, low, |at| segment.by_id(at).1);
            while at < segment.count {
                let (place, there) = segment.by_id(at);
                if there > high.as_bytes().as_slice() {
                    break;
                }
                let row = segment.row(place)?;
                if row.kind == kind && row.role != Role::Written {
                    found.push(row.id);
                }
                at += 1;
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// All rows from a place on, at most `limit`: the place is a segment and a row in it. Gives
    /// the place to go on with.
    pub fn page(&self, from: (usize, usize), limit: usize) -> Result<(Vec<Row>, (usize, usize))> {
        let segments = self.segments.read().clone();
        let (mut segment, mut at) = from;
        let mut rows = Vec::new();
        while segment < segments.len() && rows.len() < limit {
            if at >= segments[segment].count {
                (segment, at) = (segment + 1, 0);
                continue;
            }
            rows.push(segments[segment].row(at)?);
            at += 1;
        }
        Ok((rows, (segment, at)))
    }

    /// Adds rows, durably, and merges segments of about the same size.
    pub fn add(&self, rows: Vec<Row>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.refresh()?;
        let mut rows = rows;
        let mut merged = Vec::new();
        let mut smallest_first = self.segments.read().clone();
        smallest_first.reverse();
        for segment in smallest_first {
            if segment.count as u64 > MERGE_RATIO * rows.len() as u64 {
                break;
            }
            // What is damaged is not spread.
            segment.check()?;
            rows.reserve(segment.count);
            for at in 0..segment.count {
                rows.push(segment.row(at)?);
            }
            merged.push(segment);
        }
        rows.sort_unstable();
        rows.dedup();
        let path = self.write(&rows)?;
        for segment in merged {
            // Somebody else may have merged it too; and two that merge the same may write the same.
            if segment.path != path {
                match std::fs::remove_file(&segment.path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(Error::io(&segment.path, error));
                    }
                    _ => {}
                }
            }
        }
        self.refresh()
    }

    fn write(&self, rows: &[Row]) -> Result<PathBuf> {
        let count = u32::try_from(rows.len()).map_err(|_| {
            Error::Refused("a map of more than 4,294,967,295 objects cannot be written".to_owned())
        })?;
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by_key(|at| rows[*at as usize].id);
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12] = self.format.id_bytes() as u8;
        header[16..24].copy_from_slice(&(rows.len() as u64).to_le_bytes());
        let row_len = self.format.id_bytes() + META_LEN + ID_LEN + 4;
        let mut body = Vec::with_capacity(rows.len() * row_len);
        for row in rows {
            body.extend_from_slice(row.oid.bytes(self.format));
        }
        for row in rows {
            let mixed = if row.is_mixed { MIXED } else { 0 };
            body.push(row.kind as u8 | (row.role as u8) << 4 | mixed);
            body.extend_from_slice(&row.size.min(SIZE_MAX).to_le_bytes()[..5]);
        }
        for row in rows {
            body.extend_from_slice(row.id.as_bytes());
        }
        for at in &order {
            body.extend_from_slice(&at.to_le_bytes());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header[..CHECKSUM_AT]).update(&body);
        header[CHECKSUM_AT..].copy_from_slice(hasher.finalize().as_bytes());
        let fail = |error| Error::io(&self.directory, error);
        std::fs::create_dir_all(&self.directory).map_err(fail)?;
        let name = hasher.finalize().to_hex()[..16].to_owned();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!("{}-{serial}.tmp", std::process::id()));
        let written = write_file(&temporary, &header, &body);
        if let Err(error) = written {
            // What cannot be removed either is passed over by everybody.
            let _ = std::fs::remove_file(&temporary);
            return Err(Error::io(&temporary, error));
        }
        let path = self.directory.join(format!("{name}{SUFFIX}"));
        std::fs::rename(&temporary, &path).map_err(fail)?;
        platform::sync_directory(&self.directory).map_err(fail)?;
        Ok(path)
    }
}

fn write_file(path: &Path, header: &[u8], body: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = BufWriter::new(options.write(true).create(true).truncate(true).open(path)?);
    file.write_all(header)?;
    file.write_all(body)?;
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn row(number: u64) -> Row {
        let id = Id::of_blob(&number.to_le_bytes());
        let oid = Oid::from_slice(&Id::of_tree_node(&number.to_le_bytes()).as_bytes()[..20]);
        let is_mixed = number.is_multiple_of(3);
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
            let map = Map::open(directory.path(), Format::Sha1).unwrap();
            let mut model = BTreeMap::new();
            for batch in batches {
                model.extend(batch.iter().map(|number| (*number, row(*number))));
                map.add(batch.into_iter().map(row).collect()).unwrap();
            }
            map.check().unwrap();
            let again = Map::open(directory.path(), Format::Sha1).unwrap();
            for number in 0..500 {
                let wanted = model.get(&number).copied();
                let row = row(number);
                prop_assert_eq!(again.find(&row.oid).unwrap(), wanted);
                prop_assert_eq!(again.origins(&row.id, true).unwrap().pop(), wanted);
            }
            let all = again.page((0, 0), usize::MAX).unwrap().0;
            let distinct: std::collections::BTreeSet<Row> = all.into_iter().collect();
            prop_assert_eq!(distinct.len(), model.len());
        }

        #[test]
        fn a_damaged_segment_is_an_error_or_another_answer(at in 0usize..2000, bit in 0u8..8) {
            let directory = tempfile::tempdir().unwrap();
            let map = Map::open(directory.path(), Format::Sha1).unwrap();
            map.add((0..20).map(row).collect()).unwrap();
            let path = map.paths().unwrap().pop().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, bytes).unwrap();
            let Ok(map) = Map::open(directory.path(), Format::Sha1) else { return Ok(()) };
            prop_assert!(map.check().is_err());
            for number in 0..20 {
                let _ = (map.find(&row(number).oid), map.origins(&row(number).id, true));
            }
        }
    }

    #[test]
    fn what_is_derived_goes_before_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let map = Map::open(directory.path(), Format::Sha1).unwrap();
        let derived = row(1);
        let written = Row { role: Role::Written, id: Id::of_blob(b"native"), ..derived };
        map.add(vec![written]).unwrap();
        assert_eq!(map.find(&derived.oid).unwrap(), Some(written));
        map.add(vec![derived]).unwrap();
        assert_eq!(map.find(&derived.oid).unwrap(), Some(derived));
        assert!(map.origins(&written.id, true).unwrap().is_empty());
        assert_eq!(map.origins(&written.id, false).unwrap(), [written]);
        assert_eq!(map.origins(&derived.id, true).unwrap(), [derived]);
    }

    #[test]
    fn a_segment_cut_short_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let map = Map::open(directory.path(), Format::Sha256).unwrap();
        map.add(vec![row(1), row(2)]).unwrap();
        let path = map.paths().unwrap().pop().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for len in [0, 10, HEADER_LEN, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = Map::open(directory.path(), Format::Sha256).err().unwrap();
            assert!(error.to_string().contains(".map"), "{error}");
        }
    }
}
