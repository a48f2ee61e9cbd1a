//! A segment: one file of the journal (or one buffer, in an ephemeral repository).

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;

use super::frame;
use crate::error::{Error, Result};
use crate::platform;

pub const MAGIC: [u8; 8] = *b"HELIOSJ\n";
pub const VERSION: u32 = 1;
/// Segment header: magic, version, reserved.
pub const HEADER_LEN: u64 = 32;

enum Storage {
    File { file: File, path: PathBuf },
    Memory(RwLock<Vec<u8>>),
}

pub struct Segment {
    pub number: u64,
    /// The header is not what it was, but a frame follows it: what it held is known anyway.
    pub is_header_damaged: bool,
    storage: Storage,
}

pub fn file_name(number: u64) -> String {
    format!("{number:016x}.journal")
}

pub fn number_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".journal")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

fn header() -> [u8; HEADER_LEN as usize] {
    let mut header = [0; HEADER_LEN as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header
}

impl Segment {
    pub fn in_memory(number: u64) -> Segment {
        let storage = Storage::Memory(RwLock::new(header().to_vec()));
        Segment { number, is_header_damaged: false, storage }
    }

    /// Creates the file, or takes over one that a crash left empty.
    pub fn create(directory: &Path, number: u64) -> Result<Segment> {
        let path = directory.join(file_name(number));
        let fail = |error| Error::io(&path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail)?;
        platform::write_all_at(&file, &header(), 0).map_err(fail)?;
        Ok(Segment { number, is_header_damaged: false, storage: Storage::File { file, path } })
    }

    /// Opens an existing segment; `None` if the file is gone (maintenance moved it).
    pub fn open(directory: &Path, number: u64, writable: bool) -> Result<Option<Segment>> {
        let path = directory.join(file_name(number));
        let file = match OpenOptions::new().read(true).write(writable).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, error)),
        };
        let mut found = [0; HEADER_LEN as usize];
        let len = platform::read_at(&file, &mut found, 0).map_err(|e| Error::io(&path, e))?;
        let mut is_header_damaged = false;
        // A shorter header is a segment whose creation a crash cut off: it holds no frame yet.
        if len == found.len() {
            let mut version = [0; 4];
            version.copy_from_slice(&found[8..12]);
            let version = u32::from_le_bytes(version);
            if found[..8] != MAGIC {
                let mut next = [0; frame::MAGIC.len()];
                let read = platform::read_at(&file, &mut next, HEADER_LEN);
                read.map_err(|error| Error::io(&path, error))?;
                if next != frame::MAGIC {
                    let reason = "not a journal segment".to_owned();
                    return Err(Error::CorruptJournal { segment: number, offset: 0, reason });
                }
                is_header_damaged = true;
            } else if version > VERSION {
                let name = path.display().to_string();
                return Err(Error::FormatTooNew(name, version.into(), VERSION.into()));
            }
        }
        Ok(Some(Segment { number, is_header_damaged, storage: Storage::File { file, path } }))
    }

    fn fail(&self, error: io::Error) -> Error {
        match &self.storage {
            Storage::File { path, .. } => Error::io(path, error),
            Storage::Memory(_) => Error::io("journal in memory", error),
        }
    }

    pub fn byte_len(&self) -> Result<u64> {
        match &self.storage {
            Storage::File { file, .. } => {
                file.metadata().map(|m| m.len()).map_err(|error| self.fail(error))
            }
            Storage::Memory(bytes) => Ok(bytes.read().len() as u64),
        }
    }

    /// Reads up to `buffer.len()` bytes; fewer only at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        match &self.storage {
            Storage::File { file, .. } => {
                platform::read_at(file, buffer, offset).map_err(|error| self.fail(error))
            }
            Storage::Memory(bytes) => {
                let bytes = bytes.read();
                let from = bytes.get(offset as usize..).unwrap_or_default();
                let len = from.len().min(buffer.len());
                buffer[..len].copy_from_slice(&from[..len]);
                Ok(len)
            }
        }
    }

    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        match self.read_at(buffer, offset)? == buffer.len() {
            true => Ok(()),
            false => Err(self.fail(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        match &self.storage {
            Storage::File { file, .. } => {
                platform::write_all_at(file, bytes, offset).map_err(|error| self.fail(error))
            }
            Storage::Memory(buffer) => {
                let mut buffer = buffer.write();
                buffer.truncate(offset as usize);
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    pub fn truncate(&self, len: u64) -> Result<()> {
        match &self.storage {
            Storage::File { file, .. } => file.set_len(len).map_err(|error| self.fail(error)),
            Storage::Memory(buffer) => {
                buffer.write().truncate(len as usize);
                Ok(())
            }
        }
    }

    pub fn sync_data(&self) -> Result<()> {
        match &self.storage {
            Storage::File { file, .. } => file.sync_data().map_err(|error| self.fail(error)),
            Storage::Memory(_) => Ok(()),
        }
    }

    pub fn path(&self) -> Option<&Path> {
        match &self.storage {
            Storage::File { path, .. } => Some(path),
            Storage::Memory(_) => None,
        }
    }
}
