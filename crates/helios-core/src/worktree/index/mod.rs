//! What is known about the files of a worktree, so that unchanged ones need not be read.
//!
//! The index is only a cache. A file that is missing, damaged or written by another version loads
//! as an empty index, and everything is read again; a damaged end loads as the state of an earlier
//! save. Each save is whole or absent, and says which tree it describes. Whoever saves holds the
//! worktree's lock. If the file is not as it was left, for instance because another process saved
//! in between, a save replaces the whole of it.
//!
//! # The file
//!
//! All numbers are little-endian. The file is one base block, then any number of log blocks:
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 4 | magic: `HIXB` for the base block, `HIXL` for a log block |
//! | 4 | 4 | version: 3 of a base block, 2 of a log block |
//! | 8 | 8 | length of the payload |
//! | 16 | 4 | CRC-32 (IEEE) of bytes 0 to 15 and the payload |
//! | 20 | 1 | payload: 1 if the tree is known, else 0 |
//! | 21 | 32 | id of the tree that the index describes, zero if not known |
//! | 53 | 16 | token: the watch that reports what has changed since; zero if there is none |
//! | 69 | 8 | token: how much it had seen |
//! | 77 | | of a log block: records, up to the end of the payload |
//! | 77 | | of a base block: the directory, up to the end of the payload; then its pages |
//!
//! The directory is the number of records in all pages, 8 bytes, and then of each page:
//!
//! | bytes | content |
//! | --- | --- |
//! | 4 | length of the page |
//! | 4 | CRC-32 of the page |
//! | 1 | flags: 1 some of its records are racy, or of files with several names |
//! | 4 | length of the first path |
//! | | path of the page's first record |
//!
//! A page is records, one after another. One that is damaged is noticed when it is needed.
//!
//! A record:
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 4 | length of the path |
//! | 4 | 1 | kind: 1 file, 2 executable, 3 symlink, 4 directory, 5 submodule; 0 the path is gone |
//! | 5 | 1 | flags: 1 racy, 2 the file has the executable bit, 4 it has several names |
//! | 6 | 8 | size in bytes |
//! | 14 | 8 | mtime, nanoseconds since 1970, signed |
//! | 22 | 8 | ctime, nanoseconds since 1970, signed |
//! | 30 | 8 | inode |
//! | 38 | 32 | id of the content, zero for a directory |
//! | 70 | | path, relative to the root |
//!
//! The records of the base are in strictly rising order of their path bytes, and none is of kind 0.
//! Those of a log block are changes, applied in order; the fields of a kind 0 are zero. A log block
//! that is torn or damaged, and all after it, does not count. When the log would exceed a quarter
//! of the base and 64 KiB, the whole is written anew as a base, to a temporary that is renamed.
//!
//! Base blocks of versions 1 and 2 have all their records in the payload, in place of the
//! directory. Blocks of version 1 have no token.

mod base;
mod block;
mod cursor;
mod directory;
mod record;

use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::platform::{self, Stat};
use crate::worktree::temporary::Temporary;
use base::{Base, Source};
use block::{Block, BlockBuilder, BlockKind, Content};
use directory::{Builder, Directory};
use record::Record;

use crate::worktree::watch::Token;

pub use cursor::Cursor;
pub use record::{Known, CLOCK_TICK_NS};

/// The log may always grow to this size, however small the base is.
const LOG_BYTES_MIN: usize = 64 * 1024;
/// Bytes that are read first: the header with the directory of most trees.
const HEAD_BYTES: u64 = 64 * 1024;

/// Waits for the lock of the worktree whose index is in a directory. Closed, it is given back.
pub fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let fail = |error| Error::io(&path, error);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(fail)?;
    platform::lock(&file).map_err(fail)?;
    Ok(file)
}

/// An index in memory.
#[derive(Default)]
pub struct Index {
    /// The id of the tree that the index describes; saved with the entries.
    pub tree: Option<Id>,
    /// A watch knows what may differ from the entries: what was reported after this.
    pub token: Option<Token>,
    base: Base,
    /// What differs from the base; none for a path that is gone.
    changes: BTreeMap<Vec<u8>, Option<Known>>,
    entry_count: usize,
    /// Records of what changed since the last load or save.
    unsaved: Vec<u8>,
    saved: (Option<Id>, Option<Token>),
    log_bytes: usize,
    /// The file as this index left it or found it, whole; none if it must be written anew.
    file: Option<Stat>,
}

impl Index {
    /// Reads an index; empty if there is none or it is of no use. What it says of most paths is
    /// read later: see `is_damaged`.
    pub fn load(path: &Path) -> Result<Index> {
        match Index::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            outcome => Ok(outcome.map_err(|error| Error::io(path, error))?.unwrap_or_default()),
        }
    }

    fn read(path: &Path) -> io::Result<Option<Index>> {
        let file = File::open(path)?;
        let stat = platform::stat_of(&file.metadata()?);
        let mut head = read_range(&file, 0, stat.size.min(HEAD_BYTES))?;
        let Some(len) = block::len_of(&head).filter(|len| *len <= stat.size) else {
            return Ok(None);
        };
        head.extend(read_range(&file, head.len() as u64, len)?);
        let Some(block) = Block::read(&head, BlockKind::Base) else { return Ok(None) };
        let saved = (block.tree, block.token);
        let found = match block.content {
            Content::Directory(directory) => Directory::decode(directory, block.len)
                .map(|directory| (directory.end, directory, None)),
            Content::Records(records) => {
                sorted(records).map(|(directory, records)| (block.len, directory, Some(records)))
            }
        };
        let Some((base_len, directory, records)) = found else { return Ok(None) };
        if base_len as u64 > stat.size {
            return Ok(None);
        }
        let log = read_range(&file, base_len as u64, stat.size)?;
        let is_earlier = records.is_some();
        let source = records.map_or(Source::File(file), Source::Memory);
        let base = Base::new(source, directory, base_len);
        let mut index = Index::new(base, saved, &log, stat);
        if is_earlier {
            // The next save makes it one that need not be read as a whole.
            index.file = None;
        }
        Ok(Some(index))
    }

    /// What a file holds: a base, and the log behind it.
    fn new(base: Base, mut saved: (Option<Id>, Option<Token>), log: &[u8], stat: Stat) -> Index {
        let mut index = Index { entry_count: base.entry_count(), base, ..Index::default() };
        while let Some(block) = Block::read(&log[index.log_bytes..], BlockKind::Log) {
            let Content::Records(records) = block.content else { break };
            let Some(records) = log_records(records) else { break };
            for (path, known) in records {
                index.apply(path, known);
            }
            saved = (block.tree, block.token);
            index.log_bytes += block.len;
        }
        (index.tree, index.token) = saved;
        index.saved = saved;
        let end = (index.base.block_len() + index.log_bytes) as u64;
        index.file = (end == stat.size).then_some(stat);
        index
    }

    /// Whether something was asked for that the file no longer says as it was saved. Then what this
    /// index says has gaps, and it is not to be gone by; a save of it starts over.
    pub fn is_damaged(&self) -> bool {
        self.base.is_damaged()
    }

    /// Whether the file still says what this index says.
    pub fn is_at(&self, path: &Path) -> bool {
        let is_saved = self.unsaved.is_empty() && (self.tree, self.token) == self.saved;
        let is_saved = is_saved && !self.is_damaged();
        let found = || std::fs::metadata(path).map(|metadata| platform::stat_of(&metadata));
        is_saved && self.file.is_some_and(|stat| found().is_ok_and(|found| found == stat))
    }

    pub fn get(&self, path: &[u8]) -> Option<Known> {
        match self.changes.get(path) {
            Some(known) => *known,
            None => self.base.get(path),
        }
    }

    pub fn set(&mut self, path: &[u8], known: Known) {
        record::encode(&mut self.unsaved, path, Some(&known));
        self.apply(path.to_vec(), Some(known));
    }

    pub fn remove(&mut self, path: &[u8]) {
        if self.get(path).is_some() {
            record::encode(&mut self.unsaved, path, None);
            self.apply(path.to_vec(), None);
        }
    }

    fn apply(&mut self, path: Vec<u8>, known: Option<Known>) {
        let is_there = known.is_some();
        let was_there = match self.changes.entry(path) {
            Entry::Occupied(mut change) => change.insert(known).is_some(),
            Entry::Vacant(change) => {
                let in_base = self.base.get(change.key()).is_some();
                change.insert(known);
                in_base
            }
        };
        self.entry_count = self.entry_count + usize::from(is_there) - usize::from(was_there);
    }

    pub fn len(&self) -> usize {
        self.entry_count
    }

    pub fn is_empty(&self) -> bool {
        self.entry_count == 0
    }

    /// The entries in path order.
    pub fn iter(&self) -> Cursor<'_> {
        self.from(b"")
    }

    /// The entries whose paths are not less than `path`, in path order.
    pub fn from(&self, path: &[u8]) -> Cursor<'_> {
        Cursor::new(self, path)
    }

    /// The paths of doubtful entries (`Known::is_doubtful`), in no order.
    pub fn doubtful(&self) -> impl Iterator<Item = &[u8]> {
        let changed =
            self.changes.iter().filter(|(_, known)| known.is_some_and(|k| k.is_doubtful()));
        let base = self.base.doubtful().filter(|path| !self.changes.contains_key(*path));
        base.chain(changed.map(|(path, _)| &path[..]))
    }

    /// Saves what changed since the last load or save; returns how many bytes were written.
    ///
    /// Nothing is synced: a file that a power cut damages is noticed by its checksums.
    pub fn save(&mut self, path: &Path) -> Result<u64> {
        if self.is_damaged() {
            return self.rewrite(path).map_err(|error| Error::io(path, error));
        }
        if self.unsaved.is_empty() && (self.tree, self.token) == self.saved {
            return Ok(0);
        }
        let log_bytes = self.log_bytes + block::HEADER_LEN + self.unsaved.len();
        let written = match self.file {
            Some(stat) if log_bytes <= LOG_BYTES_MIN.max(self.base.block_len() / 4) => {
                // Until the append is known to be whole, the file is not.
                self.file = None;
                self.append(path, stat)
            }
            _ => Ok(None),
        };
        let written = match written.map_err(|error| Error::io(path, error))? {
            Some(appended) => appended,
            None => self.rewrite(path).map_err(|error| Error::io(path, error))?,
        };
        self.unsaved.clear();
        self.saved = (self.tree, self.token);
        Ok(written)
    }

    /// Appends a log block; writes nothing if the file is not as this index knows it.
    fn append(&mut self, path: &Path, expected: Stat) -> io::Result<Option<u64>> {
        let mut file = match File::options().append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if platform::stat_of(&file.metadata()?) != expected {
            return Ok(None);
        }
        let mut builder = BlockBuilder::new();
        builder.bytes.extend_from_slice(&self.unsaved);
        let block = builder.seal(BlockKind::Log, self.tree, self.token);
        file.write_all(&block)?;
        self.log_bytes += block.len();
        let stat = platform::stat_of(&file.metadata()?);
        self.file = (stat.size == expected.size + block.len() as u64).then_some(stat);
        Ok(Some(block.len() as u64))
    }

    fn rewrite(&mut self, path: &Path) -> io::Result<u64> {
        let mut pages = Builder::default();
        for (path, known) in self.iter() {
            pages.add(path, &known);
        }
        if self.is_damaged() {
            // Gaps would be taken for what is not there.
            (*self, pages) = (Index::default(), Builder::default());
        }
        let (directory, records) = pages.finish();
        let mut builder = BlockBuilder::new();
        directory.encode(&mut builder.bytes);
        let header = builder.seal(BlockKind::Base, self.tree, self.token);
        let (temporary, mut file) =
            Temporary::beside(path, |name| platform::create_new(name, false))?;
        file.write_all(&header)?;
        file.write_all(&records)?;
        temporary.place(path)?;
        let len = header.len() + records.len();
        self.base = Base::new(Source::Memory(records), directory, len);
        self.changes.clear();
        self.log_bytes = 0;
        self.file = Some(platform::stat_of(&file.metadata()?));
        Ok(len as u64)
    }
}

/// The bytes of a file from `start` to `end`, or fewer where it ends before.
fn read_range(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = platform::read_at(file, &mut bytes, start)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The records of a base block of an earlier version, as pages. None if they are not as they should
/// be.
fn sorted(mut bytes: &[u8]) -> Option<(Directory, Vec<u8>)> {
    let mut pages = Builder::default();
    let mut previous: Option<&[u8]> = None;
    while !bytes.is_empty() {
        let (record, rest) = Record::split_first(bytes)?;
        if previous.is_some_and(|path| path >= record.path) {
            return None;
        }
        pages.add(record.path, &record.known()?);
        previous = Some(record.path);
        bytes = rest;
    }
    Some(pages.finish())
}

/// The changes in a log block, all or none.
fn log_records(mut bytes: &[u8]) -> Option<Vec<(Vec<u8>, Option<Known>)>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = Record::split_first(bytes)?;
        records.push((record.path.to_vec(), record.known()));
        bytes = rest;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::EntryKind;
    use proptest::prelude::*;
    use std::fs;
    use std::path::PathBuf;

    fn known(number: u64) -> Known {
        let linked = number == 42;
        let stat =
            Stat { size: number, mtime_ns: -1, ctime_ns: 7, inode: 9, executable: true, linked };
        Known { kind: EntryKind::File, stat, id: Id::of_blob(&number.to_le_bytes()), racy: false }
    }

    fn entries(index: &Index) -> BTreeMap<Vec<u8>, Known> {
        let entries: Vec<_> = index.iter().map(|(path, known)| (path.to_vec(), known)).collect();
        assert!(entries.is_sorted_by(|left, right| left.0 < right.0));
        assert_eq!(entries.len(), index.len());
        entries.into_iter().collect()
    }

    fn saved(count: u64) -> (tempfile::TempDir, PathBuf, Index) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let mut index = Index::default();
        for number in 0..count {
            index.set(format!("directory/file-{number:06}").as_bytes(), known(number));
        }
        index.save(&path).unwrap();
        (directory, path, index)
    }

    #[test]
    fn a_change_of_one_file_writes_one_small_block() {
        let (_directory, path, mut index) = saved(10_000);
        index.set(b"directory/file-000007", known(1));
        index.tree = Some(Id::of_blob(b"tree"));
        assert!(index.save(&path).unwrap() < 200);
        assert_eq!(index.save(&path).unwrap(), 0);
        assert!(index.is_at(&path));
        let loaded = Index::load(&path).unwrap();
        assert_eq!(loaded.get(b"directory/file-000007"), Some(known(1)));
        assert_eq!(loaded.get(b"directory/file-000008"), Some(known(8)));
        assert_eq!(loaded.get(b"directory/file"), None);
        assert_eq!(loaded.tree, index.tree);
        assert_eq!(entries(&loaded), entries(&index));
    }

    #[test]
    fn a_long_log_is_folded_into_a_new_base() {
        let (_directory, path, mut index) = saved(100);
        let mut largest = 0;
        for number in 0..2000 {
            index.set(b"directory/file-000007", known(number));
            index.save(&path).unwrap();
            largest = largest.max(fs::metadata(&path).unwrap().len());
        }
        assert!(largest < 96 * 1024, "{largest}");
        assert_eq!(entries(&Index::load(&path).unwrap()), entries(&index));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_damaged_or_newer_file_is_an_empty_index_or_a_damaged_one() {
        let (_directory, path, index) = saved(10);
        let good = fs::read(&path).unwrap();
        let pages_from = block::len_of(&good).unwrap() as usize;
        let wanted = entries(&index);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs::write(&path, &bad).unwrap();
            let mut found = Index::load(&path).unwrap();
            assert_eq!(found.is_empty(), at < pages_from, "byte {at}");
            assert!(!found.is_damaged());
            assert_eq!(found.iter().count(), 0);
            assert_eq!(found.is_damaged(), at >= pages_from, "byte {at}");
            assert!(wanted.keys().all(|path| found.get(path).is_none()));
            found.tree = Some(Id::of_blob(b"tree"));
            found.save(&path).unwrap();
            let saved = Index::load(&path).unwrap();
            assert!(saved.is_empty() && !saved.is_damaged());
            assert_eq!(saved.tree.is_some(), at < pages_from);
        }
        fs::remove_file(&path).unwrap();
        assert!(Index::load(&path).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_page_is_noticed_by_whoever_needs_it_and_a_save_starts_over() {
        let (_directory, path, _) = saved(1000);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&path, &bad).unwrap();
        let mut index = Index::load(&path).unwrap();
        assert_eq!(index.get(b"directory/file-000001"), Some(known(1)));
        assert_eq!(index.get(b"directory/file-000400"), Some(known(400)));
        assert!(!index.is_damaged() && index.is_at(&path));
        assert_eq!(index.get(b"directory/file-000999"), None);
        assert!(index.is_damaged() && !index.is_at(&path));
        assert!(index.iter().count() < 1000);
        index.set(b"new", known(1));
        index.tree = Some(Id::of_blob(b"tree"));
        index.save(&path).unwrap();
        let loaded = Index::load(&path).unwrap();
        assert!(loaded.is_empty() && loaded.tree.is_none() && !loaded.is_damaged());
        // As a page would be that was cut off while it was not looked at.
        fs::write(&path, &good).unwrap();
        let index = Index::load(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(40_000).unwrap();
        assert_eq!(index.get(b"directory/file-000001"), Some(known(1)));
        assert!(index.get(b"directory/file-000999").is_none() && index.is_damaged());
    }

    #[test]
    fn a_few_paths_of_many_are_read_without_the_rest() {
        let (_directory, path, _) = saved(10_000);
        let index = Index::load(&path).unwrap();
        assert_eq!(index.len(), 10_000);
        assert_eq!(index.get(b"directory/file-005000"), Some(known(5000)));
        assert_eq!(index.from(b"directory/file-0077777").next().unwrap().1, known(7778));
        assert!(index.get(b"a").is_none() && index.get(b"z").is_none());
        // The entry with several names is doubtful, so its page is looked at, and no other.
        assert_eq!(index.doubtful().collect::<Vec<_>>(), [b"directory/file-000042"]);
        assert!(index.base.pages_read() <= 5, "{}", index.base.pages_read());
    }

    #[test]
    fn bases_of_versions_1_and_2_are_read_and_the_next_save_replaces_them() {
        let (_directory, path, index) = saved(1000);
        let token = Some(Token { watch: [7; 16], seen: 9 });
        for version in [1, 2] {
            fs::write(&path, earlier(version, &index)).unwrap();
            let mut loaded = Index::load(&path).unwrap();
            assert_eq!(entries(&loaded), entries(&index));
            assert_eq!((loaded.tree, loaded.token), (index.tree, None));
            assert_eq!(loaded.save(&path).unwrap(), 0);
            loaded.token = token;
            loaded.save(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap()[4], 3);
            let again = Index::load(&path).unwrap();
            assert_eq!((again.token, entries(&again)), (token, entries(&index)));
        }
    }

    /// The whole index as one block of an earlier version.
    fn earlier(version: u8, index: &Index) -> Vec<u8> {
        let mut builder = BlockBuilder::new();
        for (path, known) in index.iter() {
            record::encode(&mut builder.bytes, path, Some(&known));
        }
        let mut bytes = builder.seal(BlockKind::Base, index.tree, None);
        if version == 1 {
            bytes.drain(53..block::HEADER_LEN);
        }
        bytes[4] = version;
        sealed_again(bytes)
    }

    fn sealed_again(mut bytes: Vec<u8>) -> Vec<u8> {
        let payload_len = (bytes.len() - 20) as u64;
        bytes[8..16].copy_from_slice(&payload_len.to_le_bytes());
        let checksum = crc32fast::hash(&[&bytes[..16], &bytes[20..]].concat());
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn doubtful_entries_are_listed_whether_they_are_in_the_base_or_the_log() {
        let (_directory, path, mut index) = saved(10);
        let racy = |number| Known { racy: true, ..known(number) };
        index.set(b"directory/file-000001", racy(1));
        index.set(b"directory/file-000002", racy(2));
        index.save(&path).unwrap();
        index.rewrite(&path).unwrap();
        index.set(b"directory/file-000002", known(2));
        index.set(b"new", known(42));
        index.save(&path).unwrap();
        for index in [index, Index::load(&path).unwrap()] {
            let mut found: Vec<_> = index.doubtful().collect();
            found.sort();
            assert_eq!(found, [&b"directory/file-000001"[..], b"new"]);
        }
    }

    #[test]
    fn records_out_of_order_are_refused_though_their_checksum_is_right() {
        let (_directory, path, _) = saved(0);
        let mut records = Vec::new();
        record::encode(&mut records, b"b", Some(&known(1)));
        record::encode(&mut records, b"a", Some(&known(2)));
        let mut builder = BlockBuilder::new();
        builder.bytes.extend_from_slice(&records);
        let mut bytes = builder.seal(BlockKind::Base, None, None);
        bytes[4] = 2;
        fs::write(&path, sealed_again(bytes)).unwrap();
        assert!(Index::load(&path).unwrap().is_empty());
        // The same as a page, whose directory is right about its first path and its checksum.
        let mut builder = BlockBuilder::new();
        builder.bytes.extend_from_slice(&2u64.to_le_bytes());
        builder.bytes.extend_from_slice(&(records.len() as u32).to_le_bytes());
        builder.bytes.extend_from_slice(&crc32fast::hash(&records).to_le_bytes());
        builder.bytes.extend_from_slice(b"\0\x01\0\0\0b");
        let header = builder.seal(BlockKind::Base, None, None);
        fs::write(&path, [header, records].concat()).unwrap();
        let index = Index::load(&path).unwrap();
        assert!(index.len() == 2 && index.get(b"b").is_none() && index.is_damaged());
    }

    #[test]
    fn a_save_over_another_processes_save_replaces_it_whole() {
        let (_directory, path, mut first) = saved(10);
        let mut second = Index::load(&path).unwrap();
        second.remove(b"directory/file-000001");
        second.save(&path).unwrap();
        first.set(b"new", known(3));
        assert!(!first.is_at(&path) && second.is_at(&path));
        first.save(&path).unwrap();
        assert_eq!(entries(&Index::load(&path).unwrap()), entries(&first));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(u8, u64),
        Remove(u8),
        Tree(u64),
        Save,
        Load,
        Cut(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (any::<u8>(), 0..99u64).prop_map(|(path, number)| Step::Set(path % 40, number)),
            3 => any::<u8>().prop_map(|path| Step::Remove(path % 40)),
            1 => (0..9u64).prop_map(Step::Tree),
            4 => Just(Step::Save),
            2 => Just(Step::Load),
            1 => any::<prop::sample::Index>().prop_map(Step::Cut),
        ]
    }

    proptest! {
        #[test]
        fn an_index_is_a_map_that_loads_as_one_of_its_saves(
            steps in prop::collection::vec(step(), 1..120)
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("index");
            let name = |number: u8| vec![b'a', number / 8, b'/', number];
            let mut index = Index::default();
            let mut model = BTreeMap::new();
            let mut saves = vec![(None, BTreeMap::new())];
            for step in steps {
                match step {
                    Step::Set(path, number) => {
                        index.set(&name(path), known(number));
                        model.insert(name(path), known(number));
                    }
                    Step::Remove(path) => {
                        index.remove(&name(path));
                        model.remove(&name(path));
                    }
                    Step::Tree(number) => index.tree = Some(Id::of_blob(&[number as u8])),
                    Step::Save => {
                        index.save(&path).unwrap();
                        saves.push((index.tree, model.clone()));
                    }
                    Step::Load => {
                        index = Index::load(&path).unwrap();
                        let (tree, last) = saves.last().unwrap();
                        prop_assert_eq!(index.tree, *tree);
                        model = last.clone();
                    }
                    Step::Cut(at) => {
                        let Ok(mut bytes) = fs::read(&path) else { continue };
                        bytes.truncate(at.index(bytes.len() + 1));
                        fs::write(&path, bytes).unwrap();
                        index = Index::load(&path).unwrap();
                        let state = (index.tree, entries(&index));
                        prop_assert!(saves.contains(&state));
                        model = state.1.clone();
                        saves.push(state);
                    }
                }
                prop_assert_eq!(&entries(&index), &model);
                for number in 0..40 {
                    prop_assert_eq!(index.get(&name(number)), model.get(&name(number)).copied());
                }
            }
        }
    }
}
