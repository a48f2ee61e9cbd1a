//! A scan: what is on disk and not ignored, compared with the index while the walk runs.
//!
//! The answer is what must be read, never more than stat data can tell: a suspect may turn out to
//! be unchanged once it is hashed. What the index vouches for costs no allocation and is never
//! sorted: a clean tree of 100,000 files gives two empty lists.
//!
//! Every file is examined with one `lstat` relative to its open directory, no file is opened except
//! ignore files, and those only where the listing of the directory shows them. Directories are
//! spread over threads; a very large one is split. The walk is our own, on rayon: the parallel
//! walker of the crate `ignore` alone costs 1.5 times a bare readdir and lstat of 100,000 files,
//! because it queues every file as a piece of work and examines it by its full path.
//!
//! Nested repositories are walked like other directories: their files are plain files, and outer
//! rules and their own both apply. What cannot be seen gives a warning, not an error, and what was
//! known there stands: it is never taken for missing.

mod partial;

use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::platform::{self, Stat};
use crate::threads;
use crate::tree::EntryKind;
use crate::worktree::ignore::Rules;
use crate::worktree::index::{Cursor, Index, Known};
use crate::worktree::listing::{add_rules, has_vanished, list, outer_rules, shown, Listed, Shown};
use crate::worktree::{kind_of, path};

/// Entries of one directory that one task examines.
const ENTRIES_PER_TASK: usize = 2048;
/// Fewer paths than these are sorted sooner than threads are started.
const SORTED_ALONE: usize = 4096;

#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// `core.excludesFile`: rules of the lowest precedence. It need not exist.
    pub excludes_file: Option<PathBuf>,
    /// The main worktree, where `root` is a linked one: its `.git/info/exclude` holds here, too.
    pub main: Option<PathBuf>,
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

/// Whether the index cannot vouch for what was seen: it is new, of another kind, has other stat
/// data, or is racy. A directory has no content, so only its being there counts.
pub fn is_suspect(kind: EntryKind, stat: &Stat, known: Option<&Known>) -> bool {
    match known {
        None => true,
        Some(known) if known.kind != kind => true,
        Some(_) if kind == EntryKind::Directory => false,
        Some(known) => known.racy || known.stat != *stat,
    }
}

/// Something that the scan left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub path: Vec<u8>,
    pub reason: String,
}

/// The differences; every list is sorted by path bytes.
#[derive(Debug, Default)]
pub struct Scan<'i> {
    /// What must be read. A directory is one if it is new, and has no content to read.
    pub suspects: Vec<Found>,
    /// What the index knows and the walk did not come by: it is gone, or ignored now.
    pub missing: Vec<(&'i [u8], Known)>,
    pub warnings: Vec<Warning>,
    /// Directories with a repository of git around them, which may have rules of its own. Only a
    /// scan of everything knows them all.
    pub repositories: Vec<Vec<u8>>,
    /// Wall clock when the scan began, in nanoseconds since 1970.
    pub started_ns: i64,
}

/// Walks what is under `root`. Fails only if the root itself cannot be listed.
pub fn scan<'i>(root: &Path, options: &ScanOptions, index: &'i Index) -> Result<Scan<'i>> {
    let started_ns = wall_clock_ns();
    let walk = Walk { root, index, results: Mutex::default() };
    let rules = outer_rules(options, &|path, reason| walk.warn(path, reason));
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
    Ok(walk.finish(started_ns))
}

/// Walks only the given paths and what is below them, and compares it with what the index knows
/// there; everything else is taken for unchanged. A rule that has changed says nothing of paths
/// that are not given.
pub fn scan_paths<'i>(
    root: &Path,
    options: &ScanOptions,
    index: &'i Index,
    paths: &[Vec<u8>],
) -> Result<Scan<'i>> {
    if paths.iter().any(Vec::is_empty) {
        return scan(root, options, index);
    }
    let started_ns = wall_clock_ns();
    let walk = Walk { root, index, results: Mutex::default() };
    let rules = outer_rules(options, &|path, reason| walk.warn(path, reason));
    let chosen = partial::Chosen::new(paths);
    let mut to_walk = Vec::new();
    walk.examine_chosen(b"", &chosen, rules, &mut to_walk);
    if !to_walk.is_empty() {
        let walk = &walk;
        threads::run(|| {
            rayon::scope(|scope| {
                for (directory, rules) in to_walk {
                    scope.spawn(move |scope| walk.visit(scope, directory, rules));
                }
            });
        });
    }
    Ok(walk.finish(started_ns))
}

fn wall_clock_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

/// What the index knows directly in one directory, by name. What it knows further below is skipped,
/// and the names of the directories that hold it are kept.
struct KnownChildren<'i> {
    cursor: Cursor<'i>,
    prefix_len: usize,
    /// The path at which these children end.
    end: Vec<u8>,
    next: Option<(&'i [u8], Known)>,
    /// Paths of directories below which the index knows something.
    above: Vec<&'i [u8]>,
}

impl<'i> KnownChildren<'i> {
    /// The children of the directory `prefix` whose names are from `from` on and less than `until`.
    fn new(index: &'i Index, prefix: &[u8], from: &[u8], until: Option<&[u8]>) -> Self {
        let end = match (until, prefix.split_last()) {
            (Some(until), _) => [prefix, until].concat(),
            (None, Some((_, directory))) => past(directory),
            (None, None) => Vec::new(),
        };
        let cursor = index.from(&[prefix, from].concat());
        let prefix_len = prefix.len();
        let mut children = KnownChildren { cursor, prefix_len, end, next: None, above: Vec::new() };
        children.advance();
        children
    }

    fn advance(&mut self) {
        loop {
            let next = self.cursor.next();
            let is_inside = |path: &[u8]| self.end.is_empty() || path < &self.end[..];
            self.next = next.filter(|(path, _)| is_inside(path));
            let Some((path, _)) = self.next else { return };
            let Some(name_len) = path[self.prefix_len..].iter().position(|byte| *byte == b'/')
            else {
                return;
            };
            let directory = &path[..self.prefix_len + name_len];
            self.above.push(directory);
            self.cursor.seek(&past(directory));
        }
    }

    /// The next child, if its name is less.
    fn next_below(&mut self, name: &[u8]) -> Option<(&'i [u8], Known)> {
        let found = self.next.filter(|(path, _)| &path[self.prefix_len..] < name)?;
        self.advance();
        Some(found)
    }

    /// The child of this name, if it is the next one.
    fn take(&mut self, name: &[u8]) -> Option<(&'i [u8], Known)> {
        let found = self.next.filter(|(path, _)| &path[self.prefix_len..] == name)?;
        self.advance();
        Some(found)
    }

    /// All that are left.
    fn rest(&mut self) -> Option<(&'i [u8], Known)> {
        let found = self.next?;
        self.advance();
        Some(found)
    }
}

/// The least path behind everything below a directory: `0` comes right after `/`.
fn past(directory: &[u8]) -> Vec<u8> {
    [directory, b"0"].concat()
}

/// A directory that is to be walked.
struct Directory {
    found: Found,
    is_suspect: bool,
}

/// What one task found out.
#[derive(Default)]
struct Examined<'i> {
    suspects: Vec<Found>,
    missing: Vec<(&'i [u8], Known)>,
    /// Paths of directories below which the index knows something.
    above: Vec<&'i [u8]>,
    /// Names of what is walked by itself or could not be seen: what is known below it is not
    /// missing, or that is found out there.
    elsewhere: Vec<Vec<u8>>,
}

struct Walk<'w, 'i> {
    root: &'w Path,
    index: &'i Index,
    results: Mutex<Scan<'i>>,
}

impl<'i> Walk<'_, 'i> {
    fn finish(self, started_ns: i64) -> Scan<'i> {
        let mut scan = self.results.into_inner();
        scan.started_ns = started_ns;
        let by_path = |left: &Found, right: &Found| left.path.cmp(&right.path);
        if scan.suspects.len() < SORTED_ALONE {
            scan.suspects.sort_unstable_by(by_path);
        } else {
            threads::run(|| scan.suspects.par_sort_unstable_by(by_path));
        }
        scan.missing.sort_unstable_by_key(|(path, _)| *path);
        scan.warnings.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        scan
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(platform::path_from_bytes(path))
    }

    fn warn(&self, path: &[u8], reason: impl Into<String>) {
        let warning = Warning { path: path.to_vec(), reason: reason.into() };
        self.results.lock().warnings.push(warning);
    }

    fn unreadable(&self, path: &[u8], error: &io::Error) {
        self.warn(path, format!("cannot be read: {error}; what was known there is kept"));
    }

    /// Everything that the index knows below a directory.
    fn known_below(&self, directory: &[u8]) -> impl Iterator<Item = (&'i [u8], Known)> {
        let end = past(directory);
        let from = [directory, b"/"].concat();
        self.index.from(&from).take_while(move |(path, _)| *path < &end[..])
    }

    /// Reports a directory once its listing shows that it is one, then its entries.
    fn visit<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        directory: Directory,
        rules: Rules,
    ) {
        let path = &directory.found.path;
        let listing = list(&self.on_disk(path));
        match &listing {
            Err(error) if has_vanished(error) => {
                let itself = self.index.from(path).take(1).filter(|(known, _)| known == path);
                self.results.lock().missing.extend(itself.chain(self.known_below(path)));
                return;
            }
            Err(error) => self.unreadable(path, error),
            Ok(_) => {}
        }
        let prefix = [path, &b"/"[..]].concat();
        if directory.is_suspect {
            self.results.lock().suspects.push(directory.found);
        }
        if let Ok(entries) = listing {
            self.examine_all(scope, &prefix, entries, rules);
        }
    }

    fn add_rules(&self, prefix: &[u8], shown: Shown<'_>, rules: &mut Rules) {
        let warn = |path: &[u8], reason: String| self.warn(path, reason);
        if add_rules(self.root, prefix, shown, rules, &warn) {
            let directory = prefix.strip_suffix(b"/").unwrap_or(prefix);
            self.results.lock().repositories.push(directory.to_vec());
        }
    }

    fn examine_all<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        prefix: &[u8],
        entries: Vec<Listed>,
        mut rules: Rules,
    ) {
        self.add_rules(prefix, &shown(&entries), &mut rules);
        let mut examined = if entries.len() <= ENTRIES_PER_TASK {
            self.examine(scope, prefix, &entries, b"", None, &rules)
        } else {
            let from = |task: usize| match task {
                0 => &b""[..],
                _ => &entries[task * ENTRIES_PER_TASK].name,
            };
            let tasks = entries.len().div_ceil(ENTRIES_PER_TASK);
            (entries.par_chunks(ENTRIES_PER_TASK).enumerate())
                .map(|(task, chunk)| {
                    let until = (task + 1 < tasks).then(|| from(task + 1));
                    self.examine(scope, prefix, chunk, from(task), until, &rules)
                })
                .reduce(Examined::default, Examined::join)
        };
        // A file may stand where a directory was: what was below is missing.
        examined.elsewhere.sort_unstable();
        for directory in examined.above {
            let name = &directory[prefix.len()..];
            if examined.elsewhere.binary_search_by(|other| other[..].cmp(name)).is_err() {
                examined.missing.extend(self.known_below(directory));
            }
        }
        if !examined.suspects.is_empty() || !examined.missing.is_empty() {
            let mut results = self.results.lock();
            results.suspects.append(&mut examined.suspects);
            results.missing.append(&mut examined.missing);
        }
    }

    fn examine<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        prefix: &[u8],
        entries: &[Listed],
        from: &[u8],
        until: Option<&[u8]>,
        rules: &Rules,
    ) -> Examined<'i> {
        let mut examined = Examined::default();
        let mut known = KnownChildren::new(self.index, prefix, from, until);
        let mut path = prefix.to_vec();
        for Listed { name, entry } in entries {
            while let Some(missing) = known.next_below(name) {
                examined.missing.push(missing);
            }
            let known = known.take(name);
            path.truncate(prefix.len());
            path.extend_from_slice(name);
            let metadata = || entry.metadata();
            match self.look(&path, name, entry.file_type().ok(), metadata, rules) {
                Look::At(kind, stat) => {
                    let is_suspect =
                        is_suspect(kind, &stat, known.as_ref().map(|(_, known)| known));
                    if kind == EntryKind::Directory {
                        examined.elsewhere.push(name.clone());
                        let found = Found { path: path.clone(), kind, stat };
                        let (directory, rules) = (Directory { found, is_suspect }, rules.clone());
                        scope.spawn(move |scope| self.visit(scope, directory, rules));
                    } else if is_suspect {
                        examined.suspects.push(Found { path: path.clone(), kind, stat });
                    }
                }
                Look::Past => examined.missing.extend(known),
                Look::Unreadable => examined.elsewhere.push(name.clone()),
            }
        }
        while let Some(missing) = known.rest() {
            examined.missing.push(missing);
        }
        examined.above = known.above;
        examined
    }

    fn look(
        &self,
        path: &[u8],
        name: &[u8],
        file_type: Option<FileType>,
        metadata: impl FnOnce() -> io::Result<Metadata>,
        rules: &Rules,
    ) -> Look {
        let is_directory = file_type.is_some_and(|file_type| file_type.is_dir());
        if path::is_private(name) || rules.ignores(path, is_directory) {
            return Look::Past;
        }
        if path::is_reserved(name) {
            self.warn(path, "left out: on some disks this name stands for .git or .helios");
            return Look::Past;
        }
        let metadata = match metadata() {
            Ok(metadata) => metadata,
            Err(error) if has_vanished(&error) => return Look::Past,
            Err(error) => {
                self.unreadable(path, &error);
                return Look::Unreadable;
            }
        };
        let stat = platform::stat_of(&metadata);
        match kind_of(&metadata, &stat) {
            Some(kind) => Look::At(kind, stat),
            None => {
                self.warn(path, "left out: a socket, fifo or device");
                Look::Past
            }
        }
    }
}

/// What one look at an entry gives.
enum Look {
    At(EntryKind, Stat),
    /// It does not count as being there.
    Past,
    Unreadable,
}

impl<'i> Examined<'i> {
    fn join(mut self, mut other: Examined<'i>) -> Examined<'i> {
        self.suspects.append(&mut other.suspects);
        self.missing.append(&mut other.missing);
        self.above.append(&mut other.above);
        self.elsewhere.append(&mut other.elsewhere);
        self
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
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

        /// Without an index everything is a suspect.
        fn scan(&self) -> Scan<'static> {
            self.scan_with(ScanOptions { threads: 2, ..ScanOptions::default() })
        }

        fn scan_with(&self, options: ScanOptions) -> Scan<'static> {
            scan(self.root(), &options, Box::leak(Box::default())).unwrap()
        }
    }

    fn paths<'s>(scan: &'s Scan<'_>) -> Vec<&'s str> {
        scan.suspects.iter().map(|found| std::str::from_utf8(&found.path).unwrap()).collect()
    }

    #[test]
    fn every_kind_is_reported_in_path_order() {
        let place = Place::new(&[("a/x", "1"), ("a.b", "22"), (".hidden/run", "")]);
        let run = place.root().join(".hidden/run");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(place.root().join("empty")).unwrap();
        symlink("a", place.root().join("link")).unwrap();
        let scan = place.scan();
        let kinds: Vec<_> = scan.suspects.iter().map(|found| found.kind).collect();
        assert_eq!(paths(&scan), [".hidden", ".hidden/run", "a", "a.b", "a/x", "empty", "link"]);
        use EntryKind::{Directory, Executable, File, Symlink};
        assert_eq!(kinds, [Directory, Executable, Directory, File, File, Directory, Symlink]);
        assert_eq!(scan.suspects[3].stat.size, 2);
        assert!(scan.suspects[3].stat.mtime_ns >= scan.started_ns - 10_000_000_000);
        assert!(scan.warnings.is_empty() && scan.missing.is_empty());
    }

    #[test]
    fn a_missing_root_is_an_error() {
        let place = Place::new(&[]);
        let index = Index::default();
        let missing = scan(&place.root().join("none"), &ScanOptions::default(), &index);
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
        let options = ScanOptions {
            excludes_file: Some(place.root().join("excludes")),
            ..Default::default()
        };
        let scan = place.scan_with(options);
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
        let index = Index::default();
        let scan = scan(&place.root().join("root"), &ScanOptions::default(), &index).unwrap();
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
        let names: Vec<_> = scan.suspects.iter().map(|found| &found.path[..]).collect();
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
        assert_eq!(scan.warnings.len(), 1);
        assert_eq!(scan.warnings[0].path, b"closed");
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
        assert_eq!(scan.warnings.len(), 1);
        assert!(scan.suspects.iter().any(|found| found.path == scan.warnings[0].path));
        assert!(!scan.suspects.iter().any(|found| found.path.ends_with(b"file")));
    }

    #[test]
    fn a_directory_larger_than_a_task_is_seen_whole() {
        let place = Place::new(&[]);
        let count = ENTRIES_PER_TASK * 2 + 1;
        for number in 0..count {
            fs::write(place.root().join(format!("{number:05}")), "").unwrap();
        }
        let scan = place.scan();
        assert_eq!(scan.suspects.len(), count);
        assert!(scan.suspects.is_sorted_by(|left, right| left.path < right.path));
    }
}
