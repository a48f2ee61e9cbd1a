//! The journal: the append-only log of recent commits, shared by any number of processes.
//!
//! Invariants:
//! - An append happens under the journal's lock, after everything that others appended was taken
//!   in, and is one `write`. A writer that dies leaves at most a torn tail.
//! - A torn tail is discarded by the next writer, and what it held is kept aside in `lost/`.
//! - A bad frame with intact frames behind it is damage: it is skipped, reported, and never
//!   overwritten.
//! - A segment that is sealed never changes again. Maintenance moves sealed segments into L2 and
//!   then deletes them; whoever finds one gone looks in L2.

pub mod frame;
pub mod segment;

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::error::{Error, Result};
use crate::id::{Id, IdMap};
use crate::object::Kind;
use crate::platform;
use frame::{FrameBuilder, Item, Operation};
use segment::Segment;

/// A segment is sealed when it has grown past this.
const SEGMENT_BYTES_MAX: u64 = 4 << 20;
/// With durability `disk` the segment is extended by this many written zeros at a time, because
/// fdatasync of a file that does not grow needs no metadata write.
const PREALLOCATE_BYTES: u64 = 256 << 10;
/// How much is read of a segment at once: at first, and when there is more.
const READ_BYTES_MIN: usize = 8 << 10;
const READ_BYTES_MAX: usize = 8 << 20;

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

/// Where a record is.
#[derive(Clone, Copy, Debug)]
struct Location {
    segment: u64,
    offset: u64,
    len: u32,
    kind: Kind,
}

/// A stretch of a segment that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub segment: u64,
    pub offset: u64,
    pub len: u64,
}

#[derive(Default)]
struct State {
    segments: BTreeMap<u64, Arc<Segment>>,
    /// The segment that is read and appended to next, and where.
    active: u64,
    tail: u64,
    /// The active segment's file length, if it is known to hold only zeros behind the tail.
    allocated: u64,
    index: IdMap<Location>,
    /// Values of refs: set by frames, or remembered from L2.
    refs: HashMap<Vec<u8>, Option<Id>>,
    damage: Vec<Damage>,
    /// Counts reloads: each means that maintenance moved segments into L2 before they were read.
    generation: u64,
}

/// What is read from a sealed segment, in order.
pub struct SealedFrame {
    /// Segment number and offset: unique, and ascending with time.
    pub position: (u64, u64),
    pub objects: Vec<(Id, Vec<u8>)>,
    pub operation: Option<Vec<u8>>,
}

pub struct Journal {
    directory: Option<PathBuf>,
    writable: bool,
    durability: Durability,
    state: RwLock<State>,
    /// Held for an append by threads of this process; `Lock` keeps other processes out.
    appending: Mutex<Option<Lock>>,
    /// Up to where this process knows the journal to be on disk.
    synced: Mutex<(u64, u64)>,
}

/// The lock file, and the process that opened it: after a fork the child must not share it,
/// because both would hold one lock.
struct Lock {
    file: File,
    process: u32,
}

impl Lock {
    fn open(path: &Path) -> Result<Lock> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Error::io(path, error))?;
        Ok(Lock { file, process: std::process::id() })
    }
}

struct LockGuard<'a>(&'a File);

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // Closing the file would unlock too; a failure here leaves nothing else to do.
        let _ = self.0.unlock();
    }
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
            synced: Mutex::new((0, 0)),
        }
    }

    /// Makes an empty journal in a new directory.
    pub fn init(directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
        Segment::create(directory, 1).map(drop)
    }

    pub fn open(directory: &Path, durability: Durability) -> Result<Journal> {
        let writable = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(directory.join("lock"))
            .is_ok();
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

    /// Reads all segments from scratch.
    fn reload(&self, state: &mut State) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        // Maintenance may delete a segment between the listing and the opening: list again.
        for _ in 0..100 {
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
            let generation = state.generation + 1;
            *state = State { segments, generation, ..State::default() };
            state.active = first;
            state.tail = segment::HEADER_LEN;
            return match self.follow(state)? {
                true => Ok(()),
                false => continue,
            };
        }
        let reason = "segments keep disappearing".to_owned();
        Err(Error::CorruptJournal { segment: 0, offset: 0, reason })
    }

    /// Takes in all frames from the tail on, over segment boundaries. False if the next segment
    /// is gone, so that only a reload helps.
    fn follow(&self, state: &mut State) -> Result<bool> {
        loop {
            let Some(segment) = state.segments.get(&state.active).cloned() else {
                return Ok(false);
            };
            let Some(next) = self.read_segment(state, &segment)? else {
                // The end of what is written; but a later segment that is already here means that
                // the seal of this one was damaged.
                let Some(next) = state.segments.range(state.active + 1..).next() else {
                    return Ok(true);
                };
                let next = *next.0;
                let len = segment.len()?.saturating_sub(state.tail);
                state.damage.push(Damage { segment: state.active, offset: state.tail, len });
                state.active = next;
                state.tail = segment::HEADER_LEN;
                continue;
            };
            if !state.segments.contains_key(&next) {
                let opened = match &self.directory {
                    Some(directory) => Segment::open(directory, next, self.writable)?,
                    None => None,
                };
                match (opened, &self.directory) {
                    (Some(opened), _) => {
                        state.segments.insert(next, Arc::new(opened));
                    }
                    // A crash between seal and creation: the next writer creates it. Otherwise
                    // maintenance has moved it already.
                    (None, Some(directory)) => {
                        let newest = list_segments(directory)?.into_iter().next_back();
                        return Ok(newest.is_none_or(|newest| newest <= state.active));
                    }
                    (None, None) => return Ok(true),
                }
            }
            state.active = next;
            state.tail = segment::HEADER_LEN;
            state.allocated = 0;
            forget_moved(state);
        }
    }

    /// Takes in the frames of one segment from the tail on; the successor's number if it is
    /// sealed.
    fn read_segment(&self, state: &mut State, segment: &Segment) -> Result<Option<u64>> {
        let mut bytes = Vec::new();
        let mut window = READ_BYTES_MIN;
        loop {
            bytes.resize(window, 0);
            let read = segment.read_at(&mut bytes, state.tail)?;
            let found = &bytes[..read];
            let mut at = 0;
            while let Some(frame) = intact_frame(&found[at..]) {
                let sealed = self.take_in(state, segment.number, state.tail, frame)?;
                at += frame.len();
                state.tail += frame.len() as u64;
                if sealed.is_some() {
                    return Ok(sealed);
                }
            }
            let rest = &found[at..];
            if is_blank(rest) {
                return Ok(None);
            }
            if read == window {
                // More is behind the window: go on there, or look at more at once.
                window = match at {
                    0 => window * 4,
                    _ => window.max(READ_BYTES_MAX),
                };
                continue;
            }
            match next_intact(rest) {
                Some(skip) => {
                    let len = skip as u64;
                    let damage = Damage { segment: segment.number, offset: state.tail, len };
                    state.damage.push(damage);
                    state.tail += len;
                }
                None => return Ok(None),
            }
        }
    }

    fn take_in(
        &self,
        state: &mut State,
        segment: u64,
        frame_offset: u64,
        frame: &[u8],
    ) -> Result<Option<u64>> {
        let mut next = None;
        for item in frame::items(frame) {
            let item = item.map_err(|error| Error::CorruptJournal {
                segment,
                offset: frame_offset,
                reason: error.to_string(),
            })?;
            match item {
                Item::Object { id, offset, record } => {
                    let kind = Kind::from_byte(record.first().copied().unwrap_or(0))?;
                    let offset = frame_offset + offset as u64;
                    let len = record.len() as u32;
                    state.index.insert(id, Location { segment, offset, len, kind });
                }
                Item::Operation { bytes } => {
                    for change in Operation::decode(bytes)?.changes {
                        state.refs.insert(change.name, change.new);
                    }
                }
                Item::Seal { next: number } => next = Some(number),
            }
        }
        Ok(next)
    }

    /// Takes in what others appended. True if L2 has to be looked at again.
    pub fn refresh(&self) -> Result<bool> {
        if self.directory.is_none() {
            return Ok(false);
        }
        {
            // Without the write lock first: most refreshes find nothing.
            let state = self.state.read();
            let Some(segment) = state.segments.get(&state.active) else {
                return Ok(false);
            };
            let mut header = [0; frame::HEADER_LEN];
            if segment.read_at(&mut header, state.tail)? < header.len() || is_blank(&header) {
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
        self.state.read().index.contains_key(id)
    }

    /// The stored record of an object.
    pub fn record(&self, id: &Id) -> Result<Option<Vec<u8>>> {
        let (segment, location) = {
            let state = self.state.read();
            let Some(location) = state.index.get(id).copied() else {
                return Ok(None);
            };
            match state.segments.get(&location.segment) {
                Some(segment) => (Arc::clone(segment), location),
                None => return Ok(None),
            }
        };
        let mut bytes = vec![0; location.len as usize];
        segment.read_exact_at(&mut bytes, location.offset)?;
        Ok(Some(bytes))
    }

    /// Ids of a kind whose hexadecimal form starts with `hex` (lower case).
    pub fn ids_with_prefix(&self, hex: &str, kind: Kind) -> Vec<Id> {
        let state = self.state.read();
        let matching = state
            .index
            .iter()
            .filter(|(id, location)| location.kind == kind && id.to_hex().starts_with(hex));
        matching.map(|(id, _)| *id).collect()
    }

    pub fn damage(&self) -> Vec<Damage> {
        self.state.read().damage.clone()
    }

    /// Bytes in the journal, and objects.
    pub fn size(&self) -> (u64, usize) {
        let state = self.state.read();
        let sealed: u64 = state
            .segments
            .range(..state.active)
            .filter_map(|(_, segment)| segment.len().ok())
            .sum();
        (sealed + state.tail, state.index.len())
    }

    /// Runs `body` under the lock, after taking in what others appended.
    fn locked<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut appending = self.appending.lock();
        let Some(directory) = &self.directory else {
            return body();
        };
        if !self.writable {
            return Err(Error::ReadOnly(directory.display().to_string()));
        }
        let path = directory.join("lock");
        if appending.as_ref().is_none_or(|lock| lock.process != std::process::id()) {
            *appending = Some(Lock::open(&path)?);
        }
        let Some(lock) = appending.as_ref() else {
            return Err(Error::Refused("the journal's lock is gone".to_owned()));
        };
        lock.file.lock().map_err(|error| Error::io(&path, error))?;
        let _guard = LockGuard(&lock.file);
        self.refresh()?;
        body()
    }

    /// Appends a frame. Every ref change must find its `old` value: otherwise nothing moves, the
    /// objects are appended alone, and the result is the change that failed with the value found.
    /// A ref that only L2 knows must have been given to `remember_reference` before; if a reload
    /// has forgotten it, the result is `Append::Unknown` and nothing is written.
    pub fn append(&self, frame: &mut FrameBuilder) -> Result<Append> {
        let (outcome, position) = self.locked(|| {
            if let Some(operation) = &frame.operation {
                let state = self.state.read();
                for change in &operation.changes {
                    match state.refs.get(&change.name) {
                        None => return Ok((Append::Unknown, None)),
                        Some(value) if *value == change.old => {}
                        Some(value) => {
                            let failed = change.name.clone();
                            let value = *value;
                            drop(state);
                            frame.without_operation();
                            self.write(frame)?;
                            return Ok((Append::Moved(failed, value), None));
                        }
                    }
                }
            }
            let position = self.write(frame)?;
            Ok((Append::Done, Some(position)))
        })?;
        if let (Durability::Disk, Some(position)) = (self.durability, position) {
            self.sync(position)?;
        }
        Ok(outcome)
    }

    /// Writes a frame at the tail; its end position. The caller holds the lock.
    fn write(&self, frame: &mut FrameBuilder) -> Result<(u64, u64)> {
        let (segment, tail) = self.writable_tail()?;
        frame.finish();
        let bytes = frame.bytes();
        let len = bytes.len() as u64;
        let mut allocated = self.state.read().allocated;
        let written = self
            .preallocate(&segment, &mut allocated, tail + len)
            .and_then(|()| segment.write_at(bytes, tail));
        if let Err(error) = written {
            // What was written of it must not be taken for a torn tail by the next writer.
            segment.truncate(tail)?;
            self.state.write().allocated = tail;
            return Err(error);
        }
        let mut state = self.state.write();
        state.allocated = allocated;
        state.tail = tail + len;
        for (id, offset, len) in &frame.objects {
            let kind = Kind::from_byte(bytes[*offset])?;
            let location = Location {
                segment: segment.number,
                offset: tail + *offset as u64,
                len: *len as u32,
                kind,
            };
            state.index.insert(*id, location);
        }
        if let Some(operation) = &frame.operation {
            for change in &operation.changes {
                match state.refs.get_mut(&change.name) {
                    Some(value) => *value = change.new,
                    None => drop(state.refs.insert(change.name.clone(), change.new)),
                }
            }
        }
        let end = (segment.number, state.tail);
        let full = state.tail > SEGMENT_BYTES_MAX;
        drop(state);
        if full && !frame.sealed && self.rotate().is_err() {
            // The frame is written, so this append has succeeded. The next one first finishes the
            // rotation, and reports what keeps it from that.
            self.state.write().allocated = 0;
        }
        Ok(end)
    }

    fn preallocate(&self, segment: &Segment, allocated: &mut u64, needed: u64) -> Result<()> {
        if self.durability != Durability::Disk || needed <= *allocated {
            return Ok(());
        }
        let from = segment.len()?;
        let to = needed.next_multiple_of(PREALLOCATE_BYTES);
        if to > from {
            segment.write_at(&vec![0; (to - from) as usize], from)?;
        }
        *allocated = to.max(from);
        Ok(())
    }

    /// The active segment and its tail, after discarding a torn tail and finishing a rotation
    /// that a crash interrupted.
    fn writable_tail(&self) -> Result<(Arc<Segment>, u64)> {
        let (segment, tail, allocated) = {
            let state = self.state.read();
            let Some(segment) = state.segments.get(&state.active).cloned() else {
                let reason = "the active segment is gone".to_owned();
                return Err(Error::CorruptJournal { segment: state.active, offset: 0, reason });
            };
            (segment, state.tail, state.allocated)
        };
        if self.directory.is_none() {
            return Ok((segment, tail));
        }
        // One small read tells the common cases: the file ends at the tail, or goes on with zeros
        // that were looked at before. A writer that died has left its frame's first bytes.
        let mut next = [0; frame::HEADER_LEN];
        let read = segment.read_at(&mut next, tail)?;
        if allocated > 0 && (read == 0 || allocated >= tail && is_blank(&next)) {
            return Ok((segment, tail));
        }
        let len = segment.len()?;
        if len < segment::HEADER_LEN {
            let directory = self.directory.as_deref().unwrap_or(Path::new(""));
            Segment::create(directory, segment.number)?;
        } else if len > tail {
            let mut rest = vec![0; (len - tail) as usize];
            let read = segment.read_at(&mut rest, tail)?;
            rest.truncate(read);
            if !is_blank(&rest) {
                self.keep_aside(&segment, tail, &rest)?;
                segment.truncate(tail)?;
            }
        }
        if self.is_sealed(&segment, tail)? {
            return self.open_next(segment.number);
        }
        // Only now: nothing may be appended behind a seal, where nobody would read it.
        self.state.write().allocated = segment.len()?.max(tail);
        Ok((segment, tail))
    }

    /// Whether the last frame before the tail is a seal: then a crash came before the creation of
    /// the next segment.
    fn is_sealed(&self, segment: &Segment, tail: u64) -> Result<bool> {
        let seal_len = frame::HEADER_LEN as u64 + 9;
        if tail < segment::HEADER_LEN + seal_len {
            return Ok(false);
        }
        let mut bytes = vec![0; seal_len as usize];
        segment.read_exact_at(&mut bytes, tail - seal_len)?;
        let intact = intact_frame(&bytes).map(|frame| frame::items(frame).next());
        Ok(matches!(intact, Some(Some(Ok(Item::Seal { .. })))))
    }

    /// Nothing that was ever in the journal is thrown away without a copy.
    fn keep_aside(&self, segment: &Segment, tail: u64, bytes: &[u8]) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let lost = directory.join("lost");
        std::fs::create_dir_all(&lost).map_err(|error| Error::io(&lost, error))?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let path = lost.join(format!("{:016x}-{tail:x}.torn", segment.number));
        std::fs::write(&path, &bytes[..end]).map_err(|error| Error::io(&path, error))
    }

    /// Seals the active segment and opens the next. The caller holds the lock.
    fn rotate(&self) -> Result<()> {
        let number = self.state.read().active;
        let mut seal = FrameBuilder::default();
        seal.seal(number + 1);
        self.write(&mut seal)?;
        self.open_next(number).map(drop)
    }

    fn open_next(&self, number: u64) -> Result<(Arc<Segment>, u64)> {
        let next = number + 1;
        let segment = match &self.directory {
            Some(directory) => {
                // Sealed means on disk: whoever waits for an earlier frame of this segment may
                // take the next segment's position as proof.
                if let Some(sealed) = self.state.read().segments.get(&number) {
                    sealed.sync_data()?;
                }
                Segment::create(directory, next)?
            }
            None => Segment::in_memory(next),
        };
        let segment = Arc::new(segment);
        let mut state = self.state.write();
        state.segments.insert(next, Arc::clone(&segment));
        state.active = next;
        state.tail = segment::HEADER_LEN;
        state.allocated = segment::HEADER_LEN;
        forget_moved(&mut state);
        Ok((segment, segment::HEADER_LEN))
    }

    /// Returns when everything up to `position` is on disk. Whoever comes first syncs for all
    /// that have appended by then (group commit, also over processes).
    fn sync(&self, position: (u64, u64)) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let mut synced = self.synced.lock();
        if *synced >= position {
            return Ok(());
        }
        let path = directory.join("synced");
        let fail = |error| Error::io(&path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail)?;
        file.lock().map_err(fail)?;
        let _guard = LockGuard(&file);
        let mut word = [0; 16];
        if platform::read_at(&file, &mut word, 0).map_err(fail)? == word.len() {
            let (number, offset) = word.split_at(8);
            let number_word: [u8; 8] = number.try_into().unwrap_or_default();
            let offset_word: [u8; 8] = offset.try_into().unwrap_or_default();
            *synced = (u64::from_le_bytes(number_word), u64::from_le_bytes(offset_word));
            if *synced >= position {
                return Ok(());
            }
        }
        let (segment, tail) = {
            let state = self.state.read();
            (state.segments.get(&state.active).cloned(), state.tail)
        };
        let Some(segment) = segment else {
            return Ok(());
        };
        segment.sync_data()?;
        *synced = (segment.number, tail);
        word[..8].copy_from_slice(&segment.number.to_le_bytes());
        word[8..].copy_from_slice(&tail.to_le_bytes());
        platform::write_all_at(&file, &word, 0).map_err(fail)
    }

    /// Seals the active segment if it holds anything, so that maintenance can move it.
    pub fn seal(&self) -> Result<()> {
        self.locked(|| {
            let (_, tail) = self.writable_tail()?;
            match tail > segment::HEADER_LEN {
                true => self.rotate()?,
                false => forget_moved(&mut self.state.write()),
            }
            Ok(())
        })
    }

    /// How many sealed segments wait for maintenance.
    pub fn sealed_count(&self) -> usize {
        self.state.read().segments.len().saturating_sub(1)
    }

    /// Numbers of the sealed segments, oldest first.
    pub fn sealed_segments(&self) -> Vec<u64> {
        let state = self.state.read();
        state.segments.range(..state.active).map(|(number, _)| *number).collect()
    }

    /// The frames of a sealed segment; damaged stretches are left out.
    pub fn sealed_frames(&self, number: u64) -> Result<Vec<SealedFrame>> {
        let segment = self.state.read().segments.get(&number).cloned();
        let Some(segment) = segment else {
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; segment.len()? as usize];
        segment.read_exact_at(&mut bytes, 0)?;
        let mut frames = Vec::new();
        let mut at = segment::HEADER_LEN as usize;
        while at < bytes.len() {
            let Some(frame) = intact_frame(&bytes[at..]) else {
                match next_intact(&bytes[at..]) {
                    Some(skip) => at += skip,
                    None => break,
                }
                continue;
            };
            let position = (number, at as u64);
            let mut found = SealedFrame { position, objects: Vec::new(), operation: None };
            for item in frame::items(frame) {
                match item? {
                    Item::Object { id, record, .. } => found.objects.push((id, record.to_vec())),
                    Item::Operation { bytes } => found.operation = Some(bytes.to_vec()),
                    Item::Seal { .. } => {}
                }
            }
            at += frame.len();
            frames.push(found);
        }
        Ok(frames)
    }

    /// Deletes sealed segments up to and including `number`, which L2 now holds. Damaged ones are
    /// moved to `lost/` instead: they may hold what could not be read.
    pub fn discard(&self, number: u64) -> Result<()> {
        self.locked(|| {
            let mut state = self.state.write();
            let end = (number + 1).min(state.active);
            let gone: Vec<u64> = state.segments.range(..end).map(|(n, _)| *n).collect();
            for number in gone {
                let damaged = state.damage.iter().any(|damage| damage.segment == number);
                if let Some(segment) = state.segments.remove(&number) {
                    remove_segment(&segment, damaged)?;
                }
            }
            let State { segments, index, .. } = &mut *state;
            index.retain(|_, location| segments.contains_key(&location.segment));
            Ok(())
        })
    }
}

/// How an append ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Append {
    Done,
    /// A ref had another value; the objects are kept.
    Moved(Vec<u8>, Option<Id>),
    /// A ref's value must be looked up in L2 first; nothing was written.
    Unknown,
}

/// Drops what is known of segments that maintenance has moved into L2 and deleted.
fn forget_moved(state: &mut State) {
    let State { segments, index, active, .. } = state;
    let before = segments.len();
    segments.retain(|number, segment| number == active || segment.path().is_none_or(Path::exists));
    if segments.len() != before {
        index.retain(|_, location| segments.contains_key(&location.segment));
    }
}

fn remove_segment(segment: &Segment, damaged: bool) -> Result<()> {
    let Some(path) = segment.path() else {
        return Ok(());
    };
    let done = match (damaged, path.parent(), path.file_name()) {
        (true, Some(directory), Some(name)) => {
            let lost = directory.join("lost");
            std::fs::create_dir_all(&lost).and_then(|()| std::fs::rename(path, lost.join(name)))
        }
        _ => std::fs::remove_file(path),
    };
    match done {
        // Another process' maintenance was here.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| Error::io(path, error)),
    }
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

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The frame at the start of `bytes`, if it is whole and its checksum holds.
fn intact_frame(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.first_chunk::<{ frame::HEADER_LEN }>()?;
    let frame = bytes.get(..frame::HEADER_LEN + frame::payload_len(header)?)?;
    frame::is_intact(frame).then_some(frame)
}

/// Where the next intact frame starts, behind at least one byte.
fn next_intact(bytes: &[u8]) -> Option<usize> {
    (1..bytes.len().saturating_sub(frame::HEADER_LEN))
        .filter(|at| bytes[*at..].starts_with(&frame::MAGIC))
        .find(|at| intact_frame(&bytes[*at..]).is_some())
}
