//! The journal: the append-only log of recent commits, shared by any number of processes.
//!
//! Invariants:
//! - An append happens under the journal's lock, after everything was taken in that changes a ref
//!   which it changes, and is one `write`. A writer that dies leaves at most a torn tail.
//! - A torn tail is discarded by the next writer, and what it held is kept aside in `lost/`.
//! - A bad frame with intact frames behind it is damage: it is skipped, reported, and never
//!   overwritten.
//! - A segment that is sealed never changes again. Maintenance moves sealed segments into L2 and
//!   then deletes them; whoever finds one gone looks in L2.

mod append;
mod epoch;
pub mod frame;
mod frames;
mod ledger;
mod locations;
mod lock;
mod replay;
mod sealed;
pub mod segment;
mod sync;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::error::{Error, Result};
use crate::id::Id;
use crate::object::Kind;
pub use append::Append;
pub use frames::Frame;
use locations::Location;
use lock::Lock;
pub use replay::Damage;
use replay::State;
pub use sealed::SealedFrame;
use segment::Segment;
use sync::Synced;

/// A segment's number and an offset in it; later ones compare greater.
pub type Position = (u64, u64);

/// When a commit is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// In memory only; the repository ends with the process.
    Memory,
    /// In the page cache: survives the death of the process, not of the machine.
    Process,
    /// After fdatasync: survives a power cut, as far as the disk keeps its word.
    Disk,
}

pub struct Journal {
    directory: Option<PathBuf>,
    writable: bool,
    durability: Durability,
    state: RwLock<State>,
    /// Held for an append by threads of this process; `Lock` keeps other processes out.
    appending: Mutex<Option<Lock>>,
    synced: Mutex<Synced>,
    /// The epoch of a journal in memory; that of others is in the lock's file.
    epoch_in_memory: AtomicU64,
}

impl Journal {
    pub fn in_memory() -> Journal {
        let journal = Journal::new(None, true, Durability::Memory);
        {
            let mut state = journal.state.write();
            state.active = 1;
            state.tail = segment::HEADER_LEN;
            state.segments.insert(1, Arc::new(Segment::in_memory(1)));
        }
        journal
    }

    fn new(directory: Option<PathBuf>, writable: bool, durability: Durability) -> Journal {
        Journal {
            directory,
            writable,
            durability,
            state: RwLock::new(State::default()),
            appending: Mutex::new(None),
            synced: Mutex::default(),
            epoch_in_memory: AtomicU64::new(0),
        }
    }

    /// Makes an empty journal in a new directory.
    pub fn init(directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
        // On disk before the repository is one: from then on a first segment without a header is
        // one that was damaged.
        Segment::create(directory, 1)?.sync_data()
    }

    pub fn open(directory: &Path, durability: Durability) -> Result<Journal> {
        let path = directory.join("lock");
        let writable = match OpenOptions::new().read(true).append(true).create(true).open(&path) {
            Ok(_) => true,
            Err(error) => match error.kind() {
                ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::IsADirectory
                | ErrorKind::NotFound => false,
                _ => return Err(Error::io(&path, error)),
            },
        };
        let journal = Journal::new(Some(directory.to_path_buf()), writable, durability);
        journal.reload(&mut journal.state.write())?;
        Ok(journal)
    }

    pub fn is_writable(&self) -> bool {
        self.writable
    }

    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Takes in what others appended. True if L2 has to be looked at again.
    pub fn refresh(&self) -> Result<bool> {
        if self.directory.is_none() {
            return Ok(false);
        }
        {
            // Without the write lock first: most refreshes find nothing.
            let state = self.state.read();
            if !state.has_more()? {
                return Ok(false);
            }
        }
        self.refresh_state(&mut self.state.write())
    }

    fn refresh_state(&self, state: &mut State) -> Result<bool> {
        let generation = state.generation;
        if !self.follow(state)? {
            self.reload(state)?;
        }
        Ok(state.generation != generation)
    }

    /// The end of what is known of the journal.
    pub fn end(&self) -> Position {
        let state = self.state.read();
        (state.active, state.tail)
    }

    /// Counts how often the journal was read from scratch.
    pub fn generation(&self) -> u64 {
        self.state.read().generation
    }

    /// What the journal knows of a ref: `None` if only L2 can tell.
    pub fn reference(&self, name: &[u8]) -> Option<Option<Id>> {
        self.state.read().refs.get(name).copied()
    }

    /// Remembers a ref's value in L2, unless a frame has set it meanwhile, or the journal was
    /// reloaded since `generation`.
    pub fn remember_reference(&self, name: &[u8], value: Option<Id>, generation: u64) {
        let mut state = self.state.write();
        if state.generation == generation {
            state.refs.entry(name.to_vec()).or_insert(value);
        }
    }

    /// Names and values of refs that begin with `prefix`, as far as the journal knows them.
    pub fn references(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Option<Id>)> {
        let state = self.state.read();
        let matching = state.refs.iter().filter(|(name, _)| name.starts_with(prefix));
        matching.map(|(name, value)| (name.clone(), *value)).collect()
    }

    pub fn contains(&self, id: &Id) -> bool {
        self.state.read().locations.contains(id)
    }

    /// The stored record of an object.
    pub fn record(&self, id: &Id) -> Result<Option<Vec<u8>>> {
        let (segment, location) = {
            let state = self.state.read();
            let Some((number, location)) = state.locations.get(id) else {
                return Ok(None);
            };
            match state.segments.get(&number) {
                Some(segment) => (Arc::clone(segment), location),
                None => return Ok(None),
            }
        };
        read_record(&segment, location).map(Some)
    }

    /// All records of an object that can be read from their segments.
    pub fn records(&self, id: &Id) -> Vec<Vec<u8>> {
        let found: Vec<(Arc<Segment>, Location)> = {
            let state = self.state.read();
            let all = state.locations.all(id).into_iter();
            all.filter_map(|(number, at)| Some((Arc::clone(state.segments.get(&number)?), at)))
                .collect()
        };
        found.iter().filter_map(|(segment, at)| read_record(segment, *at).ok()).collect()
    }

    /// Ids of a kind whose hexadecimal form starts with `hex` (lower case).
    pub fn ids_with_prefix(&self, hex: &str, kind: Kind) -> Vec<Id> {
        let state = self.state.read();
        let ids = state.locations.of_kind(kind);
        ids.filter(|id| id.to_hex().starts_with(hex)).copied().collect()
    }

    /// What could not be read, and what was moved to `lost/` because of it: torn tails, and damaged
    /// segments that maintenance has moved. It is listed until somebody empties `lost/`.
    pub fn damage(&self) -> Vec<Damage> {
        let mut damage = self.state.read().damage.clone();
        if let Some(directory) = &self.directory {
            damage.extend(sealed::lost(directory));
        }
        damage
    }

    /// Bytes in the journal, and objects.
    pub fn size(&self) -> (u64, usize) {
        let state = self.state.read();
        let sealed: u64 = state
            .segments
            .range(..state.active)
            .filter_map(|(_, segment)| segment.byte_len().ok())
            .sum();
        (sealed + state.tail, state.locations.len())
    }
}

fn read_record(segment: &Segment, location: Location) -> Result<Vec<u8>> {
    let mut bytes = vec![0; location.len as usize];
    segment.read_exact_at(&mut bytes, location.offset.into())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
