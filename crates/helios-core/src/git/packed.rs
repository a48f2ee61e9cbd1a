//! A segment of the map about one of git's packs: it names git objects by their places in the
//! pack's index, so it is short, and of use only as long as git has that pack. Layout:
//! docs/FORMAT.md.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::oid::{Format, Oid};
use super::pack_index::PackIndex;
use super::row::{Role, Row, RowId, PREFIX_LEN};
use super::segment::{checksum, malformed};
use crate::error::{Error, Result};
use crate::id::ID_LEN;
use crate::object::{put_varint, Kind};

const MAGIC: [u8; 8] = *b"HELIOSGP";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 128;
const CHECKSUM_AT: usize = 32;
const CHECKSUM_END: usize = 64;
pub const SUFFIX: &str = ".rows";
/// Objects whose kinds, sizes and ids are found by one entry of the table.
const BLOCK: usize = 32;
const BLOCK_LEN: usize = 8;
/// Ids are stored in steps of so many bytes.
const STEP: usize = 4;
/// A number of a row is read with the seven bytes behind it.
const PADDING: usize = 8;

pub struct Packed {
    pub path: PathBuf,
    bytes: Mmap,
    index: PackIndex,
    /// Rows, those of directories' further nodes included.
    pub count: usize,
    inner: usize,
    width: usize,
    meta_at: usize,
    ids_at: usize,
    inner_at: usize,
    order_at: usize,
}

/// What is stored of an object of the pack.
struct Stored<'s> {
    class: u8,
    size: u64,
    id: &'s [u8],
}

fn kind_of(class: u8) -> Option<Kind> {
    match class {
        1 | 2 => Some(Kind::Blob),
        3 | 4 => Some(Kind::Tree),
        5 | 6 => Some(Kind::Snapshot),
        _ => None,
    }
}

/// Bytes of an id: odd classes have it whole. Class 0 is of what the map does not have.
fn id_len(class: u8) -> usize {
    match class {
        0 | 7.. => 0,
        class if class % 2 == 1 => ID_LEN,
        _ => PREFIX_LEN,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Bits of the numbers of so many rows.
fn width_of(numbers: usize) -> usize {
    (usize::BITS - numbers.leading_zeros()) as usize
}

impl Packed {
    /// Of a pack whose index is beside the others in `packs`; `None` if git does not have that
    /// pack any more.
    pub fn open(path: &Path, packs: &Path, format: Format) -> Result<Option<Packed>> {
        let name = path.file_stem().unwrap_or_default();
        let index = match PackIndex::open(&packs.join(name).with_extension("idx"), format) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            opened => opened?,
        };
        let fail = |error| Error::io(path, error);
        let file = File::open(path).map_err(fail)?;
        if file.metadata().map_err(fail)?.len() < HEADER_LEN as u64 {
            return Err(malformed(path, "it is too short for a header"));
        }
        // SAFETY: a segment is written under another name, renamed when it is whole, and never
        // written or shortened afterwards, only unlinked; so what is mapped does not change. The
        // mapping is read as bytes, for which any value is valid.
        let bytes = unsafe { Mmap::map(&file) }.map_err(fail)?;
        if bytes[..8] != MAGIC {
            return Err(malformed(path, "it does not begin as the rows of a pack do"));
        }
        let version = word(&bytes, 8).unwrap_or(0);
        if version > VERSION {
            let (found, known) = (u64::from(version), u64::from(VERSION));
            return Err(Error::FormatTooNew(path.display().to_string(), found, known));
        }
        if usize::from(bytes[12]) != format.id_bytes() {
            return Err(malformed(path, "its git ids are of another length"));
        }
        if bytes[64..96] != index.pack_checksum() {
            return Ok(None);
        }
        let number = |at| long(&bytes, at).and_then(|number| usize::try_from(number).ok());
        let layout = || -> Option<[usize; 7]> {
            let inner = word(&bytes, 20)? as usize;
            let (count, meta_len, ids_len) = (number(24)?, number(96)?, number(104)?);
            let width = usize::from(bytes[13]);
            let is_whole = word(&bytes, 16)? as usize == index.len()
                && width == width_of(index.len() + inner)
                && count <= index.len() + inner;
            let meta_at = HEADER_LEN + index.len().div_ceil(BLOCK) * BLOCK_LEN;
            let ids_at = meta_at.checked_add(meta_len)?;
            let inner_at = ids_at.checked_add(ids_len)?;
            let order_at = inner_at.checked_add(inner.checked_mul(4 + PREFIX_LEN)?)?;
            let order_len = count.checked_mul(width)?.div_ceil(8) + PADDING;
            let end = order_at.checked_add(order_len)?;
            (is_whole && end == bytes.len())
                .then_some([count, inner, width, meta_at, ids_at, inner_at, order_at])
        };
        let Some([count, inner, width, meta_at, ids_at, inner_at, order_at]) = layout() else {
            return Err(malformed(path, "its length is not that of its rows"));
        };
        let path = path.to_path_buf();
        let (inner_at, order_at) = (inner_at, order_at);
        let packed =
            Packed { path, bytes, index, count, inner, width, meta_at, ids_at, inner_at, order_at };
        Ok(Some(packed))
    }

    /// Whether the bytes are those that were written, and in order.
    pub fn check(&self) -> Result<()> {
        let (before, behind) = (&self.bytes[..CHECKSUM_AT], &self.bytes[CHECKSUM_END..]);
        if checksum(before, behind) != self.bytes[CHECKSUM_AT..CHECKSUM_END] {
            return Err(malformed(&self.path, "its checksum is another"));
        }
        let is_sorted = (1..self.count).all(|at| self.by_id(at - 1).1 <= self.by_id(at).1);
        match is_sorted {
            true => Ok(()),
            false => Err(malformed(&self.path, "it is not sorted")),
        }
    }

    /// Objects of the pack, and behind them the further nodes of directories: rows are numbered
    /// through both, and objects without a row have a number too.
    pub fn numbers(&self) -> usize {
        self.index.len() + self.inner
    }

    fn stored(&self, at: usize) -> Option<Stored<'_>> {
        let block = HEADER_LEN + at / BLOCK * BLOCK_LEN;
        let meta = self.bytes.get(self.meta_at..self.ids_at)?;
        let ids = self.bytes.get(self.ids_at..self.inner_at)?;
        let mut rest = meta.get(word(&self.bytes, block)? as usize..)?;
        let mut id_at = word(&self.bytes, block + 4)? as usize * STEP;
        for _ in 0..at % BLOCK {
            let (value, used) = varint(rest)?;
            rest = &rest[used..];
            id_at += id_len((value & 7) as u8);
        }
        let (value, _) = varint(rest)?;
        let class = (value & 7) as u8;
        Some(Stored { class, size: value >> 3, id: ids.get(id_at..id_at + id_len(class))? })
    }

    /// The first bytes of the Helios id of a row; none if it is damaged.
    fn prefix(&self, number: usize) -> &[u8] {
        let found = match number.checked_sub(self.index.len()) {
            None => self.stored(number).and_then(|stored| stored.id.get(..PREFIX_LEN)),
            Some(at) => {
                let from = self.inner_at + self.inner * 4 + at * PREFIX_LEN;
                self.bytes.get(from..from + PREFIX_LEN)
            }
        };
        found.unwrap_or_default()
    }

    /// The row at a place in the order of Helios ids, and how its id begins.
    pub fn by_id(&self, at: usize) -> (usize, &[u8]) {
        let bit = at * self.width;
        let bits = long(&self.bytes, self.order_at + bit / 8).unwrap_or(0) >> (bit % 8);
        let number = (bits & ((1 << self.width) - 1)) as usize;
        (number, self.prefix(number))
    }

    /// The row of this number; `None` if the map does not have that object.
    pub fn row(&self, number: usize) -> Result<Option<Row>> {
        let damaged = || malformed(&self.path, "a row is damaged");
        if let Some(at) = number.checked_sub(self.index.len()) {
            let place = word(&self.bytes, self.inner_at + at * 4).ok_or_else(damaged)? as usize;
            if place >= self.index.len() {
                return Err(damaged());
            }
            let id = RowId::from_slice(self.prefix(number)).ok_or_else(damaged)?;
            let (oid, kind) = (self.index.oid(place), Kind::Tree);
            return Ok(Some(Row { oid, role: Role::Inner, kind, is_mixed: false, size: 0, id }));
        }
        let stored = self.stored(number).ok_or_else(damaged)?;
        if stored.class == 0 {
            return Ok(None);
        }
        let kind = kind_of(stored.class).ok_or_else(damaged)?;
        let id = RowId::from_slice(stored.id).ok_or_else(damaged)?;
        let (oid, role, size) = (self.index.oid(number), Role::Derived, stored.size);
        Ok(Some(Row { oid, role, kind, is_mixed: false, size, id }))
    }

    /// The row of what is derived from a git object.
    pub fn find(&self, oid: &Oid) -> Result<Option<Row>> {
        self.index.find(oid).map_or(Ok(None), |at| self.row(at))
    }
}

/// The bytes of the rows of a pack, each with its place, which are derived and not mixed. Of those
/// that `may_begin` says so of, no more than the beginning of the Helios id is kept.
pub fn encode(
    index: &PackIndex,
    rows: &[(usize, &Row)],
    format: Format,
    may_begin: impl Fn(&Row) -> bool,
) -> Result<Vec<u8>> {
    let mut placed: Vec<Option<&Row>> = vec![None; index.len()];
    let mut inner = Vec::new();
    for (place, row) in rows {
        match row.role {
            Role::Inner => inner.push((*place, *row)),
            _ => placed[*place] = Some(row),
        }
    }
    inner.sort_unstable();
    let mut order: Vec<(&[u8], u64)> = Vec::with_capacity(rows.len());
    let (mut blocks, mut meta, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (at, row) in placed.iter().enumerate() {
        if at % BLOCK == 0 {
            let places = u32::try_from(meta.len()).ok().zip(u32::try_from(ids.len() / STEP).ok());
            let (meta_at, id_at) = places.ok_or_else(|| {
                Error::Refused("a pack of so many objects cannot be mapped".to_owned())
            })?;
            blocks.extend_from_slice(&meta_at.to_le_bytes());
            blocks.extend_from_slice(&id_at.to_le_bytes());
        }
        let Some(row) = row else {
            meta.push(0);
            continue;
        };
        let whole = 2 * (row.kind as u8) - 1;
        let begins = may_begin(row) || row.id.whole().is_none();
        let class = if begins { whole + 1 } else { whole };
        put_varint(&mut meta, row.size << 3 | u64::from(class));
        ids.extend_from_slice(&row.id.as_bytes()[..id_len(class)]);
        order.push((&row.id.as_bytes()[..PREFIX_LEN], at as u64));
    }
    let first = index.len();
    let numbered = inner.iter().enumerate();
    order.extend(
        numbered.map(|(at, (_, row))| (&row.id.as_bytes()[..PREFIX_LEN], (first + at) as u64)),
    );
    order.par_sort_unstable();
    let width = width_of(first + inner.len());
    if width > 32 {
        return Err(Error::Refused("a pack of so many objects cannot be mapped".to_owned()));
    }
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[format.id_bytes() as u8, width as u8, 0, 0]);
    bytes.extend_from_slice(&(first as u32).to_le_bytes());
    bytes.extend_from_slice(&(inner.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(order.len() as u64).to_le_bytes());
    bytes.resize(CHECKSUM_END, 0);
    bytes.extend_from_slice(&index.pack_checksum());
    bytes.extend_from_slice(&(meta.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(ids.len() as u64).to_le_bytes());
    bytes.resize(HEADER_LEN, 0);
    bytes.extend_from_slice(&blocks);
    bytes.extend_from_slice(&meta);
    bytes.extend_from_slice(&ids);
    for (place, _) in &inner {
        bytes.extend_from_slice(&(*place as u32).to_le_bytes());
    }
    for (_, row) in &inner {
        bytes.extend_from_slice(&row.id.as_bytes()[..PREFIX_LEN]);
    }
    put_numbers(&mut bytes, order.iter().map(|(_, number)| *number), width);
    let sum = checksum(&bytes[..CHECKSUM_AT], &bytes[CHECKSUM_END..]);
    bytes[CHECKSUM_AT..CHECKSUM_END].copy_from_slice(&sum);
    Ok(bytes)
}

/// Numbers of so many bits one behind the other, the lowest bit first.
fn put_numbers(out: &mut Vec<u8>, numbers: impl Iterator<Item = u64>, width: usize) {
    let (mut pending, mut bits) = (0u64, 0);
    for number in numbers {
        pending |= number << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
    out.extend_from_slice(&[0; PADDING]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::map::{Map, OidSet};
    use crate::git::pack::{GitKind, PackWriter};
    use crate::id::Id;
    use std::sync::Arc;

    const OBJECTS: u32 = 400;

    /// A pack of many blobs, and the rows of most of them: every third may be shortened, every
    /// seventh is unknown to the map, and every fifth has a further node.
    fn mapped(directory: &Path, format: Format) -> (Vec<Row>, OidSet) {
        let mut pack = PackWriter::new(directory, format).unwrap();
        let (mut rows, mut short) = (Vec::new(), OidSet::default());
        for number in 0..OBJECTS {
            let bytes: Arc<[u8]> = Arc::from(number.to_le_bytes().as_slice());
            let oid = pack.add(GitKind::Blob, bytes, None).unwrap().oid;
            if number % 7 == 0 {
                continue;
            }
            let id = RowId::Whole(Id::of_blob(&number.to_le_bytes()));
            let (size, is_mixed) = (u64::from(number) << (number % 30), false);
            let (role, kind) = (Role::Derived, Kind::Blob);
            rows.push(Row { oid, role, kind, is_mixed, size, id });
            if number % 5 == 0 {
                let id = RowId::Whole(Id::of_tree_node(&number.to_le_bytes()));
                let (role, kind) = (Role::Inner, Kind::Tree);
                rows.push(Row { oid, role, kind, is_mixed, size: 0, id });
            }
            if number % 3 == 0 {
                short.insert(oid);
            }
        }
        pack.finish().unwrap();
        (rows, short)
    }

    fn file(directory: &Path, suffix: &str) -> PathBuf {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.to_string_lossy().ends_with(suffix)).unwrap()
    }

    #[test]
    fn the_rows_of_a_pack_are_found_both_ways() {
        for format in [Format::Sha1, Format::Sha256] {
            let directory = tempfile::tempdir().unwrap();
            let (rows, short) = mapped(directory.path(), format);
            let map = Map::open(directory.path(), directory.path(), format).unwrap();
            map.add_derived(rows.clone(), &short).unwrap();
            map.check().unwrap();
            assert_eq!(map.len(), rows.len());
            assert!(std::fs::metadata(file(directory.path(), SUFFIX)).unwrap().len() > 0);
            for row in &rows {
                let id = row.id.whole().unwrap();
                assert_eq!(map.origins(&id, true).unwrap(), [*row]);
                if row.role == Role::Inner {
                    continue;
                }
                let found = map.find(&row.oid).unwrap().unwrap();
                assert!(found.id.is_of(&id));
                assert_eq!(Row { id: row.id, ..found }, *row);
                assert_eq!(found.id.whole().is_none(), short.contains(&row.oid));
                map.learn(&row.oid, [Id::of_blob(b"another"), id].into_iter()).unwrap();
                assert_eq!(map.find(&row.oid).unwrap(), Some(*row));
            }
            let (mut all, end) = map.page((0, 0), usize::MAX).unwrap();
            assert!(map.page(end, 10).unwrap().0.is_empty());
            all.sort_unstable_by_key(|row| (row.oid, row.role));
            let mut wanted = rows.clone();
            wanted.sort_unstable_by_key(|row| (row.oid, row.role));
            assert!(all.iter().zip(&wanted).all(|(row, wanted)| row.oid == wanted.oid));
            assert_eq!(map.find(&Oid::from_slice(&[7; 32])).unwrap(), None);
            // Another process finds the same, and what it cannot derive counts as unknown.
            let map = Map::open(directory.path(), directory.path(), format).unwrap();
            let lost = rows.iter().find(|row| short.contains(&row.oid)).unwrap();
            map.give_up(&lost.oid);
            assert_eq!(map.find(&lost.oid).unwrap(), None);
        }
    }

    #[test]
    fn a_pack_that_git_has_lost_leaves_orphans() {
        let directory = tempfile::tempdir().unwrap();
        let (rows, short) = mapped(directory.path(), Format::Sha1);
        let map = Map::open(directory.path(), directory.path(), Format::Sha1).unwrap();
        map.add_derived(rows.clone(), &short).unwrap();
        assert!(!map.is_orphaned());
        std::fs::remove_file(file(directory.path(), ".idx")).unwrap();
        let map = Map::open(directory.path(), directory.path(), Format::Sha1).unwrap();
        assert!(map.is_orphaned());
        assert_eq!(map.find(&rows[0].oid).unwrap(), None);
        map.add_derived(rows.clone(), &short).unwrap();
        assert!(!map.is_orphaned());
        assert_eq!(map.find(&rows[0].oid).unwrap(), Some(rows[0]));
    }

    #[test]
    fn beside_an_index_that_cannot_be_read_rows_have_their_git_ids() {
        let directory = tempfile::tempdir().unwrap();
        let (rows, short) = mapped(directory.path(), Format::Sha1);
        let index = file(directory.path(), ".idx");
        std::fs::remove_file(&index).unwrap();
        std::fs::write(&index, b"of version 1").unwrap();
        let map = Map::open(directory.path(), directory.path(), Format::Sha1).unwrap();
        map.add_derived(rows.clone(), &short).unwrap();
        assert_eq!(map.find(&rows[0].oid).unwrap(), Some(rows[0]));
        assert!(file(directory.path(), ".map").exists());
    }

    #[test]
    fn damaged_rows_are_an_error_or_another_answer() {
        let directory = tempfile::tempdir().unwrap();
        let (rows, short) = mapped(directory.path(), Format::Sha1);
        let map = Map::open(directory.path(), directory.path(), Format::Sha1).unwrap();
        map.add_derived(rows.clone(), &short).unwrap();
        let path = file(directory.path(), SUFFIX);
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(13).chain(0..HEADER_LEN) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            std::fs::write(&path, damaged).unwrap();
            let Ok(map) = Map::open(directory.path(), directory.path(), Format::Sha1) else {
                continue;
            };
            assert!(map.check().is_err() || map.is_orphaned(), "byte {at}");
            for row in rows.iter().step_by(17) {
                let id = row.id.whole().unwrap();
                let _ = (map.find(&row.oid), map.origins(&id, true), map.page((0, 0), 9));
            }
        }
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = Map::open(directory.path(), directory.path(), Format::Sha1).err().unwrap();
        assert!(error.to_string().contains(SUFFIX), "{error}");
    }
}
