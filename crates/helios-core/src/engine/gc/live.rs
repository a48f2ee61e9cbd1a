//! The live set: exact, and in bounded memory.
//!
//! Ids are kept in a hash set. When it is full it is sorted and spilled to a file, and the search
//! goes on in the files too, so what was met before is always recognized: a tree is walked once,
//! however many snapshots share it. The files are read in order when the store is sorted.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::id::{Id, IdSet, ID_LEN};
use crate::platform;

/// What an id costs in a hash set at most: when it grows, the old and the new table are there.
const BYTES_PER_ID: usize = 120;
/// A search looks into each file, so they are merged when there are more.
const RUNS_MAX: usize = 8;
const READ_IDS: usize = 4096;

pub struct LiveSet {
    recent: IdSet,
    recent_max: usize,
    runs: Vec<Run>,
    directory: Option<PathBuf>,
    runs_made: u64,
    /// Ids whose sizes are not known yet, if that matters, and the sum of the others'.
    unmeasured: Vec<Id>,
    measured: u64,
    measures: bool,
}

impl LiveSet {
    /// A set that takes at most `memory_bytes`; without a directory to spill to there is no bound.
    pub fn new(memory_bytes: usize, directory: Option<PathBuf>) -> LiveSet {
        let recent_max = (memory_bytes / BYTES_PER_ID).max(1);
        LiveSet {
            recent: IdSet::default(),
            recent_max,
            runs: Vec::new(),
            directory,
            runs_made: 0,
            unmeasured: Vec::new(),
            measured: 0,
            measures: false,
        }
    }

    /// From now on `measure` will be asked, before much comes together.
    pub fn begin_to_measure(&mut self) {
        self.measures = true;
    }

    pub fn contains(&self, id: &Id) -> Result<bool> {
        if self.recent.contains(id) {
            return Ok(true);
        }
        for run in &self.runs {
            if run.contains(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds an id; false if it was there already.
    pub fn insert(&mut self, id: Id) -> Result<bool> {
        if self.contains(&id)? {
            return Ok(false);
        }
        if self.recent.len() >= self.recent_max && self.directory.is_some() {
            self.spill()?;
        }
        if self.measures {
            self.unmeasured.push(id);
        }
        Ok(self.recent.insert(id))
    }

    /// The sum of what `size_of` says of the ids that came since it was asked the last time, and of
    /// the earlier ones.
    pub fn measure(&mut self, size_of: &mut dyn FnMut(&[Id]) -> Result<u64>) -> Result<u64> {
        for batch in self.unmeasured.chunks(READ_IDS) {
            self.measured += size_of(batch)?;
        }
        self.unmeasured = Vec::new();
        Ok(self.measured)
    }

    /// Ids in memory, and files.
    pub fn extent(&self) -> (usize, usize) {
        (self.recent.len(), self.runs.len())
    }

    fn spill(&mut self) -> Result<()> {
        let mut ids: Vec<Id> = self.recent.drain().collect();
        ids.sort_unstable();
        let mut out = self.create()?;
        for id in &ids {
            out.push(id)?;
        }
        out.flush()?;
        self.runs.push(out);
        if self.runs.len() > RUNS_MAX {
            self.merge()?;
        }
        Ok(())
    }

    fn create(&mut self) -> Result<Run> {
        let directory = self.directory.as_deref().unwrap_or(Path::new(""));
        self.runs_made += 1;
        Run::create(directory.join(format!("live-{}.tmp", self.runs_made)))
    }

    /// Makes one file of all.
    fn merge(&mut self) -> Result<()> {
        let mut out = self.create()?;
        {
            let mut cursors: Vec<Cursor<'_>> = self.runs.iter().map(Cursor::new).collect();
            loop {
                let mut least: Option<(usize, Id)> = None;
                for (at, cursor) in cursors.iter_mut().enumerate() {
                    if let Some(id) = cursor.peek()? {
                        if least.is_none_or(|(_, other)| id < other) {
                            least = Some((at, id));
                        }
                    }
                }
                let Some((at, id)) = least else {
                    break;
                };
                out.push(&id)?;
                cursors[at].at += 1;
            }
        }
        out.flush()?;
        self.runs = vec![out];
        Ok(())
    }
}

/// Sorted ids in a file, which is deleted with it.
struct Run {
    file: File,
    path: PathBuf,
    count: u64,
    pending: Vec<u8>,
}

impl Run {
    fn create(path: PathBuf) -> Result<Run> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&path).map_err(|error| Error::io(&path, error))?;
        Ok(Run { file, path, count: 0, pending: Vec::new() })
    }

    fn push(&mut self, id: &Id) -> Result<()> {
        self.pending.extend_from_slice(id.as_bytes());
        match self.pending.len() >= READ_IDS * ID_LEN {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        platform::write_all_at(&self.file, &self.pending, self.count * ID_LEN as u64)
            .map_err(|error| Error::io(&self.path, error))?;
        self.count += (self.pending.len() / ID_LEN) as u64;
        self.pending = Vec::new();
        Ok(())
    }

    fn read(&self, from: u64, buffer: &mut [u8]) -> Result<()> {
        platform::read_exact_at(&self.file, buffer, from * ID_LEN as u64)
            .map_err(|error| Error::io(&self.path, error))
    }

    fn contains(&self, id: &Id) -> Result<bool> {
        let (mut low, mut high) = (0, self.count);
        let mut found = [0; ID_LEN];
        while low < high {
            let middle = low + (high - low) / 2;
            self.read(middle, &mut found)?;
            match found.cmp(id.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What stays behind is removed by the next gc.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads a run in order.
struct Cursor<'r> {
    run: &'r Run,
    buffer: Vec<u8>,
    at: usize,
    next: u64,
}

impl<'r> Cursor<'r> {
    fn new(run: &'r Run) -> Cursor<'r> {
        Cursor { run, buffer: Vec::new(), at: 0, next: 0 }
    }

    fn peek(&mut self) -> Result<Option<Id>> {
        if self.at * ID_LEN >= self.buffer.len() {
            let count = (self.run.count - self.next).min(READ_IDS as u64);
            self.buffer.resize(count as usize * ID_LEN, 0);
            self.run.read(self.next, &mut self.buffer)?;
            (self.at, self.next) = (0, self.next + count);
        }
        let found = self.buffer.get(self.at * ID_LEN..(self.at + 1) * ID_LEN);
        found.map(Id::from_slice).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_spilled_set_is_exact_and_bounded(
            keys in proptest::collection::vec(0u16..300, 0..600),
            in_memory_max in 1usize..20,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().to_path_buf();
            let mut live = LiveSet::new(in_memory_max * BYTES_PER_ID, Some(path.clone()));
            let mut model = IdSet::default();
            for key in keys {
                let id = Id::of_blob(&key.to_le_bytes());
                prop_assert_eq!(live.insert(id).unwrap(), model.insert(id));
                let (recent, runs) = live.extent();
                prop_assert!(recent <= in_memory_max && runs <= RUNS_MAX);
            }
            for key in 0u16..300 {
                let id = Id::of_blob(&key.to_le_bytes());
                prop_assert_eq!(live.contains(&id).unwrap(), model.contains(&id));
            }
            drop(live);
            prop_assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
        }
    }
}
