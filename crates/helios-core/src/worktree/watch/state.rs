//! The watches of a worktree's directories, and what they have reported.
//!
//! A report wakes whoever snapshots the worktree, and is remembered for those who ask. Every
//! directory that a scan finds has a watch, ignored ones and `.helios` have none. Watches are set
//! after a scan, so `cover` says whether it set any: then something may have gone unnoticed, and it
//! takes another look to be sure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::platform::{self, Event, Watches};
use crate::worktree::ignore::{GIT_IGNORE, HELIOS_IGNORE};
use crate::worktree::path;
use crate::worktree::watch::history::History;
use crate::worktree::watch::{place, Answer, OuterRules, Place, Token};

/// Paths that are remembered between two looks; of more than these, none is known as ignored.
const TOUCHED_MAX: usize = 4096;
/// The system queues fewer reports than these, unless they come faster than they are taken in.
const READS_MAX: usize = 1024;

struct Watch {
    number: i32,
    /// What had been seen when somebody last said that the directory matters.
    wanted: u64,
}

pub struct State {
    /// For messages: it may have moved.
    shown: PathBuf,
    /// The root that was opened, wherever it is by now.
    root: PathBuf,
    place: Option<Place>,
    _opened: File,
    watches: Watches,
    /// The directories of each watch: more than one only where one is reached by several ways.
    directories: HashMap<i32, Vec<Vec<u8>>>,
    by_path: BTreeMap<Vec<u8>, Watch>,
    history: History,
    /// None: somebody has to scan everything.
    rules: Option<OuterRules>,
    /// The system does not report all that happens here.
    is_blind: bool,
    /// Something that may matter was reported since it was last asked for.
    is_woken: bool,
    /// How often others have asked what has changed.
    questions: u64,
    /// What had been seen when the last look began.
    look: u64,
    /// What was reported since the last look.
    touched: HashSet<Vec<u8>>,
    /// What was reported, is there, and yet is in no snapshot: what happens to it wakes nobody.
    ignored: HashSet<Vec<u8>>,
}

impl State {
    /// Watches the root alone, at first. Fails where the system has no inotify, or no more of it.
    pub fn new(root: &Path) -> Result<State> {
        let fail = |error| Error::io(root, error);
        let watches = Watches::new().map_err(fail)?;
        let opened = File::open(root).map_err(fail)?;
        let mut state = State {
            shown: root.to_path_buf(),
            root: platform::opened_directory(&opened, root),
            place: place(root),
            is_blind: !platform::reports_all(&opened),
            _opened: opened,
            watches,
            directories: HashMap::new(),
            by_path: BTreeMap::new(),
            history: History::new().map_err(fail)?,
            rules: None,
            is_woken: false,
            questions: 0,
            look: 0,
            touched: HashSet::new(),
            ignored: HashSet::new(),
        };
        state.add(b"").map_err(fail)?;
        Ok(state)
    }

    /// A descriptor that becomes readable when there is something to take in.
    #[cfg(target_os = "linux")]
    pub fn descriptor(&self) -> io::Result<std::os::fd::OwnedFd> {
        self.watches.descriptor()
    }

    /// Takes in all that is queued.
    pub fn take_in(&mut self) {
        for _ in 0..READS_MAX {
            match self.watches.read() {
                Ok(events) if events.is_empty() => return,
                Ok(events) => {
                    for event in events {
                        self.is_woken |= self.take_one(event);
                    }
                }
                Err(_) => break,
            }
        }
        self.lose();
    }

    /// Reports were lost, or come too fast to be taken in. A watch may be at another path by now;
    /// each is set anew when somebody names its directory.
    fn lose(&mut self) {
        let is_below = |path: &&Vec<u8>| !path.is_empty();
        for path in self.by_path.keys().filter(is_below).cloned().collect::<Vec<_>>() {
            self.forget_watch(&path);
        }
        self.rules = None;
        self.history.forget();
        self.is_woken = true;
    }

    /// As if the queue had been too short for what it holds.
    #[cfg(test)]
    pub(super) fn drop_queued(&mut self) {
        while self.watches.read().is_ok_and(|events| !events.is_empty()) {}
    }

    /// Whether something that may matter was reported since this was last asked.
    pub fn take(&mut self) -> bool {
        self.take_in();
        std::mem::take(&mut self.is_woken)
    }

    pub fn is_woken(&self) -> bool {
        self.is_woken
    }

    /// Whether nobody can be answered before somebody has scanned everything.
    pub fn is_at_a_loss(&self) -> bool {
        self.rules.is_none()
    }

    /// How often somebody has asked.
    pub fn questions(&self) -> u64 {
        self.questions
    }

    pub(super) fn take_one(&mut self, event: Event) -> bool {
        if event.is_overflow {
            self.lose();
            return true;
        }
        // None of a watch that has just been taken off.
        let directories = self.directories.get(&event.watch).cloned().unwrap_or_default();
        let mut matters = false;
        for directory in directories {
            matters |= self.take_at(directory, &event);
        }
        matters
    }

    fn take_at(&mut self, directory: Vec<u8>, event: &Event) -> bool {
        if event.is_over {
            self.history.touch(&directory);
            self.forget_watch(&directory);
            if self.on_disk(&directory).is_dir() {
                // Unmounted, perhaps: what is there now has no watch.
                self.lose();
            }
            return true;
        }
        let path = match &event.name {
            // This one comes and goes with the worktree.
            Some(name) if directory.is_empty() && name == b".helios" => return true,
            Some(name) if name == b".git" => {
                // Its rules, if it has any, have no watch.
                self.rules = None;
                self.history.touch(&directory);
                return false;
            }
            Some(name) if path::is_private(name) => return false,
            Some(name) => {
                if [GIT_IGNORE, HELIOS_IGNORE].contains(&&name[..]) {
                    self.history.touch(&directory);
                }
                join(&directory, name)
            }
            None => directory,
        };
        self.history.touch(&path);
        if event.is_moving_directory {
            self.forget_below(&path);
        }
        if event.is_new_directory {
            self.add_below(path.clone());
        }
        if self.ignored.contains(&path) {
            return false;
        }
        if self.touched.len() < TOUCHED_MAX {
            self.touched.insert(path);
        }
        true
    }

    // For those who ask

    /// What was reported since a token. None where reports say nothing, or of another directory.
    pub fn since(&mut self, place: Place, token: Option<Token>) -> Option<Answer> {
        self.questions += 1;
        match self.place == Some(place) {
            true => self.answer(token),
            false => None,
        }
    }

    /// The same for the watch itself; `cover` is to follow.
    pub fn begin_look(&mut self, token: Option<Token>) -> Option<Answer> {
        let answer = self.answer(token);
        // What was reported until now, this look sees.
        self.is_woken = false;
        self.look = self.history.token().seen;
        answer
    }

    fn answer(&mut self, token: Option<Token>) -> Option<Answer> {
        self.take_in();
        if self.is_blind {
            return None;
        }
        let paths = token.and_then(|token| self.history.after(token));
        Some(Answer { token: self.history.token(), paths, rules: self.rules.clone() })
    }

    /// Watches directories that somebody has found, and reports paths again that somebody knows to
    /// differ from an index. Whether all was done.
    pub fn note(&mut self, token: Token, directories: &[Vec<u8>], again: &[Vec<u8>]) -> bool {
        if token.watch != self.history.token().watch {
            return false;
        }
        for path in directories {
            match self.want(path) {
                Ok(_) => {}
                // That it went was reported, or the directory above is new here, too.
                Err(error) if is_missing(&error) => {}
                Err(_) => return false,
            }
        }
        self.report(again);
        true
    }

    /// Something may have happened to these paths, whatever the system says.
    pub fn report(&mut self, paths: &[Vec<u8>]) {
        for path in paths {
            self.history.touch(path);
        }
    }

    /// Something may have happened to any path.
    pub fn doubt(&mut self) {
        self.history.forget();
    }

    /// A scan of everything has found these rules. If they have changed, nothing that was found by
    /// the old ones stands.
    pub fn learn_rules(&mut self, rules: OuterRules) {
        if self.rules.as_ref() != Some(&rules) {
            self.history.forget();
            self.rules = Some(rules);
        }
    }

    // After a look

    /// Watches these directories and no others; whether one is new. `knows` says whether the look
    /// has found a path, and `changed` whether it has found a difference.
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
        // What is newer than the look, it could not find.
        let is_stale = |path: &[u8], watch: &Watch| {
            !path.is_empty() && watch.wanted <= self.look && !wanted.contains(path)
        };
        let stale = self.by_path.iter().filter(|(path, watch)| is_stale(path, watch));
        for path in stale.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.forget_watch(&path);
        }
        let mut is_new = false;
        for path in directories {
            is_new |= match self.want(path) {
                Ok(is_new) => is_new,
                Err(error) if is_missing(&error) => false,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
                Err(error) => return Err(Error::io(self.shown_place(path), error)),
            };
        }
        Ok(is_new)
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(platform::path_from_bytes(path))
    }

    fn shown_place(&self, path: &[u8]) -> PathBuf {
        self.shown.join(platform::path_from_bytes(path))
    }

    // Watches

    /// Has a directory watched from now on, if it is not yet; then all that it holds counts as
    /// reported. Whether it was not.
    fn want(&mut self, path: &[u8]) -> io::Result<bool> {
        if let Some(watch) = self.by_path.get_mut(path) {
            watch.wanted = self.history.tick();
            return Ok(false);
        }
        self.add(path)?;
        self.history.touch(path);
        Ok(true)
    }

    fn add(&mut self, path: &[u8]) -> io::Result<()> {
        let place = self.on_disk(path);
        let number = self.watches.add(&place)?;
        let wanted = self.history.tick();
        self.by_path.insert(path.to_vec(), Watch { number, wanted });
        let ways = self.directories.entry(number).or_default();
        if !ways.iter().any(|way| way == path) {
            ways.push(path.to_vec());
        }
        if !path.is_empty() && !self.is_same_file_system(&place) {
            self.is_blind = true;
        }
        // One that came together with its directory was not reported.
        let is_known = self.rules.as_ref().is_some_and(|rules| rules.include(path));
        if !is_known && place.join(".git").symlink_metadata().is_ok() {
            self.rules = None;
        }
        Ok(())
    }

    fn is_same_file_system(&self, directory: &Path) -> bool {
        let device = |place: Option<Place>| place.map(|(device, _)| device);
        device(place(directory)).is_none_or(|found| Some(found) == device(self.place))
    }

    fn forget_watch(&mut self, path: &[u8]) {
        let Some(Watch { number, .. }) = self.by_path.remove(path) else { return };
        if let Some(ways) = self.directories.get_mut(&number) {
            ways.retain(|way| way != path);
            if ways.is_empty() {
                self.directories.remove(&number);
                self.watches.remove(number);
            }
        }
    }

    /// A directory came or went: whatever had a watch at its path is something else now.
    fn forget_below(&mut self, path: &[u8]) {
        let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
        let range = (Bound::Included(from), Bound::Excluded(to));
        let below: Vec<Vec<u8>> = self.by_path.range(range).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.forget_watch(&path);
        }
        self.forget_watch(path);
    }

    /// Watches a new directory and those in it at once, so that nothing that follows goes
    /// unnoticed. It may be ignored; the next `cover` takes these watches off again.
    fn add_below(&mut self, path: Vec<u8>) {
        let mut left = vec![path];
        while let Some(path) = left.pop() {
            if self.by_path.contains_key(&path) {
                continue;
            }
            match self.add(&path) {
                Ok(()) => {}
                Err(error) if is_missing(&error) => continue,
                Err(_) => {
                    // What happens there will not be known; `cover` meets the reason.
                    self.history.forget();
                    continue;
                }
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

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::fs;

    struct Place {
        place: tempfile::TempDir,
        watcher: State,
    }

    impl Place {
        /// A watched root with the directory `a` and what a scan has said of it.
        fn new() -> Place {
            let place = tempfile::tempdir().unwrap();
            fs::create_dir(place.path().join("a")).unwrap();
            let mut watcher = State::new(place.path()).unwrap();
            watcher.begin_look(None);
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
            self.watcher.take()
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
        // Of the look that is over, it may be newer.
        assert!(!place.cover(&[], &[], false));
        place.watcher.begin_look(None);
        assert!(!place.cover(&[], &[], false));
        place.write("a/file");
        assert!(!place.take());
        assert!(place.cover(&["a"], &[], false));
    }
}
