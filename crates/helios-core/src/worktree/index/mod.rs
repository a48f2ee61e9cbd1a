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
//! | 4 | 4 | version: 2; blocks of version 1 have no token |
//! | 8 | 8 | length of the payload |
//! | 16 | 4 | CRC-32 (IEEE) of bytes 0 to 15 and the payload |
//! | 20 | 1 | payload: 1 if the tree is known, else 0 |
//! | 21 | 32 | id of the tree that the index describes, zero if not known |
//! | 53 | 16 | token: the watch that reports what has changed since; zero if there is none |
//! | 69 | 8 | token: how much it had seen |
//! | 77 | | records, up to the end of the payload |
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

mod base;
mod block;
mod cursor;
mod record;

use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::platform::{self, Content, Stat};
use crate::worktree::temporary::Temporary;
use base::Base;
use block::{Block, BlockBuilder, BlockKind};
use record::Record;

use crate::worktree::watch::Token;

pub use cursor::Cursor;
pub use record::{Known, CLOCK_TICK_NS};

/// The log may always grow to this size, however small the base is.
const LOG_BYTES_MIN: usize = 64 * 1024;

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
    /// Reads an index; empty if there is none or it is of no use.
    pub fn load(path: &Path) -> Result<Index> {
        let (bytes, stat) = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::default()),
            outcome => outcome.map_err(|error| Error::io(path, error))?,
        };
        Ok(Index::parse(bytes, stat).unwrap_or_default())
    }

    fn parse(bytes: Content, stat: Stat) -> Option<Index> {
        let base_block = Block::read(&bytes, BlockKind::Base)?;
        let base_len = base_block.len;
        let mut saved = (base_block.tree, base_block.token);
        let records_from = base_len - base_block.records.len();
        let mut logs = Vec::new();
        let mut end = base_len;
        while let Some(block) = Block::read(&bytes[end..], BlockKind::Log) {
            let Some(records) = log_records(block.records) else { break };
            logs.extend(records);
            saved = (block.tree, block.token);
            end += block.len;
        }
        let is_whole = end == bytes.len() && stat.size == end as u64;
        let base = Base::new(bytes, records_from, base_len)?;
        let mut index = Index { entry_count: base.entry_count(), base, ..Index::default() };
        for (path, known) in logs {
            index.apply(path, known);
        }
        (index.tree, index.token) = saved;
        index.saved = saved;
        index.log_bytes = end - base_len;
        index.file = is_whole.then_some(stat);
        Some(index)
    }

    /// Whether the file still says what this index says.
    pub fn is_at(&self, path: &Path) -> bool {
        let is_saved = self.unsaved.is_empty() && (self.tree, self.token) == self.saved;
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
        let mut builder = BlockBuilder::with_capacity(self.unsaved.len());
        builder.bytes.extend_from_slice(&self.unsaved);
        let block = builder.seal(BlockKind::Log, self.tree, self.token);
        file.write_all(&block)?;
        self.log_bytes += block.len();
        let stat = platform::stat_of(&file.metadata()?);
        self.file = (stat.size == expected.size + block.len() as u64).then_some(stat);
        Ok(Some(block.len() as u64))
    }

    fn rewrite(&mut self, path: &Path) -> io::Result<u64> {
        let mut builder = BlockBuilder::with_capacity(self.base.block_len() + self.unsaved.len());
        for (path, known) in self.iter() {
            record::encode(&mut builder.bytes, path, Some(&known));
        }
        let bytes = builder.seal(BlockKind::Base, self.tree, self.token);
        let (temporary, mut file) =
            Temporary::beside(path, |name| platform::create_new(name, false))?;
        file.write_all(&bytes)?;
        temporary.place(path)?;
        let len = bytes.len();
        let stat = platform::stat_of(&file.metadata()?);
        if let Some(base) = Base::new(Content::Small(bytes), block::HEADER_LEN, len) {
            self.base = base;
            self.changes.clear();
            self.log_bytes = 0;
            self.file = Some(stat);
        }
        Ok(len as u64)
    }
}

fn read(path: &Path) -> io::Result<(Content, Stat)> {
    let mut file = File::open(path)?;
    let stat = platform::stat_of(&file.metadata()?);
    Ok((platform::read_content(&mut file, stat.size)?, stat))
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
    fn a_missing_damaged_or_newer_file_is_an_empty_index() {
        let (_directory, path, _) = saved(10);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs::write(&path, &bad).unwrap();
            assert!(Index::load(&path).unwrap().is_empty(), "byte {at}");
        }
        fs::remove_file(&path).unwrap();
        assert!(Index::load(&path).unwrap().is_empty());
    }

    #[test]
    fn blocks_of_version_1_are_read_and_what_follows_them_is_of_version_2() {
        let (_directory, path, index) = saved(100);
        let mut bytes = fs::read(&path).unwrap();
        // As version 1 had it: the same without the token.
        bytes.drain(53..block::HEADER_LEN);
        bytes[4] = 1;
        let payload_len = (bytes.len() - 20) as u64;
        bytes[8..16].copy_from_slice(&payload_len.to_le_bytes());
        let checksum = crc32fast::hash(&[&bytes[..16], &bytes[20..]].concat());
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        let mut loaded = Index::load(&path).unwrap();
        assert_eq!(entries(&loaded), entries(&index));
        assert_eq!(loaded.token, None);
        loaded.token = Some(Token { watch: [7; 16], seen: 9 });
        assert!(loaded.save(&path).unwrap() < 100);
        let again = Index::load(&path).unwrap();
        assert_eq!((again.token, again.len()), (loaded.token, 100));
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
        let mut builder = BlockBuilder::with_capacity(0);
        record::encode(&mut builder.bytes, b"b", Some(&known(1)));
        record::encode(&mut builder.bytes, b"a", Some(&known(2)));
        fs::write(&path, builder.seal(BlockKind::Base, None, None)).unwrap();
        assert!(Index::load(&path).unwrap().is_empty());
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
