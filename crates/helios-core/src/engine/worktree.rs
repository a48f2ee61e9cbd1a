//! A worktree: a directory on disk that follows a branch.
//!
//! Whoever holds a `Worktree` holds its lock. A file is overwritten or removed only if the index
//! vouches that a stored snapshot has its content; ignored files are never touched.
//!
//! The index describes a stored tree. Where that tree is damaged the index is dropped: everything
//! is read from disk, and a commit writes anew what cannot be read of it. A damaged index is
//! dropped as soon as that is noticed, and what was found by it is looked for again.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::capture::{self, Capture, Seen};
use super::commit::{CommitOptions, Committed, Writer};
use super::{refs, Engine};
use crate::diff::{self, Change};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::metrics::Counter;
use crate::tree::{Entry, EntryKind, Tree};
use crate::vst::Vst;
use crate::worktree::watch::{OuterRules, DIFFERING_MAX};
use crate::worktree::{index, Disk, Index, Known, Reports, ScanOptions, Warning};

/// A token is taken anew where more paths than these were reported since.
const REPORTED_MAX: usize = 256;

pub struct Worktree<'e> {
    pub(super) engine: &'e Engine,
    pub(super) root: PathBuf,
    pub(super) options: ScanOptions,
    index_path: PathBuf,
    pub(super) index: Index,
    /// What could not be read of the tree that the index described.
    damage: Option<Error>,
    /// The epoch of gc in which the index's tree was there.
    epoch: u64,
    /// Whom to ask what has changed; without anybody, everything is scanned.
    pub reports: Option<Reports>,
    /// Whether the last look was at everything because nobody has answered.
    is_unwatched: bool,
    // Unlocked when it is closed.
    _lock: Option<File>,
}

/// What a restore did, or would do.
#[derive(Debug, Default)]
pub struct Restored {
    pub written: Vec<Vec<u8>>,
    pub deleted: Vec<Vec<u8>>,
    pub warnings: Vec<Warning>,
    /// The tree that is on disk then; none of a plan.
    pub tree: Option<Id>,
}

impl<'e> Worktree<'e> {
    /// `directory` holds the worktree's index and lock, and is made if it is not there. An index
    /// that was `kept` is taken if nobody has saved another one since.
    pub fn open(
        engine: &'e Engine,
        root: &Path,
        directory: &Path,
        options: ScanOptions,
        kept: Option<Index>,
    ) -> Result<Worktree<'e>> {
        let index_path = directory.join("index");
        let lock = match engine.journal().is_writable() {
            false => None,
            true => {
                std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
                Some(index::lock(directory)?)
            }
        };
        let epoch = engine.epoch();
        let index = match kept.filter(|index| index.is_at(&index_path)) {
            Some(index) => index,
            None => Index::load(&index_path)?,
        };
        let root = root.to_path_buf();
        let mut worktree = Worktree {
            engine,
            root,
            options,
            index_path,
            index,
            damage: None,
            epoch,
            reports: None,
            is_unwatched: false,
            _lock: lock,
        };
        worktree.check_index()?;
        Ok(worktree)
    }

    /// The index is a cache. One that refers to a tree that is gone cannot be built upon.
    fn check_index(&mut self) -> Result<()> {
        let Some(tree) = self.index.tree else {
            return Ok(());
        };
        if self.engine.is_dead(&tree)? {
            self.index = Index::default();
        } else if let Err(error) = Tree::load(self.engine, &tree) {
            self.index = Index::default();
            self.damage = Some(error);
        }
        Ok(())
    }

    /// Drops an index whose tree is damaged; any other error is given back.
    fn distrust(&mut self, error: Error) -> Result<()> {
        if !error.is_damage() || self.index.tree.is_none() {
            return Err(error);
        }
        self.index = Index::default();
        self.damage = Some(error);
        Ok(())
    }

    fn capture(&mut self, mut writer: Option<&mut Writer<'_>>) -> Result<Capture> {
        let mut outcome = self.try_capture(writer.as_deref_mut());
        if self.index.is_damaged() {
            self.index = Index::default();
            outcome = self.try_capture(writer.as_deref_mut());
        }
        let mut capture = match outcome {
            Err(error) => {
                self.distrust(error)?;
                self.try_capture(writer)?
            }
            Ok(capture) => capture,
        };
        if let Some(damage) = &self.damage {
            let reason = format!("{damage}; `commit` writes anew what is on disk");
            capture.warnings.push(Warning { path: b".helios".to_vec(), reason });
        }
        Ok(capture)
    }

    fn try_capture(&mut self, writer: Option<&mut Writer<'_>>) -> Result<Capture> {
        let (root, options) = (&self.root, &self.options);
        let reports = self.reports.as_ref().filter(|_| self._lock.is_some());
        let answer = reports.and_then(|reports| reports.since(root, options, self.index.token));
        self.is_unwatched = reports.is_some() && answer.is_none();
        capture::capture(self.engine, root, &self.index, options, answer, writer)
    }

    /// Tells the index what was captured, once `tree` is stored, and from when on a watch knows
    /// what has changed since.
    fn learn(&mut self, mut capture: Capture, tree: Id, warnings: &[Warning]) {
        let Some(seen) = capture.seen.take() else {
            capture.teach(&mut self.index, tree);
            self.index.token = None;
            return;
        };
        let (paths, directories) = (capture.learned_paths(), capture.learned_directories());
        capture.teach(&mut self.index, tree);
        let is_old_good = !seen.is_whole && seen.reported <= REPORTED_MAX;
        if is_old_good && paths.is_empty() && warnings.is_empty() {
            // It is not worth a write.
            return;
        }
        let is_own = self.reports.as_ref().is_some_and(Reports::are_own);
        // Others have not seen what only a scan of everything finds.
        let again = if is_own && seen.is_whole { paths } else { Vec::new() };
        self.go_on_from(seen, directories, again, warnings);
    }

    /// Has the watch know the directories that the index knows, and what differs from it.
    fn go_on_from(
        &mut self,
        seen: Seen,
        directories: Vec<Vec<u8>>,
        mut again: Vec<Vec<u8>>,
        warnings: &[Warning],
    ) {
        let Some(reports) = &self.reports else { return };
        let directories = if seen.is_whole { self.directories() } else { directories };
        again.extend(warnings.iter().map(|warning| warning.path.clone()));
        // What is amiss outside of the root nobody watches.
        let is_inside = !warnings.iter().any(|warning| warning.path.starts_with(b"/"));
        if seen.is_whole && reports.are_own() {
            let rules = OuterRules::new(&self.root, &self.options, seen.repositories);
            reports.learn_rules(rules);
        }
        let is_known = is_inside && reports.note(seen.token, &directories, &again);
        self.index.token = is_known.then_some(seen.token);
    }

    pub(super) fn save_index(&mut self) -> Result<()> {
        if self._lock.is_some() {
            let bytes = self.index.save(&self.index_path)?;
            self.engine.metrics().add(Counter::WorktreeBytes, bytes);
        }
        Ok(())
    }

    /// Lets go of the worktree, for whoever opens it next.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// How many entries the last look went over because nobody watches; none if somebody does, or
    /// there was no look.
    pub fn unwatched(&self) -> usize {
        match self.is_unwatched {
            true => self.index.len(),
            false => 0,
        }
    }

    /// Has the next look scan everything, whatever a watch may know.
    pub fn doubt(&mut self) {
        self.index.token = None;
    }

    /// The tree that was on disk when the worktree was last committed or restored.
    pub fn tree(&self) -> Option<Id> {
        self.index.tree
    }

    /// What differs between a snapshot (or nothing) and the disk.
    pub fn status(&mut self, head: Option<Id>) -> Result<(Vec<Change>, Vec<Warning>)> {
        let mut capture = self.capture(None)?;
        let warnings = std::mem::take(&mut capture.warnings);
        let tree = capture.seal()?;
        let seen = capture.seen.take();
        let changes = match head {
            Some(id) if self.engine.snapshot(&id)?.tree == tree => Vec::new(),
            Some(id) => self.changes_since(&id, &capture).map_err(still_committable)?,
            None => diff::trees(&Tree::default(), capture.vst.tree(), self.engine)?,
        };
        let differing = capture.teach_unchanged(&mut self.index);
        match seen {
            Some(seen) if seen.is_whole && differing.len() <= DIFFERING_MAX => {
                self.go_on_from(seen, Vec::new(), differing, &warnings);
            }
            // The token from before is as good as it was, and what differs was reported since.
            _ => {}
        }
        self.save_index()?;
        Ok((changes, warnings))
    }

    fn changes_since(&self, snapshot: &Id, capture: &Capture) -> Result<Vec<Change>> {
        diff::trees(&self.engine.tree(snapshot)?, capture.vst.tree(), self.engine)
    }

    /// Commits what is on disk to a branch, which must still be at `base`, the snapshot that the
    /// disk came from; or to none. Nothing is committed if it equals that, unless the options
    /// allow it or something was `merged`: a further parent.
    pub fn commit(
        &mut self,
        branch: Option<&str>,
        base: Option<Id>,
        merged: Option<Id>,
        options: &CommitOptions,
    ) -> Result<(Committed, Vec<Warning>)> {
        loop {
            match self.try_commit(branch, base, merged, options) {
                // What the index vouches for may be gone, and what was written already too.
                Err(Error::Outdated) => {
                    self.engine.notice_epoch()?;
                    self.epoch = self.engine.epoch();
                    self.check_index()?;
                }
                done => return done,
            }
        }
    }

    fn try_commit(
        &mut self,
        branch: Option<&str>,
        base: Option<Id>,
        merged: Option<Id>,
        options: &CommitOptions,
    ) -> Result<(Committed, Vec<Warning>)> {
        let start = Instant::now();
        let engine = self.engine;
        // Not its tree, which the disk's takes the place of.
        let tree_of = |id: Id| Ok((id, engine.snapshot(&id)?.tree));
        let base = base.map(tree_of).transpose()?;
        let branch = branch.map(refs::branch_ref).transpose()?;
        let mut head = Vst::new(Tree::default(), base, branch);
        head.more_parents.extend(merged);
        let mut writer = Writer::new(engine);
        writer.lower_epoch(self.epoch);
        head.epoch = self.epoch;
        let mut capture = self.capture(Some(&mut writer))?;
        let warnings = std::mem::take(&mut capture.warnings);
        let mut vst = Vst { tree: capture.vst.tree.clone(), ..head };
        vst.paths_added = capture.vst.paths_added;
        vst.path_bytes_added = capture.vst.path_bytes_added;
        // The capture must not share nodes with what is sealed, or they would be copied.
        capture.vst = Vst::default();
        let mut committed = match engine.commit_with(writer, &mut vst, options) {
            Ok(committed) => committed,
            Err(Error::BranchMoved(moved)) => {
                // The snapshot is kept, so the index can vouch for what is on disk.
                if let Some(yours) = &moved.yours {
                    self.learn(capture, engine.snapshot(yours)?.tree, &warnings);
                    self.save_index()?;
                }
                return Err(Error::BranchMoved(moved));
            }
            Err(error @ Error::NotOnDisk { .. }) => {
                if let Some(made) = vst.base() {
                    self.learn(capture, engine.snapshot(&made)?.tree, &warnings);
                    self.save_index()?;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.learn(capture, committed.snapshot.tree, &warnings);
        self.save_index()?;
        // For the caller, scanning and reading are part of it.
        committed.elapsed_ns = start.elapsed().as_nanos() as u64;
        Ok((committed, warnings))
    }

    /// Brings the disk to the tree of a snapshot, or only the given paths. The disk must have been
    /// committed just before: what has changed since is left as it is, with a warning.
    pub fn restore(&mut self, target: &Id, paths: Option<&[Vec<u8>]>) -> Result<Restored> {
        let engine = self.engine;
        let target = engine.tree(target)?;
        let committed = self.index.tree;
        let mut found = self.changes_to(&target);
        let is_damaged = found.as_ref().is_ok_and(|(_, changes)| !self.vouches_for(changes));
        if is_damaged || found.is_err() {
            match found {
                Err(error) => self.distrust(error)?,
                Ok(_) => self.index = Index::default(),
            }
            self.write_anew(committed)?;
            found = self.changes_to(&target);
        }
        let (mut vst, changes) = found?;
        let changes = chosen(changes, paths);
        let mut restore = Restore {
            engine,
            disk: Disk::new(&self.root),
            root: &self.root,
            index: &mut self.index,
            vst: &mut vst,
            result: Restored::default(),
            started_ns: super::commit::now_us().saturating_mul(1000),
        };
        let outcome = restore.run(&changes);
        let mut result = std::mem::take(&mut restore.result);
        // Also after a failure the index must describe what was done until then.
        result.tree = Some(capture::store_tree(engine, &mut vst)?);
        self.index.tree = result.tree;
        if let (Some(token), Some(reports)) = (self.index.token, &self.reports) {
            // One that was there may have been ignored until now.
            let is_directory = |path: &Vec<u8>| {
                self.index.get(path).is_some_and(|known| known.kind == EntryKind::Directory)
            };
            let made: Vec<_> = result.written.iter().filter(|p| is_directory(p)).cloned().collect();
            if !reports.note(token, &made, &[]) {
                self.index.token = None;
            }
        }
        self.save_index()?;
        outcome.map(|()| result)
    }

    /// The tree that the index describes, and what differs in the target.
    fn changes_to(&self, target: &Tree) -> Result<(Vst, Vec<Change>)> {
        let Some(tree) = self.index.tree else {
            return Err(Error::Refused("the worktree must be committed first".to_owned()));
        };
        let mut vst = Vst::new(Tree::load(self.engine, &tree)?, None, None);
        vst.epoch = self.epoch;
        let changes = diff::trees(vst.tree(), target, self.engine)?;
        Ok((vst, changes))
    }

    /// Whether the index could be read where it is about these changes.
    fn vouches_for(&self, changes: &[Change]) -> bool {
        for change in changes {
            self.index.get(&change.path);
        }
        !self.index.is_damaged()
    }

    /// Stores all that is on disk, which must be the tree that was committed.
    fn write_anew(&mut self, committed: Option<Id>) -> Result<()> {
        let mut writer = Writer::new(self.engine);
        writer.lower_epoch(self.epoch);
        let mut capture = self.capture(Some(&mut writer))?;
        capture.vst.epoch = writer.epoch();
        writer.flush()?;
        let tree = capture::store_tree(self.engine, &mut capture.vst)?;
        if committed != Some(tree) {
            let reason = "the files changed while they were being restored; try again";
            return Err(Error::Refused(reason.to_owned()));
        }
        capture.teach(&mut self.index, tree);
        self.index.token = None;
        Ok(())
    }

    /// What `restore` would do.
    pub fn restore_plan(&mut self, target: &Id, paths: Option<&[Vec<u8>]>) -> Result<Restored> {
        let mut capture = self.capture(None)?;
        capture.seal()?;
        let target = self.engine.tree(target)?;
        let changes = diff::trees(capture.vst.tree(), &target, self.engine)?;
        let mut result = Restored { warnings: capture.warnings, ..Restored::default() };
        for change in chosen(changes, paths) {
            match change.new {
                Some(_) => result.written.push(change.path),
                None => result.deleted.push(change.path),
            }
        }
        Ok(result)
    }
}

/// Says of damage in the last snapshot what can be done beside it.
fn still_committable(error: Error) -> Error {
    let (id, reason) = match error {
        Error::ObjectNotFound { id } => (id, "it is missing".to_owned()),
        Error::CorruptObject { id, reason } => (id, reason),
        other => return other,
    };
    let reason = format!("{reason}; `commit` still snapshots what is on disk");
    Error::CorruptObject { id, reason }
}

/// The changes at or below the given paths.
fn chosen(changes: Vec<Change>, paths: Option<&[Vec<u8>]>) -> Vec<Change> {
    let Some(paths) = paths else {
        return changes;
    };
    let is_below = |path: &[u8], above: &[u8]| {
        path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    let is_chosen =
        |path: &[u8]| paths.iter().any(|above| above.is_empty() || is_below(path, above));
    // What comes back needs the directories above it, and a file in their place to go.
    let mut needed: HashSet<Vec<u8>> = HashSet::new();
    for change in changes.iter().filter(|change| change.new.is_some() && is_chosen(&change.path)) {
        let slashes = change.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        needed.extend(slashes.map(|(at, _)| change.path[..at].to_vec()));
    }
    changes
        .into_iter()
        .filter(|change| is_chosen(&change.path) || needed.contains(&change.path))
        .collect()
}

/// One restore in progress.
struct Restore<'a, 'e> {
    engine: &'e Engine,
    disk: Disk,
    root: &'a Path,
    index: &'a mut Index,
    vst: &'a mut Vst,
    result: Restored,
    started_ns: i64,
}

impl Restore<'_, '_> {
    fn run(&mut self, changes: &[Change]) -> Result<()> {
        let is_directory = |entry: &Option<Entry>| {
            entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::Directory)
        };
        // What goes first makes room: files before the directories that held them, deepest first.
        for change in changes.iter().rev() {
            let gone = change.new.is_none();
            if gone && !is_directory(&change.old) {
                self.delete(&change.path)?;
            } else if gone {
                self.delete_directory(&change.path)?;
            }
        }
        for change in changes {
            match &change.new {
                Some(entry) if entry.kind == EntryKind::Directory => {
                    self.create_directory(&change.path)?;
                }
                Some(entry) => self.write(&change.path, entry)?,
                None => {}
            }
        }
        Ok(())
    }

    fn warn(&mut self, path: &[u8], reason: &str) {
        self.result.warnings.push(Warning { path: path.to_vec(), reason: reason.to_owned() });
    }

    fn is_safe(&mut self, path: &[u8]) -> bool {
        let known = self.index.get(path);
        let safe = capture::is_as_known(self.root, path, known);
        if !safe {
            let reason = match known {
                Some(_) => "changed while it was being restored; left as it is",
                None => "an ignored or new file is in the way; left as it is",
            };
            self.warn(path, reason);
        }
        safe
    }

    fn delete(&mut self, path: &[u8]) -> Result<()> {
        if self.is_safe(path) {
            self.disk.remove_file(path)?;
            self.forget(path)?;
        }
        Ok(())
    }

    fn delete_directory(&mut self, path: &[u8]) -> Result<()> {
        // One that still holds ignored files stays.
        if self.disk.remove_directory_if_empty(path)? {
            self.forget(path)?;
        }
        Ok(())
    }

    fn forget(&mut self, path: &[u8]) -> Result<()> {
        self.vst.delete_exact(path, self.engine)?;
        self.index.remove(path);
        self.result.deleted.push(path.to_vec());
        Ok(())
    }

    fn create_directory(&mut self, path: &[u8]) -> Result<()> {
        match self.disk.create_directory(path) {
            Ok(()) => {}
            Err(Error::UnsafePath { reason, .. }) => {
                self.warn(path, &reason);
                return Ok(());
            }
            Err(Error::NotADirectory { .. }) => {
                self.warn(path, "an ignored or new file is in the way; left as it is");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.vst.create_directory(path, self.engine)?;
        let stat = crate::platform::Stat::default();
        let known = Known::new(EntryKind::Directory, stat, Id::UNSEALED, self.started_ns);
        self.index.set(path, known);
        self.result.written.push(path.to_vec());
        Ok(())
    }

    fn write(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        if !self.is_safe(path) {
            return Ok(());
        }
        let stat = match self.engine.write_entry(&self.disk, path, entry, true) {
            Ok(stat) => stat,
            Err(Error::UnsafePath { reason, .. }) => {
                self.warn(path, &reason);
                return Ok(());
            }
            // It was tracked, but could not be removed.
            Err(Error::IsADirectory { .. }) => {
                self.warn(
                    path,
                    "a directory that holds ignored files is in the way; left as it is",
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.vst.set_stored(path, entry, self.engine)?;
        self.index.set(path, Known::new(entry.kind, stat, entry.id, self.started_ns));
        self.result.written.push(path.to_vec());
        Ok(())
    }
}
