//! That the watched way finds what a scan of everything finds, whatever happens between.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::platform::Event;
use crate::tree::EntryKind;
use crate::worktree::{status, status_of, Index, Known, Status};

#[derive(Debug, Clone)]
enum Step {
    Write(String, u8),
    Remove(String),
    MakeDirectory(String),
    Rename(String, String),
    Link(String),
    Chmod(String, u32),
    Ignore(String, &'static str),
    Exclude(String, &'static str),
    /// Somebody asks, and says whether the index learns what is found.
    Ask(bool),
    /// The watch itself looks; whether at everything.
    Look(bool),
    /// The same by the index of those who ask, as a monitor does.
    Survey,
    Overflow,
}

fn path() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["a", "a.", "b", "b-", "out", "x.log"]);
    prop::collection::vec(names, 1..4).prop_map(|names| names.join("/"))
}

fn directory() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(String::new()), 3 => path().prop_map(|path| path + "/")]
}

fn rules() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "out\n", "*.log\n", "a\n!a/b\n", "b-\n"])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (path(), any::<u8>()).prop_map(|(path, content)| Step::Write(path, content)),
        3 => path().prop_map(Step::Remove),
        3 => path().prop_map(Step::MakeDirectory),
        4 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => path().prop_map(Step::Link),
        1 => (path(), prop::sample::select(vec![0o644, 0o755]))
            .prop_map(|(path, mode)| Step::Chmod(path, mode)),
        1 => (directory(), rules()).prop_map(|(path, rules)| Step::Ignore(path, rules)),
        1 => (directory(), rules()).prop_map(|(path, rules)| Step::Exclude(path, rules)),
        6 => any::<bool>().prop_map(Step::Ask),
        2 => any::<bool>().prop_map(Step::Look),
        2 => Just(Step::Survey),
        1 => Just(Step::Overflow),
    ]
}

/// Does what it can; what cannot be done is left.
fn change(root: &Path, step: &Step) {
    let at = |path: &str| root.join(path);
    let _ = match step {
        Step::Write(path, content) => fs::write(at(path), [*content]),
        Step::Remove(path) => match at(path).symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(at(path)),
            _ => fs::remove_file(at(path)),
        },
        Step::MakeDirectory(path) => fs::create_dir_all(at(path)),
        Step::Rename(from, to) => fs::rename(at(from), at(to)),
        Step::Link(path) => symlink("a", at(path)),
        Step::Chmod(path, mode) => match at(path).symlink_metadata() {
            Ok(found) if found.is_file() => {
                fs::set_permissions(at(path), fs::Permissions::from_mode(*mode))
            }
            _ => Ok(()),
        },
        Step::Ignore(path, rules) => fs::write(at(path).join(".gitignore"), rules),
        Step::Exclude(path, rules) if at(path).is_dir() => {
            let _ = fs::create_dir_all(at(path).join(".git/info"));
            fs::write(at(path).join(".git/info/exclude"), rules)
        }
        _ => Ok(()),
    };
}

/// A worktree, its watch, and two indexes of it: of those who ask, and of the watch.
struct Place {
    directory: tempfile::TempDir,
    state: State,
    options: ScanOptions,
    asked_partly: u32,
}

fn learn(index: &mut Index, found: &Status) -> Vec<Vec<u8>> {
    for path in &found.deleted {
        index.remove(path);
    }
    for each in &found.suspects {
        // Not racy, or it would be looked at again without having been reported.
        let id = Id::of_blob(&each.path);
        let known = Known { kind: each.kind, stat: each.stat, id, racy: false };
        index.set(&each.path, known);
    }
    let directories = found.suspects.iter().filter(|each| each.kind == EntryKind::Directory);
    directories.map(|each| each.path.clone()).collect()
}

fn directories(index: &Index) -> Vec<Vec<u8>> {
    let found = index.iter().filter(|(_, known)| known.kind == EntryKind::Directory);
    found.map(|(path, _)| path.to_vec()).collect()
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        let state = State::new(directory.path()).unwrap();
        Place { directory, state, options: ScanOptions::default(), asked_partly: 0 }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn scan(&self, index: &Index) -> Status {
        status(self.root(), &self.options, index).unwrap()
    }

    fn ask(&mut self, index: &mut Index, learns: bool) {
        let answer = self.state.since(place(self.root()).unwrap(), index.token);
        let rules = answer.as_ref().and_then(|answer| answer.rules.as_ref());
        let holds = rules.is_some_and(|rules| rules.hold(self.root(), &self.options));
        let answer = answer.filter(|_| holds);
        let token = answer.as_ref().map(|answer| answer.token);
        let paths = answer.and_then(|answer| answer.paths);
        let is_whole = paths.is_none();
        let all = self.scan(index);
        let found = match paths {
            Some(paths) => {
                self.asked_partly += 1;
                status_of(self.root(), &self.options, index, paths).unwrap()
            }
            None => self.scan(index),
        };
        assert_eq!(found.suspects, all.suspects);
        assert_eq!(found.deleted, all.deleted);
        if !learns {
            return;
        }
        let mut new = learn(index, &found);
        if is_whole {
            new = directories(index);
        }
        index.token = token.filter(|token| self.state.note(*token, &new, &[]));
    }

    /// As the watch does.
    fn look(&mut self, index: &mut Index, is_whole: bool) {
        let token = index.token.filter(|_| !is_whole);
        let mut answer = self.state.begin_look(token).unwrap();
        if !answer.rules.as_ref().is_some_and(|rules| rules.hold(self.root(), &self.options)) {
            answer.paths = None;
        }
        let (found, new) = match answer.paths {
            Some(paths) => {
                let found = status_of(self.root(), &self.options, index, paths).unwrap();
                let new = learn(index, &found);
                (found, new)
            }
            None => {
                let found = self.scan(index);
                learn(index, &found);
                let repositories = found.repositories.clone();
                self.state.learn_rules(OuterRules::new(self.root(), &self.options, repositories));
                (found, directories(index))
            }
        };
        index.token = self.state.note(answer.token, &new, &[]).then_some(answer.token);
        let all: Vec<Vec<u8>> = directories(index);
        let knows = |path: &[u8]| index.get(path).is_some();
        self.state.cover(&all, knows, !found.suspects.is_empty()).unwrap();
        assert!(self.scan(index).suspects.is_empty() && self.scan(index).deleted.is_empty());
    }

    /// As a monitor does.
    fn survey(&mut self, index: &Index) {
        self.state.begin_look(None).unwrap();
        let found = self.scan(index);
        let rules = OuterRules::new(self.root(), &self.options, found.repositories.clone());
        self.state.take_over(rules, index, found).unwrap();
    }

    /// The reports that are queued are lost.
    fn overflow(&mut self) {
        self.state.drop_queued();
        self.state.take_one(Event {
            watch: -1,
            name: None,
            is_moving_directory: false,
            is_new_directory: false,
            is_over: false,
            is_overflow: true,
        });
    }
}

proptest! {
    #[test]
    fn the_watched_way_finds_what_a_scan_of_everything_finds(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut place = Place::new();
        let (mut asked, mut own) = (Index::default(), Index::default());
        place.look(&mut own, true);
        place.ask(&mut asked, true);
        for step in steps {
            match step {
                Step::Ask(learns) => place.ask(&mut asked, learns),
                Step::Look(is_whole) => place.look(&mut own, is_whole),
                Step::Survey => place.survey(&asked),
                Step::Overflow => place.overflow(),
                change_of_the_disk => change(place.root(), &change_of_the_disk),
            }
        }
        place.ask(&mut asked, true);
    }
}

#[test]
fn what_was_asked_before_is_not_looked_at_again() {
    let mut place = Place::new();
    let (mut asked, mut own) = (Index::default(), Index::default());
    place.look(&mut own, true);
    place.ask(&mut asked, true);
    fs::write(place.root().join("a/b/file"), "1").unwrap();
    place.ask(&mut asked, true);
    let here = super::place(place.root()).unwrap();
    let answer = place.state.since(here, asked.token).unwrap();
    assert_eq!(answer.paths, Some(vec![]));
    fs::write(place.root().join("a/file"), "1").unwrap();
    let answer = place.state.since(here, asked.token).unwrap();
    assert_eq!(answer.paths, Some(vec![b"a/file".to_vec()]));
    assert_eq!(place.asked_partly, 1);
    assert!(place.state.since((1, 2), asked.token).is_none());
}

#[test]
fn a_directory_that_was_ignored_and_is_wanted_now_is_reported_from_then_on() {
    let mut place = Place::new();
    let (mut asked, mut own) = (Index::default(), Index::default());
    fs::create_dir(place.root().join("out")).unwrap();
    fs::write(place.root().join(".gitignore"), "out\n").unwrap();
    place.look(&mut own, true);
    place.ask(&mut asked, true);
    fs::remove_file(place.root().join(".gitignore")).unwrap();
    place.ask(&mut asked, true);
    fs::write(place.root().join("out/file"), "1").unwrap();
    place.ask(&mut asked, true);
    assert!(asked.get(b"out/file").is_some());
    fs::write(place.root().join("out/file"), "22").unwrap();
    place.ask(&mut asked, true);
    assert!(place.asked_partly >= 3);
}

#[test]
fn a_memory_map_is_reported_when_it_ends() {
    let mut place = Place::new();
    let (mut asked, mut own) = (Index::default(), Index::default());
    let path = place.root().join("a/mapped");
    fs::write(&path, [0; 4096]).unwrap();
    place.look(&mut own, true);
    place.ask(&mut asked, true);
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    // SAFETY: nobody shortens the file while it is mapped, and any byte is valid.
    let mut map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
    drop(file);
    map[0] = 1;
    drop(map);
    let here = super::place(place.root()).unwrap();
    let answer = place.state.since(here, asked.token).unwrap();
    assert_eq!(answer.paths, Some(vec![b"a/mapped".to_vec()]));
}

#[test]
fn a_repository_of_git_whose_coming_was_not_reported_is_noticed() {
    let mut place = Place::new();
    let (mut asked, mut own) = (Index::default(), Index::default());
    place.look(&mut own, true);
    place.ask(&mut asked, true);
    change(place.root(), &Step::Exclude(String::new(), "*.log\n"));
    place.overflow();
    change(place.root(), &Step::Write("x.log".to_owned(), 0));
    place.ask(&mut asked, true);
    change(place.root(), &Step::Exclude(String::new(), ""));
    place.ask(&mut asked, true);
    assert!(asked.get(b"x.log").is_some());
    // It is part of what is compared after the watch's next scan.
    place.look(&mut own, true);
    place.ask(&mut asked, true);
    place.ask(&mut asked, true);
    assert_eq!(place.asked_partly, 1);
}
