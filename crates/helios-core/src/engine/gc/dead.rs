//! The dead set: what gc is about to delete, and nobody may build upon any more.
//!
//! Sorted ids, published as the file `gc/dead` before the first deletion, and removed after the
//! last. Whoever has it open can go on looking into it. Layout: docs/FORMAT.md.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};
use crate::platform;

const MAGIC: [u8; 8] = *b"HELIOSG1";
const HEADER_LEN: u64 = 24;
const ENTRY_LEN: usize = ID_LEN + 8;
/// The second word of an entry that was taken back.
const SPARED: u64 = u64::MAX;
const WRITE_BYTES: usize = 256 << 10;

/// An object that is to be deleted, with what the store's counters lose by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    pub id: Id,
    pub form: u8,
    pub record_len: u64,
}

enum Storage {
    File { file: File, path: PathBuf },
    Memory(Mutex<Vec<u8>>),
}

pub struct Dead {
    storage: Storage,
    count: u64,
    pending: Vec<u8>,
    last: Option<Id>,
}

impl Dead {
    /// Where a repository's dead set lies.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join("gc").join("dead")
    }

    /// An empty set, in a file or in memory.
    pub fn create(path: Option<&Path>) -> Result<Dead> {
        let storage = match path {
            None => Storage::Memory(Mutex::default()),
            Some(path) => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(true).truncate(true);
                let file = options.open(path).map_err(|error| Error::io(path, error))?;
                Storage::File { file, path: path.to_path_buf() }
            }
        };
        let dead = Dead { storage, count: 0, pending: Vec::new(), last: None };
        dead.write_at(&[0; HEADER_LEN as usize], 0)?;
        Ok(dead)
    }

    /// The published set; `None` if there is none, because nothing is being deleted. It is not
    /// synced, because no process that could need it outlives the machine: a file that is not
    /// whole counts as none.
    pub fn open(directory: &Path) -> Result<Option<Dead>> {
        let path = Dead::path(directory);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, error)),
        };
        let len = file.metadata().map_err(|error| Error::io(&path, error))?.len();
        let mut header = [0; HEADER_LEN as usize];
        let read =
            platform::read_at(&file, &mut header, 0).map_err(|error| Error::io(&path, error))?;
        let mut count = [0; 8];
        count.copy_from_slice(&header[16..]);
        let count = u64::from_le_bytes(count);
        let expected = count.checked_mul(ENTRY_LEN as u64).and_then(|n| n.checked_add(HEADER_LEN));
        if read < header.len() || header[..8] != MAGIC || expected != Some(len) {
            return Ok(None);
        }
        let storage = Storage::File { file, path };
        Ok(Some(Dead { storage, count, pending: Vec::new(), last: None }))
    }

    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an object. Fails if ids do not rise: whoever looks for one would not find it.
    pub fn push(&mut self, doomed: &Doomed) -> Result<()> {
        if self.last.replace(doomed.id).is_some_and(|last| last >= doomed.id) {
            return Err(Error::malformed(format!("{} is not in the order of ids", doomed.id)));
        }
        self.pending.extend_from_slice(doomed.id.as_bytes());
        let word = u64::from(doomed.form) | doomed.record_len << 8;
        self.pending.extend_from_slice(&word.to_le_bytes());
        if self.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was added.
    pub fn flush(&mut self) -> Result<()> {
        let added = (self.pending.len() / ENTRY_LEN) as u64;
        self.write_at(&self.pending, self.offset(self.count))?;
        self.pending.clear();
        self.count += added;
        Ok(())
    }

    /// Completes the set for an epoch.
    pub fn seal(&mut self, epoch: u64) -> Result<()> {
        self.flush()?;
        let mut header = [0; HEADER_LEN as usize];
        header[..8].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&epoch.to_le_bytes());
        header[16..].copy_from_slice(&self.count.to_le_bytes());
        self.write_at(&header, 0)
    }

    /// Whether the object is to be deleted.
    pub fn contains(&self, id: &Id) -> Result<bool> {
        Ok(self.find(id)?.is_some())
    }

    /// Takes an object back; true if it was in the set.
    pub fn spare(&mut self, id: &Id) -> Result<bool> {
        let Some(at) = self.find(id)? else {
            return Ok(false);
        };
        self.write_at(&SPARED.to_le_bytes(), self.offset(at) + ID_LEN as u64)?;
        Ok(true)
    }

    /// Up to `limit` objects from the entry `from` on, without those that were spared, and the
    /// entry to go on with; `None` at the end.
    pub fn page(&self, from: u64, limit: u64) -> Result<Option<(Vec<Doomed>, u64)>> {
        if from >= self.count {
            return Ok(None);
        }
        let to = (from + limit).min(self.count);
        let mut bytes = vec![0; (to - from) as usize * ENTRY_LEN];
        self.read_at(&mut bytes, self.offset(from))?;
        let entries = bytes.chunks_exact(ENTRY_LEN).map(decode);
        Ok(Some((entries.filter_map(Result::transpose).collect::<Result<_>>()?, to)))
    }

    /// The entry of an object that is in the set and was not spared.
    fn find(&self, id: &Id) -> Result<Option<u64>> {
        let (mut low, mut high) = (0, self.count);
        let mut entry = [0; ENTRY_LEN];
        while low < high {
            let middle = low + (high - low) / 2;
            self.read_at(&mut entry, self.offset(middle))?;
            match entry[..ID_LEN].cmp(&id.as_bytes()[..]) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(decode(&entry)?.map(|_| middle)),
            }
        }
        Ok(None)
    }

    fn offset(&self, entry: u64) -> u64 {
        HEADER_LEN + entry * ENTRY_LEN as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        match &self.storage {
            Storage::File { file, path } => platform::read_exact_at(file, buffer, offset)
                .map_err(|error| Error::io(path, error)),
            Storage::Memory(bytes) => {
                let bytes = bytes.lock();
                let from = offset as usize;
                let found = bytes.get(from..from + buffer.len());
                buffer.copy_from_slice(found.ok_or_else(|| Error::malformed("short dead set"))?);
                Ok(())
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        match &self.storage {
            Storage::File { file, path } => {
                platform::write_all_at(file, bytes, offset).map_err(|error| Error::io(path, error))
            }
            Storage::Memory(buffer) => {
                let mut buffer = buffer.lock();
                let from = offset as usize;
                if buffer.len() < from + bytes.len() {
                    buffer.resize(from + bytes.len(), 0);
                }
                buffer[from..from + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}

fn decode(entry: &[u8]) -> Result<Option<Doomed>> {
    let mut word = [0; 8];
    word.copy_from_slice(&entry[ID_LEN..]);
    let word = u64::from_le_bytes(word);
    let id = Id::from_slice(&entry[..ID_LEN])?;
    let doomed = Doomed { id, form: word as u8, record_len: word >> 8 };
    Ok((word != SPARED).then_some(doomed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holds_what_was_pushed_and_not_spared(
            ids in proptest::collection::btree_set(any::<[u8; 32]>(), 0..80),
            spared in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
            in_file: bool,
        ) {
            let directory = tempfile::tempdir().unwrap();
            std::fs::create_dir(directory.path().join("gc")).unwrap();
            let path = Dead::path(directory.path());
            let mut dead = Dead::create(in_file.then_some(&path)).unwrap();
            let ids: Vec<Id> = ids.into_iter().map(Id::from_bytes).collect();
            for (at, id) in ids.iter().enumerate() {
                let doomed = Doomed { id: *id, form: at as u8 % 4, record_len: at as u64 * 100 };
                dead.push(&doomed).unwrap();
            }
            dead.flush().unwrap();
            let mut left = ids.clone();
            for index in spared.iter().filter(|_| !ids.is_empty()) {
                let id = index.get(&ids);
                prop_assert_eq!(dead.spare(id).unwrap(), left.contains(id));
                left.retain(|other| other != id);
            }
            dead.seal(7).unwrap();
            if in_file {
                dead = Dead::open(directory.path()).unwrap().unwrap();
            }
            for id in &ids {
                prop_assert_eq!(dead.contains(id).unwrap(), left.contains(id));
            }
            prop_assert!(!dead.contains(&Id::of_blob(b"another")).unwrap());
            let mut found = Vec::new();
            let mut from = 0;
            while let Some((page, next)) = dead.page(from, 7).unwrap() {
                found.extend(page.into_iter().map(|doomed| doomed.id));
                from = next;
            }
            prop_assert_eq!(found, left);
        }
    }
}
