//! Filling the directory of a new worktree, and looking at one that is to be removed.

use std::path::Path;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::materialize::{Materialized, Selection};
use super::progress::Phase;
use super::worktree::Worktree;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::platform::{self, Stat};
use crate::threads;
use crate::tree::{Entry, EntryKind, Tree};
use crate::worktree::donor::without_caches;
use crate::worktree::ignore::Patterns;
use crate::worktree::index::CLOCK_TICK_NS;
use crate::worktree::{ignored, status, Disk, Donor, Found, Index, Known, ScanOptions, Warning};

/// Names the ignored files that come along into a new worktree, in gitignore's syntax.
const INCLUDE_FILE: &str = ".worktreeinclude";

/// What a new worktree was filled with.
#[derive(Debug, Default)]
pub struct Populated {
    pub materialized: Materialized,
    /// Files, of both kinds, that share their content with the main worktree's.
    pub shared: u64,
    /// Ignored files that came along.
    pub carried: u64,
}

impl Worktree<'_> {
    /// Writes a snapshot into this worktree, which is a new and empty directory, and brings chosen
    /// ignored files along from the main worktree. `main_index` is that one's index.
    ///
    /// The index is taught all of it, and nothing as racy: nobody else writes to a directory that
    /// is not a worktree yet, and a clock tick passes before this returns.
    pub fn populate(
        &mut self,
        snapshot: &Id,
        main: &Path,
        main_index: &Path,
        carried_index: &Path,
    ) -> Result<Populated> {
        let engine = self.engine;
        let donor = Donor::new(main, Index::load(main_index)?);
        let tree_id = engine.snapshot(snapshot)?.tree;
        let tree = Tree::load(engine, &tree_id)?;
        let learned: Mutex<Vec<(Vec<u8>, Known)>> = Mutex::default();
        let done = |path: &[u8], entry: &Entry, stat: Stat| {
            let known = Known { kind: entry.kind, stat, id: entry.id, racy: false };
            learned.lock().push((path.to_vec(), known));
        };
        let everything = Selection::default();
        let mut materialized =
            engine.write_tree(&tree, &self.root, &everything, Some(&donor), &done)?;
        let carried = self.carry(&donor, main, &tree, &mut materialized.warnings)?;
        thread::sleep(Duration::from_nanos(CLOCK_TICK_NS.unsigned_abs()));
        for (path, known) in unchanged(&self.root, learned.into_inner()) {
            self.index.set(&path, known);
        }
        self.index.tree = Some(tree_id);
        self.save_index()?;
        let mut index = Index::default();
        for found in &carried {
            let known = Known { kind: found.kind, stat: found.stat, id: Id::UNSEALED, racy: false };
            index.set(&found.path, known);
        }
        index.save(carried_index)?;
        let carried = carried.len() as u64;
        Ok(Populated { materialized, shared: donor.shared(), carried })
    }

    /// Brings the ignored files that `.worktreeinclude` names; those that came along.
    fn carry(
        &self,
        donor: &Donor,
        main: &Path,
        tree: &Tree,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Found>> {
        let Some(patterns) = read_patterns(&main.join(INCLUDE_FILE), warnings) else {
            return Ok(Vec::new());
        };
        // In the main worktree its own rules hold.
        let options = ScanOptions { main: None, ..self.options.clone() };
        let wanted = |path: &[u8], is_directory: bool| patterns.is_match(path, is_directory);
        let chosen = ignored(main, &options, &wanted)?;
        warnings.extend(chosen.unreadable);
        let disk = Disk::new(&self.root);
        let (directories, files): (Vec<_>, Vec<_>) =
            chosen.found.into_iter().partition(|found| found.kind == EntryKind::Directory);
        for directory in &directories {
            make_directories(&disk, &directory.path, true, warnings)?;
        }
        for file in &files {
            make_directories(&disk, &file.path, false, warnings)?;
        }
        self.engine.progress().begin(Phase::Writing, files.len() as u64);
        let outcomes: Vec<Result<bool>> = threads::run(|| {
            files
                .par_iter()
                .with_min_len(16)
                .map(|found| {
                    self.engine.progress().step(1);
                    donor.carry(&disk, found)
                })
                .collect()
        });
        let mut carried = Vec::with_capacity(files.len());
        for (found, outcome) in files.into_iter().zip(outcomes) {
            match outcome {
                Ok(true) => carried.push(found.path),
                // The snapshot has something there.
                Ok(false) => {}
                Err(error) if is_of_one_file(&error) => {
                    let reason = format!("did not come along: {error}");
                    warnings.push(Warning { path: found.path, reason });
                }
                Err(error) => return Err(error),
            }
        }
        self.drop_exposed(carried, tree, warnings)
    }

    /// What is not ignored here, by the rules of this snapshot, would be committed: it goes again.
    fn drop_exposed(
        &self,
        mut carried: Vec<Vec<u8>>,
        tree: &Tree,
        warnings: &mut Vec<Warning>,
    ) -> Result<Vec<Found>> {
        carried.sort_unstable();
        let visible = status(&self.root, &self.options, &Index::default())?;
        let disk = Disk::new(&self.root);
        // Backwards, so that a directory comes after what is in it.
        for found in visible.suspects.into_iter().rev() {
            if found.kind == EntryKind::Directory {
                if tree.find(&found.path, self.engine)?.is_none() {
                    disk.remove_directory_if_empty(&found.path)?;
                }
            } else if let Ok(at) = carried.binary_search(&found.path) {
                disk.remove_file(&found.path)?;
                let path = carried.remove(at);
                let reason = "did not come along: it is not ignored on this branch".to_owned();
                warnings.push(Warning { path, reason });
            }
        }
        let stat = |path: Vec<u8>| {
            let metadata =
                std::fs::symlink_metadata(self.root.join(platform::path_from_bytes(&path))).ok()?;
            let kind = match metadata.is_symlink() {
                true => EntryKind::Symlink,
                false => EntryKind::File,
            };
            Some(Found { path, kind, stat: platform::stat_of(&metadata) })
        };
        Ok(carried.into_iter().filter_map(stat).collect())
    }

    /// Ignored files that would be lost with the directory: not those that came along and are
    /// unchanged, nor what can be made again.
    pub fn leftovers(&self, carried_index: &Path) -> Result<Vec<Vec<u8>>> {
        let carried = Index::load(carried_index)?;
        let everything = ignored(&self.root, &self.options, &|_, _| true)?;
        let is_lost = |found: &Found| {
            found.kind != EntryKind::Directory
                && carried.get(&found.path).is_none_or(|known| known.stat != found.stat)
        };
        let found = without_caches(&self.root, everything.found);
        let lost = found.into_iter().filter(is_lost).map(|found| found.path);
        Ok(lost.chain(everything.unreadable.into_iter().map(|warning| warning.path)).collect())
    }

    /// Every directory that the index knows, without the root.
    pub fn directories(&self) -> Vec<Vec<u8>> {
        let directories = self.index.iter().filter(|(_, k)| k.kind == EntryKind::Directory);
        directories.map(|(path, _)| path.to_vec()).collect()
    }

    /// Whether the index knows the path.
    pub fn knows(&self, path: &[u8]) -> bool {
        self.index.get(path).is_some()
    }
}

fn read_patterns(file: &Path, warnings: &mut Vec<Warning>) -> Option<Patterns> {
    let read = platform::open_no_follow(file).and_then(|mut file| {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut content)?;
        Ok(content)
    });
    match read {
        Ok(content) => Some(Patterns::of_file(&content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let path = INCLUDE_FILE.as_bytes().to_vec();
            let reason = format!("cannot be read: {error}; no ignored files came along");
            warnings.push(Warning { path, reason });
            None
        }
    }
}

/// Makes the directories above a path, and the path itself where it is one.
fn make_directories(
    disk: &Disk,
    path: &[u8],
    itself: bool,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let above = (0..path.len()).filter(|at| path[*at] == b'/');
    for end in above.chain(itself.then_some(path.len())) {
        match disk.create_directory(&path[..end]) {
            Ok(()) => {}
            Err(error) if is_of_one_file(&error) => {
                let reason = format!("did not come along: {error}");
                warnings.push(Warning { path: path.to_vec(), reason });
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the rest can come along although this path cannot.
fn is_of_one_file(error: &Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match error {
        Error::Io { source, .. } => {
            matches!(source.kind(), NotFound | NotADirectory | PermissionDenied)
        }
        Error::UnsafePath { .. } | Error::NotADirectory { .. } | Error::IsADirectory { .. } => true,
        _ => false,
    }
}

/// The entries that are still as they were written.
fn unchanged(root: &Path, learned: Vec<(Vec<u8>, Known)>) -> Vec<(Vec<u8>, Known)> {
    let is_unchanged = |(path, known): &(Vec<u8>, Known)| {
        let place = root.join(platform::path_from_bytes(path));
        let is_there = |metadata: std::fs::Metadata| platform::stat_of(&metadata) == known.stat;
        !known.kind.has_content() || std::fs::symlink_metadata(place).is_ok_and(is_there)
    };
    threads::run(|| {
        let mut kept: Vec<_> = learned.into_par_iter().filter(is_unchanged).collect();
        kept.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
        kept
    })
}
