//! A watch that snapshots nothing: it only knows what has changed, for those who ask.
//!
//! It has no index of its own. What a worktree's index knows it watches; once in a while it scans
//! everything and reports what differs from that index again, whether the system has or not.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::tree::EntryKind;
use crate::worktree::index::{self, Index};
use crate::worktree::status::{status, Status};
use crate::worktree::watch::{OuterRules, State, Watcher, DIFFERING_MAX};
use crate::worktree::ScanOptions;

pub struct Monitor {
    watcher: Watcher,
    root: PathBuf,
    /// Where the worktree's index and lock are.
    directory: PathBuf,
    options: ScanOptions,
}

impl Monitor {
    /// Watches the root alone, at first, and listens in `watch` below `directory`, which holds the
    /// worktree's index. Fails where the system has no inotify, or no more of it.
    pub fn new(root: &Path, directory: &Path, options: ScanOptions) -> Result<Monitor> {
        let watcher = Watcher::new(root, &directory.join("watch"), true)?;
        let (root, directory) = (root.to_path_buf(), directory.to_path_buf());
        Ok(Monitor { watcher, root, directory, options })
    }

    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Whether it has nothing to say before it has looked at everything.
    pub fn is_at_a_loss(&self) -> bool {
        self.watcher.state().lock().is_at_a_loss()
    }

    /// Looks at everything. Whether it has anything to say of this directory. Fails if the root
    /// cannot be listed, or there are more directories than the system watches.
    pub fn look(&self) -> Result<bool> {
        let state = self.watcher.state();
        let index = {
            // Whoever has had a directory watched has saved the index that knows it, or this look
            // begins before.
            let _lock = index::lock(&self.directory)?;
            if state.lock().begin_look(None).is_none() {
                return Ok(false);
            }
            Index::load(&self.directory.join("index"))?
        };
        let found = status(&self.root, &self.options, &index)?;
        if !index.is_damaged() {
            let rules = OuterRules::new(&self.root, &self.options, found.repositories.clone());
            state.lock().take_over(rules, &index, found)?;
        }
        Ok(true)
    }
}

impl State {
    /// Goes by what a scan of everything has found, which began after `begin_look`, and by the
    /// index that it was compared with.
    pub fn take_over(&mut self, rules: OuterRules, index: &Index, found: Status) -> Result<()> {
        let is_directory = |kind| kind == EntryKind::Directory;
        let new: Vec<Vec<u8>> = (found.suspects.iter().filter(|new| is_directory(new.kind)))
            .map(|new| new.path.clone())
            .collect();
        let suspects = found.suspects.into_iter().map(|suspect| suspect.path);
        let mut differing: Vec<Vec<u8>> = suspects.chain(found.deleted).collect();
        differing.sort_unstable();
        // One that is gone, or no directory any more, might lead to somewhere else by now.
        let is_as_known = |path: &[u8]| differing.binary_search_by(|p| p[..].cmp(path)).is_err();
        let known = index.iter().filter(|(_, known)| is_directory(known.kind));
        let known = known.map(|(path, _)| path).filter(|path| is_as_known(path));
        let directories: Vec<Vec<u8>> = known.map(<[u8]>::to_vec).chain(new).collect();
        differing.extend(found.warnings.into_iter().map(|warning| warning.path));
        self.learn_rules(rules);
        match differing.len() <= DIFFERING_MAX {
            true => self.report(&differing),
            false => self.doubt(),
        }
        self.cover(&directories, |path| index.get(path).is_some(), true)?;
        Ok(())
    }
}
