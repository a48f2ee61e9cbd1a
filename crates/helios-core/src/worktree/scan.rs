//! A scan: everything in a worktree that is not ignored, with its stat data.
//!
//! Every file is examined with one `lstat` relative to its open directory, no file is opened except
//! ignore files, and those only where the listing of the directory shows them. Directories are
//! spread over threads; a very large one is split. The walk is our own, on rayon: the parallel
//! walker of the crate `ignore` alone costs 1.5 times a bare readdir and lstat of 100,000 files,
//! because it queues every file as a piece of work and examines it by its full path.
//!
//! Nested repositories are walked like other directories: their files are plain files, and outer
//! rules and their own both apply. What cannot be seen gives a warning, not an error, and is named
//! in
//! `Scan::unreadable`, so that it is never taken for deleted.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::platform::{self, Stat};
use crate::threads;
use crate::tree::EntryKind;
use crate::worktree::ignore::{self, Rules, GIT_IGNORE, HELIOS_IGNORE};
use crate::worktree::{kind_of, path};

/// Entries of one directory that one task examines.
const ENTRIES_PER_TASK: usize = 2048;

#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// `core.excludesFile`: rules of the lowest precedence. It need not exist.
    pub excludes_file: Option<PathBuf>,
    /// 0: as many as the machine can run at once.
    pub threads: usize,
}

/// One entry on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub path: Vec<u8>,
    pub kind: EntryKind,
    pub stat: Stat,
}

/// Something that the scan left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub path: Vec<u8>,
    pub reason: String,
}

#[derive(Debug, Default)]
pub struct Scan {
    /// Files, symlinks and directories (without the root), sorted by path bytes.
    pub found: Vec<Found>,
    /// Sorted by path bytes.
    pub warnings: Vec<Warning>,
    /// Paths at and below which nothing could be seen, sorted: what was known there stands.
    pub unreadable: Vec<Vec<u8>>,
    /// Wall clock when the scan began, in nanoseconds since 1970.
    pub started_ns: i64,
}

/// Lists what is under `root`. Fails only if the root itself cannot be listed.
pub fn scan(root: &Path, options: &ScanOptions) -> Result<Scan> {
    let started_ns = wall_clock_ns();
    let walk = Walk { root, results: Mutex::default() };
    let mut rules = Rules::default();
    if let Some(file) = &options.excludes_file {
        if let Some(content) = walk.read_rules(file, &platform::path_bytes(file)) {
            rules.add_exclude(&content, b"");
        }
    }
    let entries = list(root).map_err(|error| Error::io(root, error))?;
    let run = || rayon::scope(|scope| walk.examine_all(scope, b"", entries, rules));
    match options.threads {
        0 => threads::run(run),
        threads => rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::io(root, io::Error::other(error)))?
            .install(run),
    }
    let mut results = walk.results.into_inner();
    let mut found = Vec::with_capacity(results.batches.iter().map(Vec::len).sum());
    for batch in &mut results.batches {
        found.append(batch);
    }
    threads::run(|| found.par_sort_unstable_by(|left, right| left.path.cmp(&right.path)));
    results.warnings.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    results.unreadable.sort_unstable();
    Ok(Scan { found, warnings: results.warnings, unreadable: results.unreadable, started_ns })
}

fn wall_clock_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

fn list(directory: &Path) -> io::Result<Vec<DirEntry>> {
    fs::read_dir(directory)?.collect()
}

/// Whether the error says that the entry went away while the scan ran.
fn has_vanished(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[derive(Default)]
struct Results {
    batches: Vec<Vec<Found>>,
    warnings: Vec<Warning>,
    unreadable: Vec<Vec<u8>>,
}

struct Walk<'a> {
    root: &'a Path,
    results: Mutex<Results>,
}

impl Walk<'_> {
    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(platform::path_from_bytes(path))
    }

    fn warn(&self, path: &[u8], reason: impl Into<String>) {
        let warning = Warning { path: path.to_vec(), reason: reason.into() };
        self.results.lock().warnings.push(warning);
    }

    fn unreadable(&self, path: &[u8], error: &io::Error) {
        self.warn(path, format!("cannot be read: {error}; what was known there is kept"));
        self.results.lock().unreadable.push(path.to_vec());
    }

    /// Reports a directory once its listing shows that it is one, then its entries.
    fn visit<'scope>(&'scope self, scope: &rayon::Scope<'scope>, directory: Found, rules: Rules) {
        let entries = match list(&self.on_disk(&directory.path)) {
            Ok(entries) => entries,
            Err(error) if has_vanished(&error) => return,
            Err(error) => {
                self.unreadable(&directory.path, &error);
                self.results.lock().batches.push(vec![directory]);
                return;
            }
        };
        let mut prefix = directory.path.clone();
        prefix.push(b'/');
        self.results.lock().batches.push(vec![directory]);
        self.examine_all(scope, &prefix, entries, rules);
    }

    fn examine_all<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        prefix: &[u8],
        entries: Vec<DirEntry>,
        mut rules: Rules,
    ) {
        self.add_rules(prefix, &entries, &mut rules);
        if entries.len() <= ENTRIES_PER_TASK {
            self.examine(scope, prefix, &entries, &rules);
        } else {
            entries
                .par_chunks(ENTRIES_PER_TASK)
                .for_each(|chunk| self.examine(scope, prefix, chunk, &rules));
        }
    }

    /// Adds the rules of the ignore files in a directory.
    fn add_rules(&self, prefix: &[u8], entries: &[DirEntry], rules: &mut Rules) {
        for entry in entries {
            let name = entry.file_name();
            let name = platform::name_bytes(&name);
            // As in git, a symlink in the tree cannot pose as an ignore file.
            let is_file = || entry.file_type().is_ok_and(|file_type| file_type.is_file());
            let shown = [prefix, &name].concat();
            match &*name {
                GIT_IGNORE if is_file() => {
                    if let Some(content) = self.read_rules(&entry.path(), &shown) {
                        rules.add_git(&content, prefix);
                    }
                }
                HELIOS_IGNORE if is_file() => {
                    if let Some(content) = self.read_rules(&entry.path(), &shown) {
                        rules.add_helios(&content, prefix);
                    }
                }
                b".git" => {
                    let Ok(file) = ignore::info_exclude(&self.on_disk(prefix)) else { continue };
                    let shown = [prefix, b".git/info/exclude"].concat();
                    if let Some(content) = self.read_rules(&file, &shown) {
                        rules.add_exclude(&content, prefix);
                    }
                }
                _ => {}
            }
        }
    }

    fn read_rules(&self, file: &Path, shown: &[u8]) -> Option<Vec<u8>> {
        match fs::read(file) {
            Ok(content) => Some(content),
            Err(error) if has_vanished(&error) => None,
            Err(error) => {
                self.warn(shown, format!("its ignore rules cannot be read: {error}"));
                None
            }
        }
    }

    fn examine<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        prefix: &[u8],
        entries: &[DirEntry],
        rules: &Rules,
    ) {
        let mut batch = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = entry.file_name();
            let name = platform::name_bytes(&name);
            if path::is_private(&name) {
                continue;
            }
            let mut path = Vec::with_capacity(prefix.len() + name.len());
            path.extend_from_slice(prefix);
            path.extend_from_slice(&name);
            let is_directory = entry.file_type().is_ok_and(|file_type| file_type.is_dir());
            if rules.ignores(&path, is_directory) {
                continue;
            }
            if path::is_reserved(&name) {
                self.warn(&path, "left out: on some disks this name stands for .git or .helios");
                continue;
            }
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if has_vanished(&error) => continue,
                Err(error) => {
                    self.unreadable(&path, &error);
                    continue;
                }
            };
            let stat = platform::stat_of(&metadata);
            match kind_of(&metadata, &stat) {
                Some(kind @ EntryKind::Directory) => {
                    let (directory, rules) = (Found { path, kind, stat }, rules.clone());
                    scope.spawn(move |scope| self.visit(scope, directory, rules));
                }
                Some(kind) => batch.push(Found { path, kind, stat }),
                None => self.warn(&path, "left out: a socket, fifo or device"),
            }
        }
        if !batch.is_empty() {
            self.results.lock().batches.push(batch);
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{symlink, PermissionsExt};

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(files: &[(&str, &str)]) -> Place {
            let place = Place(tempfile::tempdir().unwrap());
            for (path, content) in files {
                place.write(path, content);
            }
            place
        }

        fn root(&self) -> &Path {
            self.0.path()
        }

        fn write(&self, path: &str, content: &str) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn scan(&self) -> Scan {
            scan(self.root(), &ScanOptions { threads: 2, ..ScanOptions::default() }).unwrap()
        }
    }

    fn paths(scan: &Scan) -> Vec<&str> {
        scan.found.iter().map(|found| std::str::from_utf8(&found.path).unwrap()).collect()
    }

    #[test]
    fn every_kind_is_reported_in_path_order() {
        let place = Place::new(&[("a/x", "1"), ("a.b", "22"), (".hidden/run", "")]);
        let run = place.root().join(".hidden/run");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(place.root().join("empty")).unwrap();
        symlink("a", place.root().join("link")).unwrap();
        let scan = place.scan();
        let kinds: Vec<_> = scan.found.iter().map(|found| found.kind).collect();
        assert_eq!(paths(&scan), [".hidden", ".hidden/run", "a", "a.b", "a/x", "empty", "link"]);
        use EntryKind::{Directory, Executable, File, Symlink};
        assert_eq!(kinds, [Directory, Executable, Directory, File, File, Directory, Symlink]);
        assert_eq!(scan.found[3].stat.size, 2);
        assert!(scan.found[3].stat.mtime_ns >= scan.started_ns - 10_000_000_000);
        assert!(scan.warnings.is_empty() && scan.unreadable.is_empty());
    }

    #[test]
    fn a_missing_root_is_an_error() {
        let place = Place::new(&[]);
        let missing = scan(&place.root().join("none"), &ScanOptions::default());
        assert!(matches!(missing, Err(Error::Io { .. })));
    }

    #[test]
    fn private_names_are_left_out_at_every_depth_and_alike_ones_with_a_warning() {
        let place = Place::new(&[
            (".git/config", ""),
            (".helios/journal", ""),
            ("sub/.git", "gitdir: nowhere"),
            ("sub/.helios", ""),
            ("sub/.helios-tmp-1-2", ""),
            ("sub/file", ""),
            ("sub/.GIT/config", ""),
        ]);
        let scan = place.scan();
        assert_eq!(paths(&scan), ["sub", "sub/file"]);
        assert_eq!(scan.warnings.len(), 1);
        assert_eq!(scan.warnings[0].path, b"sub/.GIT");
    }

    #[test]
    fn all_sources_of_rules_apply_in_their_order() {
        let place = Place::new(&[
            ("excludes", "*.global\n*.log\n"),
            (".git/info/exclude", "*.local\n!kept.global\n"),
            (".gitignore", "build/\n!kept.local\n/excludes\n"),
            ("sub/.gitignore", "!important.log\n"),
            (".heliosignore", "*.big\n!build/\n"),
            (".ignore", "plain\n"),
            ("plain", ""),
            ("a.global", ""),
            ("kept.global", ""),
            ("a.local", ""),
            ("kept.local", ""),
            ("important.log", ""),
            ("sub/important.log", ""),
            ("sub/other.log", ""),
            ("sub/a.big", ""),
            ("build/out", ""),
        ]);
        let options =
            ScanOptions { excludes_file: Some(place.root().join("excludes")), threads: 0 };
        let scan = scan(place.root(), &options).unwrap();
        assert_eq!(
            paths(&scan),
            [
                ".gitignore",
                ".heliosignore",
                ".ignore",
                "build",
                "build/out",
                "kept.global",
                "kept.local",
                "plain",
                "sub",
                "sub/.gitignore",
                "sub/important.log"
            ]
        );
    }

    #[test]
    fn what_is_below_an_ignored_directory_cannot_be_included_again() {
        let place = Place::new(&[(".gitignore", "out/\n!out/keep\n"), ("out/keep", "")]);
        assert_eq!(paths(&place.scan()), [".gitignore"]);
        place.write(".gitignore", "out/*\n!out/keep\n");
        place.write("out/other", "");
        assert_eq!(paths(&place.scan()), [".gitignore", "out", "out/keep"]);
    }

    #[test]
    fn rules_above_the_root_do_not_apply() {
        let place = Place::new(&[(".gitignore", "*"), ("root/file", "")]);
        let scan = scan(&place.root().join("root"), &ScanOptions::default()).unwrap();
        assert_eq!(paths(&scan), ["file"]);
    }

    #[test]
    fn a_nested_repository_is_plain_files_under_its_own_rules_too() {
        let place = Place::new(&[
            (".gitignore", "*.o\n"),
            ("nested/.git/info/exclude", "/secret\n"),
            ("nested/secret", ""),
            ("nested/a.o", ""),
            ("nested/a.c", ""),
        ]);
        assert_eq!(paths(&place.scan()), [".gitignore", "nested", "nested/a.c"]);
    }

    #[test]
    fn a_symlink_cannot_pose_as_an_ignore_file_or_a_directory() {
        let place = Place::new(&[("rules", "file"), ("file", ""), ("directory/x", "")]);
        symlink("rules", place.root().join(".gitignore")).unwrap();
        symlink("directory", place.root().join("alias")).unwrap();
        let scan = place.scan();
        assert_eq!(
            paths(&scan),
            [".gitignore", "alias", "directory", "directory/x", "file", "rules"]
        );
    }

    #[test]
    fn names_are_bytes() {
        let place = Place::new(&[]);
        for name in [&b"caf\xe9"[..], b"two\nlines", b" ", b"\xff\xfe"] {
            fs::write(place.root().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
        }
        let scan = place.scan();
        let names: Vec<_> = scan.found.iter().map(|found| &found.path[..]).collect();
        assert_eq!(names, [&b" "[..], b"caf\xe9", b"two\nlines", b"\xff\xfe"]);
    }

    #[test]
    fn a_socket_is_a_warning() {
        let place = Place::new(&[("file", "")]);
        let _socket = std::os::unix::net::UnixListener::bind(place.root().join("socket")).unwrap();
        let scan = place.scan();
        assert_eq!(paths(&scan), ["file"]);
        assert_eq!(scan.warnings[0].path, b"socket");
    }

    #[test]
    fn an_unreadable_directory_is_named_and_not_an_error() {
        let place = Place::new(&[("closed/file", ""), ("open/file", "")]);
        let closed = place.root().join("closed");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let may_read_all = fs::read_dir(&closed).is_ok();
        let scan = place.scan();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        if may_read_all {
            return; // The tests run as root, whom no mode stops.
        }
        assert_eq!(paths(&scan), ["closed", "open", "open/file"]);
        assert_eq!(scan.unreadable, [b"closed".to_vec()]);
        assert_eq!(scan.warnings.len(), 1);
    }

    #[test]
    fn what_lies_deeper_than_a_path_can_be_long_is_unreadable_and_not_an_error() {
        let place = Place::new(&[]);
        let name = "d".repeat(250);
        let mut deep = place.root().to_path_buf();
        while deep.as_os_str().len() < 3600 {
            deep.push(&name);
        }
        fs::create_dir_all(&deep).unwrap();
        symlink(&deep, place.root().join("shortcut")).unwrap();
        fs::create_dir_all(place.root().join("shortcut").join(&name).join(&name)).unwrap();
        fs::write(place.root().join("shortcut").join(&name).join(&name).join("file"), "").unwrap();
        let scan = place.scan();
        assert_eq!(scan.unreadable.len(), 1);
        assert_eq!(scan.warnings.len(), 1);
        assert!(scan.found.iter().any(|found| found.path == scan.unreadable[0]));
        assert!(!scan.found.iter().any(|found| found.path.ends_with(b"file")));
    }

    #[test]
    fn a_directory_larger_than_a_task_is_seen_whole() {
        let place = Place::new(&[]);
        let count = ENTRIES_PER_TASK * 2 + 1;
        for number in 0..count {
            fs::write(place.root().join(format!("{number:05}")), "").unwrap();
        }
        let scan = place.scan();
        assert_eq!(scan.found.len(), count);
        assert!(scan.found.is_sorted_by(|left, right| left.path < right.path));
    }
}
