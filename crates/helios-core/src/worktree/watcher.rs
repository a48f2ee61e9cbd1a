//! Tells that something in a worktree may have changed, by inotify.
//!
//! What it tells is a hint to scan, never what has changed. Every directory that a scan reports has
//! a watch, ignored ones and `.helios` have none. Watches are set after a scan, so `cover` says
//! whether it set any: then a change may have gone unnoticed, and it takes another scan to be sure.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::platform::{self, Event, Watches};
use crate::worktree::path;

/// Paths that are remembered between two scans; of more than these, none is known as ignored.
const TOUCHED_MAX: usize = 4096;

pub struct Watcher {
    root: PathBuf,
    watches: Watches,
    /// The directory of each watch, and the other way round.
    directories: HashMap<i32, Vec<u8>>,
    numbers: HashMap<Vec<u8>, i32>,
    /// What was reported since the last scan.
    touched: HashSet<Vec<u8>>,
    /// What was reported, is there, and yet is in no snapshot: what happens to it wakes nobody.
    ignored: HashSet<Vec<u8>>,
}

impl Watcher {
    /// Watches the root alone, at first. Fails where the system has no inotify, or no more of it.
    pub fn new(root: &Path) -> Result<Watcher> {
        let watches = Watches::new().map_err(|error| Error::io(root, error))?;
        let mut watcher = Watcher {
            root: root.to_path_buf(),
            watches,
            directories: HashMap::new(),
            numbers: HashMap::new(),
            touched: HashSet::new(),
            ignored: HashSet::new(),
        };
        watcher.add(b"")?;
        Ok(watcher)
    }

    /// Becomes readable when there is something to take in.
    pub fn descriptor(&self) -> i32 {
        self.watches.descriptor()
    }

    /// Takes in what was reported; whether any of it may matter. Something may be left to take in.
    pub fn take(&mut self) -> Result<bool> {
        let events = self.watches.read().map_err(|error| Error::io(&self.root, error))?;
        let mut matters = false;
        for event in events {
            matters |= self.take_one(event);
        }
        Ok(matters)
    }

    fn take_one(&mut self, event: Event) -> bool {
        let Some(directory) = self.directories.get(&event.watch).cloned() else {
            // Of a watch that has just been taken off, or of none.
            return event.is_overflow;
        };
        if event.is_over {
            self.directories.remove(&event.watch);
            if self.numbers.get(&directory) == Some(&event.watch) {
                self.numbers.remove(&directory);
            }
            return true;
        }
        let path = match &event.name {
            // This one comes and goes with the worktree.
            Some(name) if directory.is_empty() && name == b".helios" => return true,
            Some(name) if path::is_private(name) => return false,
            Some(name) => join(&directory, name),
            None => directory,
        };
        if self.ignored.contains(&path) {
            return false;
        }
        if event.is_new_directory {
            self.add_below(path.clone());
        }
        if self.touched.len() < TOUCHED_MAX {
            self.touched.insert(path);
        }
        true
    }

    /// After a scan: watches these directories and no others; whether one is new. `knows` says
    /// whether the scan reported a path, and `changed` whether it found a difference.
    pub fn cover(
        &mut self,
        directories: &[Vec<u8>],
        knows: impl Fn(&[u8]) -> bool,
        changed: bool,
    ) -> Result<bool> {
        if changed {
            // Perhaps of the rules.
            self.ignored.clear();
        }
        let touched = std::mem::take(&mut self.touched);
        if touched.len() < TOUCHED_MAX {
            let is_there = |path: &Vec<u8>| self.on_disk(path).symlink_metadata().is_ok();
            let is_ignored = |path: &Vec<u8>| !path.is_empty() && !knows(path) && is_there(path);
            let ignored = touched.into_iter().filter(is_ignored);
            let ignored: Vec<Vec<u8>> = ignored.collect();
            self.ignored.extend(ignored);
        }
        let wanted: HashSet<&[u8]> = directories.iter().map(|path| &path[..]).collect();
        let is_stale = |path: &&Vec<u8>| !path.is_empty() && !wanted.contains(&path[..]);
        let stale: Vec<Vec<u8>> = self.numbers.keys().filter(is_stale).cloned().collect();
        for path in stale {
            if let Some(number) = self.numbers.remove(&path) {
                self.directories.remove(&number);
                self.watches.remove(number);
            }
        }
        let mut is_new = self.add(b"")?;
        for path in directories {
            is_new |= self.add(path)?;
        }
        Ok(is_new)
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(platform::path_from_bytes(path))
    }

    /// Sets a watch; whether there was none. One that is gone is passed over.
    fn add(&mut self, path: &[u8]) -> Result<bool> {
        if self.numbers.contains_key(path) {
            return Ok(false);
        }
        let place = self.on_disk(path);
        let number = match self.watches.add(&place) {
            Ok(number) => number,
            Err(error) if is_gone(&error) && !path.is_empty() => return Ok(false),
            Err(error) => return Err(Error::io(&place, error)),
        };
        // A directory that was moved keeps its watch, and its number.
        if let Some(before) = self.directories.insert(number, path.to_vec()) {
            self.numbers.remove(&before);
        }
        self.numbers.insert(path.to_vec(), number);
        Ok(true)
    }

    /// Watches a new directory and those in it at once, so that a burst in them is seen to go on.
    /// It may be ignored; the next `cover` takes these watches off again.
    fn add_below(&mut self, path: Vec<u8>) {
        let mut left = vec![path];
        while let Some(path) = left.pop() {
            // Whatever fails here, `cover` meets and reports.
            if !matches!(self.add(&path), Ok(true)) {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(self.on_disk(&path)) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = platform::name_bytes(&name);
                let is_directory = entry.file_type().is_ok_and(|file_type| file_type.is_dir());
                if is_directory && !path::is_private(&name) {
                    left.push(join(&path, &name));
                }
            }
        }
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::fs;

    struct Place {
        place: tempfile::TempDir,
        watcher: Watcher,
    }

    impl Place {
        /// A watched root with the directory `a` and what a scan has said of it.
        fn new() -> Place {
            let place = tempfile::tempdir().unwrap();
            fs::create_dir(place.path().join("a")).unwrap();
            let mut watcher = Watcher::new(place.path()).unwrap();
            assert!(watcher.cover(&[b"a".to_vec()], |_| true, true).unwrap());
            let mut place = Place { place, watcher };
            assert!(!place.take());
            place
        }

        fn write(&self, path: &str) {
            fs::write(self.place.path().join(path), path).unwrap();
        }

        fn make(&self, path: &str) {
            fs::create_dir_all(self.place.path().join(path)).unwrap();
        }

        /// Events of a call are there when it returns.
        fn take(&mut self) -> bool {
            self.watcher.take().unwrap()
        }

        fn cover(&mut self, directories: &[&str], known: &[&str], changed: bool) -> bool {
            let directories: Vec<_> = directories.iter().map(|d| d.as_bytes().to_vec()).collect();
            let knows = |path: &[u8]| known.iter().any(|known| known.as_bytes() == path);
            self.watcher.cover(&directories, knows, changed).unwrap()
        }
    }

    #[test]
    fn what_happens_in_a_covered_directory_matters() {
        let mut place = Place::new();
        place.write("a/file");
        assert!(place.take() && !place.take());
        fs::rename(place.place.path().join("a/file"), place.place.path().join("file")).unwrap();
        assert!(place.take() && !place.take());
        fs::remove_file(place.place.path().join("file")).unwrap();
        assert!(place.take() && !place.take());
    }

    #[test]
    fn what_is_private_does_not_matter() {
        let mut place = Place::new();
        place.make(".git/objects");
        place.make("a/.git/objects");
        place.write(".git/objects/1");
        place.make("a/.helios");
        place.write(".helios-tmp-1-1");
        assert!(!place.take());
    }

    #[test]
    fn that_the_worktree_goes_matters() {
        let mut place = Place::new();
        place.make(".helios/journal");
        assert!(place.take());
        place.write(".helios/journal/1");
        assert!(!place.take());
        fs::remove_dir_all(place.place.path().join(".helios")).unwrap();
        assert!(place.take());
        let other = tempfile::tempdir().unwrap();
        fs::rename(place.place.path(), other.path().join("moved")).unwrap();
        assert!(place.take());
    }

    #[test]
    fn a_new_directory_is_watched_at_once_with_those_in_it() {
        let mut place = Place::new();
        place.make("new/deep/er");
        assert!(place.take() && !place.take());
        place.write("new/deep/er/file");
        assert!(place.take() && !place.take());
        assert!(!place.cover(&["a", "new", "new/deep", "new/deep/er"], &[], true));
    }

    #[test]
    fn a_directory_that_a_scan_finds_first_is_new() {
        let mut place = Place::new();
        place.make("new");
        assert!(place.cover(&["a", "new"], &[], true));
        assert!(!place.cover(&["a", "new"], &[], true));
        assert!(!place.cover(&["a", "gone"], &[], true));
    }

    #[test]
    fn a_directory_that_moved_is_watched_under_its_new_name() {
        let mut place = Place::new();
        place.make("a/deep");
        assert!(place.take());
        fs::rename(place.place.path().join("a"), place.place.path().join("b")).unwrap();
        assert!(place.take());
        assert!(!place.cover(&["b", "b/deep"], &[], true));
        place.write("b/deep/file");
        assert!(place.take());
    }

    #[test]
    fn what_no_scan_reports_wakes_nobody_until_something_changes() {
        let mut place = Place::new();
        place.write("ignored.log");
        assert!(place.take());
        assert!(!place.cover(&["a"], &[], false));
        place.write("ignored.log");
        assert!(!place.take());
        place.write("ignored.log");
        place.write("a/file");
        assert!(place.take());
        // Perhaps the change was one of the rules.
        assert!(!place.cover(&["a"], &["a/file"], true));
        place.write("ignored.log");
        assert!(place.take());
    }

    #[test]
    fn a_file_that_is_gone_by_the_time_of_the_scan_is_not_taken_for_ignored() {
        let mut place = Place::new();
        place.write("a/file");
        fs::remove_file(place.place.path().join("a/file")).unwrap();
        assert!(place.take());
        assert!(!place.cover(&["a"], &[], false));
        place.write("a/file");
        assert!(place.take());
    }

    #[test]
    fn directories_that_are_no_longer_reported_are_not_watched() {
        let mut place = Place::new();
        assert!(!place.cover(&[], &[], false));
        place.write("a/file");
        assert!(!place.take());
        assert!(place.cover(&["a"], &[], false));
    }
}
