//! Writing a snapshot's files to a directory.

use std::io::Write;
use std::path::Path;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::progress::Phase;
use super::Engine;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::platform::Stat;
use crate::store::chunk::CHUNKED_BYTES_MIN;
use crate::store::record::Chunk;
use crate::store::{Object, ObjectReader};
use crate::threads;
use crate::tree::{Entry, EntryKind};
use crate::worktree::ignore::Patterns;
use crate::worktree::{Disk, Warning};

/// Files that one task fetches and writes together.
const BATCH_FILES: usize = 128;
/// And the bytes of them that it may hold at once.
const BATCH_BYTES: u64 = 16 << 20;

/// Which part of a snapshot to write; everything by default.
#[derive(Default)]
pub struct Selection {
    /// In gitignore's syntax: only what matches, unless there is none.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// Files and directories of the snapshot.
    pub paths: Option<Vec<Vec<u8>>>,
}

#[derive(Debug, Default)]
pub struct Materialized {
    pub files: u64,
    pub bytes: u64,
    pub warnings: Vec<Warning>,
}

impl Engine {
    /// Writes files of a snapshot into `out`, which must be empty or new. Nothing is written
    /// outside of it: entries whose names are unsafe are left out with a warning.
    pub fn materialize(
        &self,
        snapshot: &Id,
        out: &Path,
        selection: &Selection,
    ) -> Result<Materialized> {
        let (directories, files) = self.select(snapshot, selection)?;
        std::fs::create_dir_all(out).map_err(|error| Error::io(out, error))?;
        let disk = Disk::new(out);
        let warnings = Mutex::new(Vec::new());
        for path in &directories {
            pass_over_unsafe(path, disk.create_directory(path), &warnings)?;
        }
        self.progress().begin(Phase::Writing, files.len() as u64);
        let batches = batches(&files);
        let written = threads::run(|| {
            batches
                .par_iter()
                .map(|batch| self.write_batch(&disk, batch, &warnings))
                .try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))
        })?;
        let mut warnings = warnings.into_inner();
        warnings.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Materialized { files: written.0, bytes: written.1, warnings })
    }

    /// Directories and files to write, in path order.
    #[allow(clippy::type_complexity)]
    fn select(
        &self,
        snapshot: &Id,
        selection: &Selection,
    ) -> Result<(Vec<Vec<u8>>, Vec<(Vec<u8>, Entry)>)> {
        let tree = self.tree(snapshot)?;
        let include = Patterns::new(&selection.include);
        let exclude = Patterns::new(&selection.exclude);
        let filtered = !selection.include.is_empty() || selection.paths.is_some();
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        let mut take = |path: &[u8], entry: &Entry| {
            let is_directory = entry.kind == EntryKind::Directory;
            let included = selection.include.is_empty() || include.is_match(path, is_directory);
            if !included || exclude.is_match(path, is_directory) {
                return;
            }
            if filtered {
                add_parents(path, &mut directories);
            }
            match entry.kind {
                EntryKind::Directory | EntryKind::Submodule => directories.push(path.to_vec()),
                _ => files.push((path.to_vec(), *entry)),
            }
        };
        let roots = match &selection.paths {
            Some(paths) => paths.clone(),
            None => vec![Vec::new()],
        };
        for root in roots {
            if !root.is_empty() {
                let found = tree.find(&root, self)?;
                let path = String::from_utf8_lossy(&root).into_owned();
                let found = found.ok_or(Error::PathNotFound { path })?;
                take(&root, &found.entry);
                if found.directory.is_none() {
                    continue;
                }
            }
            tree.walk(&root, self, &mut |path, entry, _| {
                take(path, entry);
                Ok(())
            })?;
        }
        if filtered {
            directories.sort_unstable();
            directories.dedup();
            files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            files.dedup_by(|a, b| a.0 == b.0);
        }
        Ok((directories, files))
    }

    fn write_batch(
        &self,
        disk: &Disk,
        batch: &[(Vec<u8>, Entry)],
        warnings: &Mutex<Vec<Warning>>,
    ) -> Result<(u64, u64)> {
        let ids: Vec<Id> = batch.iter().map(|(_, entry)| entry.id).collect();
        let large = batch.len() == 1 && is_large(&batch[0].1);
        let objects = if large { Vec::new() } else { self.objects(&ids)? };
        let (mut files, mut bytes) = (0, 0);
        for (at, (path, entry)) in batch.iter().enumerate() {
            let result = match objects.get(at) {
                Some(object) => write_object(disk, path, entry, object, false),
                None => self.write_entry(disk, path, entry, false),
            };
            if pass_over_unsafe(path, result, warnings)?.is_some() {
                files += 1;
                bytes += entry.size;
            }
        }
        self.progress().step(batch.len() as u64);
        Ok((files, bytes))
    }

    /// Writes one file or symlink. A large one passes through memory chunk by chunk, and is put in
    /// place only if the whole matches its id.
    pub(super) fn write_entry(
        &self,
        disk: &Disk,
        path: &[u8],
        entry: &Entry,
        replace: bool,
    ) -> Result<Stat> {
        if entry.kind == EntryKind::Submodule {
            disk.create_directory(path)?;
            return Ok(Stat::default());
        }
        let chunks = if is_large(entry) { self.chunks(&entry.id)? } else { None };
        let Some(chunks) = chunks else {
            return write_object(disk, path, entry, &self.object(&entry.id)?, replace);
        };
        let write = |file: &mut dyn Write| -> Result<()> {
            self.each_chunk(&entry.id, &chunks, &mut |bytes| {
                file.write_all(bytes)
                    .map_err(|error| Error::io(crate::platform::path_from_bytes(path), error))
            })
        };
        let executable = entry.kind == EntryKind::Executable;
        match replace {
            true => disk.replace_file_with(path, executable, write),
            false => disk.create_file_with(path, executable, write),
        }
    }
}

impl Engine {
    /// Gives the content of a blob in pieces, so that a large one never is in memory as a whole.
    /// That the pieces are the blob is known, and an error if not, only behind the last.
    pub fn each_piece(&self, id: &Id, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.chunks(id)? {
            Some(chunks) => self.each_chunk(id, &chunks, visit),
            None => visit(&self.object(id)?.bytes),
        }
    }

    fn each_chunk(
        &self,
        id: &Id,
        chunks: &[Chunk],
        visit: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut whole = blake3::Hasher::new();
        for chunk in chunks {
            let object = self.object(&chunk.id)?;
            whole.update(&object.bytes);
            visit(&object.bytes)?;
        }
        match whole.finalize().as_bytes() == id.as_bytes() {
            true => Ok(()),
            false => {
                let reason = "its chunks do not match its id".to_owned();
                Err(Error::CorruptObject { id: *id, reason })
            }
        }
    }
}

fn is_large(entry: &Entry) -> bool {
    entry.size > CHUNKED_BYTES_MIN as u64
}

fn write_object(
    disk: &Disk,
    path: &[u8],
    entry: &Entry,
    object: &Object,
    replace: bool,
) -> Result<Stat> {
    let executable = entry.kind == EntryKind::Executable;
    match (entry.kind, replace) {
        (EntryKind::Symlink, _) => disk.symlink(path, &object.bytes),
        (_, true) => disk.replace_file(path, &object.bytes, executable),
        (_, false) => disk.create_file(path, &object.bytes, executable),
    }
}

fn pass_over_unsafe<T>(
    path: &[u8],
    result: Result<T>,
    warnings: &Mutex<Vec<Warning>>,
) -> Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(Error::UnsafePath { reason, .. }) => {
            warnings.lock().push(Warning { path: path.to_vec(), reason });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn add_parents(path: &[u8], directories: &mut Vec<Vec<u8>>) {
    for (at, byte) in path.iter().enumerate() {
        if *byte == b'/' && directories.last().is_none_or(|last| last[..] != path[..at]) {
            directories.push(path[..at].to_vec());
        }
    }
}

/// Batches of neighbours; a large file is one by itself.
fn batches(files: &[(Vec<u8>, Entry)]) -> Vec<&[(Vec<u8>, Entry)]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, (_, entry)) in files.iter().enumerate() {
        let alone = is_large(entry);
        if at > from && (alone || at - from >= BATCH_FILES || bytes + entry.size > BATCH_BYTES) {
            batches.push(&files[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += entry.size;
        if alone {
            batches.push(&files[from..=at]);
            (from, bytes) = (at + 1, 0);
        }
    }
    if from < files.len() {
        batches.push(&files[from..]);
    }
    batches
}
