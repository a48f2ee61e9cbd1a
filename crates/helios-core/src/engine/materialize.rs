//! Writing a snapshot's files to a directory.

use std::io::Write;
use std::path::Path;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::progress::Phase;
use super::Engine;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::platform::{self, Stat};
use crate::store::chunk::CHUNKED_BYTES_MIN;
use crate::store::record::Chunk;
use crate::store::{Object, ObjectReader};
use crate::threads;
use crate::tree::{Entry, EntryKind, Tree};
use crate::worktree::ignore::Patterns;
use crate::worktree::{Disk, Donor, Warning};

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
    /// How many of the warnings tell of an entry that the file system did not take.
    pub failed: u64,
    pub warnings: Vec<Warning>,
}

/// Told of each entry that was made.
pub(super) type Done<'a> = dyn Fn(&[u8], &Entry, Stat) + Sync + 'a;

/// Where a tree is being written to.
struct Target<'a> {
    disk: Disk,
    donor: Option<&'a Donor>,
    done: &'a Done<'a>,
    passed: Mutex<Passed>,
}

/// What was passed over.
#[derive(Default)]
struct Passed {
    failed: u64,
    warnings: Vec<Warning>,
}

impl Target<'_> {
    fn pass_over<T>(&self, path: &[u8], result: Result<T>) -> Result<Option<T>> {
        let (reason, failed) = match result {
            Ok(done) => return Ok(Some(done)),
            Err(Error::UnsafePath { reason, .. }) => (reason, 0),
            Err(Error::Io { source, .. }) if platform::refuses_entry(&source) => {
                (format!("cannot be written: {source}"), 1)
            }
            // Where names that differ in case only are one.
            Err(Error::NotADirectory { .. } | Error::IsADirectory { .. }) => {
                ("cannot be written: something else is there already".to_owned(), 1)
            }
            Err(error) => return Err(error),
        };
        let mut passed = self.passed.lock();
        passed.failed += failed;
        passed.warnings.push(Warning { path: path.to_vec(), reason });
        Ok(None)
    }
}

impl Engine {
    /// Writes files of a snapshot into `out`, which must be empty or new. Nothing is written
    /// outside of it: entries whose names are unsafe are left out with a warning, and so are those
    /// that the file system does not take.
    pub fn materialize(
        &self,
        snapshot: &Id,
        out: &Path,
        selection: &Selection,
    ) -> Result<Materialized> {
        self.write_tree(&self.tree(snapshot)?, out, selection, None, &|_, _, _| {})
    }

    /// As `materialize`, for a tree. Files that `donor` can give are not written, and `done` is
    /// told of every entry: its path, and the stat data of a file.
    pub(super) fn write_tree(
        &self,
        tree: &Tree,
        out: &Path,
        selection: &Selection,
        donor: Option<&Donor>,
        done: &Done<'_>,
    ) -> Result<Materialized> {
        let (directories, files) = self.select(tree, selection)?;
        std::fs::create_dir_all(out).map_err(|error| Error::io(out, error))?;
        let target = Target { disk: Disk::new(out), donor, done, passed: Mutex::default() };
        for (path, kind) in &directories {
            if target.pass_over(path, target.disk.create_directory(path))?.is_some() {
                let entry = Entry { kind: *kind, id: Id::UNSEALED, size: 0 };
                done(path, &entry, Stat::default());
            }
        }
        self.progress().begin(Phase::Writing, files.len() as u64);
        let batches = batches(&files);
        let written = threads::run(|| {
            batches
                .par_iter()
                .map(|batch| self.write_batch(&target, batch))
                .try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))
        })?;
        let Passed { failed, mut warnings } = target.passed.into_inner();
        warnings.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Materialized { files: written.0, bytes: written.1, failed, warnings })
    }

    /// Directories and files to write, in path order.
    #[allow(clippy::type_complexity)]
    fn select(
        &self,
        tree: &Tree,
        selection: &Selection,
    ) -> Result<(Vec<(Vec<u8>, EntryKind)>, Vec<(Vec<u8>, Entry)>)> {
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
                EntryKind::Directory | EntryKind::Submodule => {
                    directories.push((path.to_vec(), entry.kind));
                }
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
            directories.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            directories.dedup_by(|a, b| a.0 == b.0);
            files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            files.dedup_by(|a, b| a.0 == b.0);
        }
        Ok((directories, files))
    }

    fn write_batch(&self, target: &Target<'_>, batch: &[(Vec<u8>, Entry)]) -> Result<(u64, u64)> {
        let (mut files, mut bytes) = (0, 0);
        let mut left = Vec::with_capacity(batch.len());
        let mut done = |path: &[u8], entry: &Entry, stat| {
            files += 1;
            bytes += entry.size;
            (target.done)(path, entry, stat);
        };
        for (path, entry) in batch {
            match target.donor.and_then(|donor| donor.give(&target.disk, path, entry)) {
                Some(stat) => done(path, entry, stat),
                None => left.push((path, entry)),
            }
        }
        let ids: Vec<Id> = left.iter().map(|(_, entry)| entry.id).collect();
        let large = left.len() == 1 && is_large(left[0].1);
        let objects = if large { Vec::new() } else { self.objects(&ids)? };
        for (at, (path, entry)) in left.into_iter().enumerate() {
            let result = match objects.get(at) {
                Some(object) => write_object(&target.disk, path, entry, object, false),
                None => self.write_entry(&target.disk, path, entry, false),
            };
            if let Some(stat) = target.pass_over(path, result)? {
                done(path, entry, stat);
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
                    .map_err(|error| Error::io(platform::path_from_bytes(path), error))
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

fn add_parents(path: &[u8], directories: &mut Vec<(Vec<u8>, EntryKind)>) {
    for (at, byte) in path.iter().enumerate() {
        if *byte == b'/' && directories.last().is_none_or(|(last, _)| last[..] != path[..at]) {
            directories.push((path[..at].to_vec(), EntryKind::Directory));
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
