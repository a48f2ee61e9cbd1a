//! Packs: the files of L2 that large records lie in, one behind another.
//!
//! RocksDB knows where each of them lies (docs/FORMAT.md, docs/design/019-packs.md). What a
//! location names never changes: a pack is only appended to, and goes as a whole when no location
//! names it any more. No number comes twice, so whoever has an old location finds the record or no
//! file.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::record::{Form, Record};
use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};
use crate::platform;

/// Nothing is appended to a pack of this length. A pack is what gc moves the rest of at a time.
const PACK_BYTES_MAX: u64 = 64 << 20;
/// Files that stay open for reading.
const OPEN_MAX: usize = 64;
const SUFFIX: &str = ".pack";
/// What an entry begins with, so that a search of damaged files finds it. Nobody else reads its
/// header, which goes on with the id and the length of the record.
pub const ENTRY_MAGIC: [u8; 4] = *b"\x89HLR";
const LENGTH_AT: usize = ENTRY_MAGIC.len() + ID_LEN;
pub const ENTRY_HEADER_LEN: usize = LENGTH_AT + 8;

/// Where a record lies: in which pack, from which byte on, how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    pub pack: u64,
    pub offset: u64,
    pub len: u64,
}

impl Location {
    pub const LEN: usize = 24;

    pub fn decode(bytes: &[u8]) -> Option<Location> {
        let bytes: &[u8; Location::LEN] = bytes.try_into().ok()?;
        let number = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(number)
        };
        Some(Location { pack: number(0), offset: number(8), len: number(16) })
    }

    pub fn encode(&self) -> [u8; Location::LEN] {
        let mut bytes = [0; Location::LEN];
        for (at, number) in [self.pack, self.offset, self.len].into_iter().enumerate() {
            bytes[8 * at..8 * at + 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// The bytes that its entry takes in the pack.
    pub fn room(&self) -> u64 {
        self.len.saturating_add(ENTRY_HEADER_LEN as u64)
    }
}

/// The pack that is appended to.
struct Tail {
    pack: u64,
    file: File,
    end: u64,
    is_new: bool,
    is_synced: bool,
}

/// The packs in a directory. One process at a time may append and remove, any number read.
pub struct Packs {
    directory: PathBuf,
    open: Mutex<HashMap<u64, Arc<File>>>,
    tail: Mutex<Option<Tail>>,
}

impl Packs {
    pub fn new(directory: &Path) -> Packs {
        Packs {
            directory: directory.to_owned(),
            open: Mutex::new(HashMap::new()),
            tail: Mutex::new(None),
        }
    }

    /// Reads a record, as it is, into a buffer, which only grows. Fails with `CorruptPack` if the
    /// pack is not there, or ends before.
    pub fn read<'b>(&self, location: &Location, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        let file = self.file(location.pack)?;
        let path = || self.path(location.pack);
        let size = file.metadata().map_err(|error| Error::io(path(), error))?.len();
        // Before any memory is asked for.
        if location.offset.checked_add(location.len).is_none_or(|end| end > size) {
            let Location { offset, len, .. } = location;
            let reason = format!(
                "it ends after {size} bytes, before the end of the {len} bytes at byte {offset}"
            );
            return Err(Error::CorruptPack { path: path(), reason });
        }
        let len = location.len as usize;
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let record = &mut buffer[..len];
        platform::read_exact_at(&file, record, location.offset)
            .map_err(|error| Error::io(path(), error))?;
        Ok(record)
    }

    /// Whether a record can be read, and is the whole of the blob that it should be.
    pub fn holds(&self, id: &Id, location: &Location) -> bool {
        let mut bytes = Vec::new();
        let record = self.read(location, &mut bytes).and_then(Record::parse);
        record.is_ok_and(|record| match record.form {
            Form::Raw => record.kind.id_of(record.payload) == *id,
            _ => record.inflate().is_ok_and(|bytes| record.kind.id_of(&bytes) == *id),
        })
    }

    /// Appends a record; it is on disk after the next `sync`.
    pub fn append(&self, id: &Id, record: &[u8]) -> Result<Location> {
        let mut tail = self.tail.lock();
        let is_full = tail.as_ref().is_some_and(|tail| tail.end >= PACK_BYTES_MAX);
        if is_full {
            // Not another that has room: it may be one that is being emptied.
            self.begin_after(&mut tail)?;
        }
        let tail = match &mut *tail {
            Some(tail) => tail,
            none => none.insert(self.continued()?.map_or_else(|| self.begun(), Ok)?),
        };
        let mut header = [0; ENTRY_HEADER_LEN];
        header[..ENTRY_MAGIC.len()].copy_from_slice(&ENTRY_MAGIC);
        header[ENTRY_MAGIC.len()..LENGTH_AT].copy_from_slice(id.as_bytes());
        header[LENGTH_AT..].copy_from_slice(&(record.len() as u64).to_le_bytes());
        let offset = tail.end + ENTRY_HEADER_LEN as u64;
        tail.is_synced = false;
        // What is written in part is written over by the next.
        platform::write_all_at(&tail.file, &header, tail.end)
            .and_then(|()| platform::write_all_at(&tail.file, record, offset))
            .map_err(|error| Error::io(self.path(tail.pack), error))?;
        tail.end = offset + record.len() as u64;
        Ok(Location { pack: tail.pack, offset, len: record.len() as u64 })
    }

    /// Appends to new packs from now on.
    pub fn begin(&self) -> Result<()> {
        self.begin_after(&mut self.tail.lock())
    }

    fn begin_after(&self, tail: &mut Option<Tail>) -> Result<()> {
        let begun = self.begun()?;
        self.sync_tail(tail)?;
        *tail = Some(begun);
        Ok(())
    }

    /// Returns when all that was appended is on disk.
    pub fn sync(&self) -> Result<()> {
        self.sync_tail(&mut self.tail.lock())
    }

    fn sync_tail(&self, tail: &mut Option<Tail>) -> Result<()> {
        let Some(tail) = tail.as_mut().filter(|tail| !tail.is_synced) else {
            return Ok(());
        };
        tail.file.sync_data().map_err(|error| Error::io(self.path(tail.pack), error))?;
        if tail.is_new {
            platform::sync_directory(&self.directory)
                .map_err(|error| Error::io(&self.directory, error))?;
        }
        (tail.is_new, tail.is_synced) = (false, true);
        Ok(())
    }

    /// All packs, with their lengths.
    pub fn sizes(&self) -> Result<Vec<(u64, u64)>> {
        let fail = |error| Error::io(&self.directory, error);
        let mut sizes = Vec::new();
        let entries = match self.directory.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sizes),
            entries => entries.map_err(fail)?,
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let Some(pack) = name.to_str().and_then(number_of) else {
                continue;
            };
            match entry.metadata() {
                Ok(metadata) => sizes.push((pack, metadata.len())),
                // The writer has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(entry.path(), error)),
            }
        }
        sizes.sort_unstable();
        Ok(sizes)
    }

    /// Removes a pack, which no location names any more.
    pub fn remove(&self, pack: u64) -> Result<()> {
        self.open.lock().remove(&pack);
        let mut tail = self.tail.lock();
        *tail = tail.take().filter(|tail| tail.pack != pack);
        std::fs::remove_file(self.path(pack)).map_err(|error| Error::io(self.path(pack), error))
    }

    fn path(&self, pack: u64) -> PathBuf {
        self.directory.join(format!("{pack:016x}{SUFFIX}"))
    }

    fn file(&self, pack: u64) -> Result<Arc<File>> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(&pack) {
            return Ok(Arc::clone(file));
        }
        let path = self.path(pack);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::CorruptPack { path: path.clone(), reason: "it is missing".to_owned() }
            }
            _ => Error::io(&path, error),
        })?;
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        let file = Arc::new(file);
        open.insert(pack, Arc::clone(&file));
        Ok(file)
    }

    /// The fullest of the packs that something may be appended to. Behind what counts in it there
    /// may be what a writer has left that died: nothing names it.
    fn continued(&self) -> Result<Option<Tail>> {
        let sizes = self.sizes()?.into_iter().filter(|(_, size)| *size < PACK_BYTES_MAX);
        let Some((pack, end)) = sizes.max_by_key(|(_, size)| *size) else {
            return Ok(None);
        };
        let path = self.path(pack);
        let file =
            OpenOptions::new().write(true).open(&path).map_err(|error| Error::io(path, error))?;
        Ok(Some(Tail { pack, file, end, is_new: false, is_synced: true }))
    }

    /// A new pack, numbered by the time: also where others were removed its number is new.
    fn begun(&self) -> Result<Tail> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut pack = now.as_nanos() as u64;
        loop {
            let path = self.path(pack);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Tail { pack, file, end: 0, is_new: true, is_synced: true }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => pack += 1,
                Err(error) => return Err(Error::io(path, error)),
            }
        }
    }
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Kind;
    use crate::store::record::put_raw;

    fn record(content: &[u8]) -> (Id, Vec<u8>) {
        let mut record = Vec::new();
        put_raw(&mut record, Kind::Blob, content);
        (Id::of_blob(content), record)
    }

    fn read(packs: &Packs, location: &Location) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        packs.read(location, &mut bytes).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_is_appended_is_read_by_others_where_it_was_said_to_lie() {
        let directory = tempfile::tempdir().unwrap();
        let packs = Packs::new(directory.path());
        let entries: Vec<_> = (0..5u8).map(|n| record(&vec![n; 1000 * usize::from(n)])).collect();
        let locations: Vec<_> =
            entries.iter().map(|(id, record)| packs.append(id, record).unwrap()).collect();
        packs.sync().unwrap();
        let others = Packs::new(directory.path());
        for ((id, record), location) in entries.iter().zip(&locations) {
            assert_eq!(&read(&others, location).unwrap(), record);
            assert!(others.holds(id, location));
            assert_eq!(Location::decode(&location.encode()), Some(*location));
        }
        assert!(!others.holds(&entries[0].0, &locations[1]));
        let room: u64 = locations.iter().map(Location::room).sum();
        assert_eq!(others.sizes().unwrap(), [(locations[0].pack, room)]);
    }

    #[test]
    fn a_pack_is_continued_by_the_next_writer_and_left_when_another_is_begun() {
        let directory = tempfile::tempdir().unwrap();
        let (id, record) = record(b"content");
        let append = |packs: &Packs| packs.append(&id, &record).unwrap();
        let first = append(&Packs::new(directory.path()));
        let packs = Packs::new(directory.path());
        let second = append(&packs);
        assert_eq!((second.pack, second.offset), (first.pack, first.offset + first.room()));
        packs.begin().unwrap();
        let third = append(&packs);
        assert_ne!(third.pack, first.pack);
        packs.remove(first.pack).unwrap();
        assert!(matches!(read(&packs, &second), Err(Error::CorruptPack { .. })));
        assert_eq!(read(&packs, &third).unwrap(), record);
    }

    #[test]
    fn a_full_pack_is_followed_by_a_new_one_not_by_another_with_room() {
        let directory = tempfile::tempdir().unwrap();
        let packs = Packs::new(directory.path());
        let (id, record) = record(&vec![0; PACK_BYTES_MAX as usize / 2]);
        let append = || packs.append(&id, &record).unwrap().pack;
        let emptied = append();
        packs.begin().unwrap();
        let filled = append();
        assert_eq!(append(), filled);
        let next = append();
        assert!(next != filled && next != emptied);
        assert_eq!(append(), next);
    }

    #[test]
    fn what_lies_behind_the_end_is_told_without_asking_for_its_memory() {
        let directory = tempfile::tempdir().unwrap();
        let packs = Packs::new(directory.path());
        let (id, record) = record(b"content");
        let location = packs.append(&id, &record).unwrap();
        for wrong in [
            Location { len: location.len + 1, ..location },
            Location { len: 1 << 60, ..location },
            Location { offset: u64::MAX, ..location },
        ] {
            let error = read(&packs, &wrong).unwrap_err();
            assert!(matches!(error, Error::CorruptPack { .. }));
        }
    }

    #[test]
    fn other_files_are_no_packs() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["000012.sst", "12.pack", "zz00000000000000.pack", "0000000000000001.pack.old"]
        {
            std::fs::write(directory.path().join(name), "1").unwrap();
        }
        assert_eq!(Packs::new(directory.path()).sizes().unwrap(), []);
        assert_eq!(Packs::new(&directory.path().join("none")).sizes().unwrap(), []);
    }
}
