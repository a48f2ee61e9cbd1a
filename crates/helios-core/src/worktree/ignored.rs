//! What a scan passes over: the ignored files of a worktree.
//!
//! `.git`, and whatever else is private by its name, is never listed, nor is what lies in a
//! repository or worktree of its own. No symlink is followed.

use std::path::Path;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::platform;
use crate::threads;
use crate::tree::EntryKind;
use crate::worktree::ignore::Rules;
use crate::worktree::listing::{add_rules, has_vanished, list, outer_rules, shown, Listed};
use crate::worktree::scan::{Found, ScanOptions, Warning};
use crate::worktree::{kind_of, path};

/// Whether an ignored path, a directory or not, is asked for.
pub type Wanted<'a> = dyn Fn(&[u8], bool) -> bool + Sync + 'a;

/// Sorted by path bytes.
#[derive(Debug, Default)]
pub struct Ignored {
    pub found: Vec<Found>,
    /// Directories and files that could not be looked at.
    pub unreadable: Vec<Warning>,
}

/// Lists the ignored files and directories under `root` that are wanted. Also a directory that is
/// not wanted is looked into.
pub fn ignored(root: &Path, options: &ScanOptions, wanted: &Wanted<'_>) -> Result<Ignored> {
    let walk = Walk { root, wanted, results: Mutex::default() };
    // The scan warns of ignore files that it cannot read.
    let rules = outer_rules(options, &|_, _| {});
    let entries = list(root).map_err(|error| Error::io(root, error))?;
    threads::run(|| rayon::scope(|scope| walk.examine(scope, b"", &entries, rules)));
    let mut ignored = walk.results.into_inner();
    ignored.found.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    ignored.unreadable.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    Ok(ignored)
}

/// Whether a directory below `root`, which need not be there, is ignored.
pub fn ignores_directory(root: &Path, options: &ScanOptions, path: &[u8]) -> bool {
    let mut rules = outer_rules(options, &|_, _| {});
    let mut prefix: &[u8] = b"";
    for end in (0..path.len()).filter(|at| path[*at] == b'/').chain([path.len()]) {
        let entries = list(&root.join(platform::path_from_bytes(prefix))).unwrap_or_default();
        add_rules(root, prefix, &shown(&entries), &mut rules, &|_, _| {});
        if rules.ignores(&path[..end], true) || path::is_private(&path[prefix.len()..end]) {
            return true;
        }
        prefix = &path[..path.len().min(end + 1)];
    }
    false
}

struct Walk<'a> {
    root: &'a Path,
    wanted: &'a Wanted<'a>,
    results: Mutex<Ignored>,
}

impl Walk<'_> {
    fn unreadable(&self, path: &[u8], error: &std::io::Error) {
        if !has_vanished(error) {
            let reason = format!("cannot be read: {error}");
            self.results.lock().unreadable.push(Warning { path: path.to_vec(), reason });
        }
    }

    fn visit<'scope>(&'scope self, scope: &rayon::Scope<'scope>, mut path: Vec<u8>, rules: Rules) {
        match list(&self.root.join(platform::path_from_bytes(&path))) {
            Ok(entries) if entries.iter().any(|listed| listed.name == b".helios") => {}
            Ok(entries) => {
                path.push(b'/');
                self.examine(scope, &path, &entries, rules);
            }
            Err(error) => self.unreadable(&path, &error),
        }
    }

    fn examine<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        prefix: &[u8],
        entries: &[Listed],
        mut rules: Rules,
    ) {
        if !rules.ignore_all {
            add_rules(self.root, prefix, &shown(entries), &mut rules, &|_, _| {});
        }
        let mut found = Vec::new();
        for Listed { name, entry } in entries {
            if path::is_private(name) {
                continue;
            }
            let path = [prefix, name].concat();
            let is_directory = entry.file_type().is_ok_and(|file_type| file_type.is_dir());
            let is_ignored = rules.ignores(&path, is_directory);
            let is_taken = is_ignored && (self.wanted)(&path, is_directory);
            if is_directory {
                let (path, mut rules) = (path.clone(), rules.clone());
                rules.ignore_all |= is_ignored;
                scope.spawn(move |scope| self.visit(scope, path, rules));
            }
            if !is_taken {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => {
                    let stat = platform::stat_of(&metadata);
                    // Sockets, fifos and devices are nothing that could be kept.
                    let kind = kind_of(&metadata, &stat);
                    found.extend(kind.map(|kind: EntryKind| Found { path, kind, stat }));
                }
                Err(error) => self.unreadable(&path, &error),
            }
        }
        if !found.is_empty() {
            self.results.lock().found.append(&mut found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        place
    }

    fn paths(root: &Path, wanted: &Wanted<'_>) -> Vec<String> {
        let ignored = ignored(root, &ScanOptions::default(), wanted).unwrap();
        assert!(ignored.unreadable.is_empty());
        ignored.found.iter().map(|found| path::display(&found.path)).collect()
    }

    #[test]
    fn what_is_ignored_is_listed_and_nothing_else() {
        let place = place(&[
            (".gitignore", "out/\n*.log\n!keep.log\n"),
            ("a.log", ""),
            ("keep.log", ""),
            ("out/keep.log", ""),
            ("out/deep/x", ""),
            ("src/.gitignore", "/local\n"),
            ("src/local", ""),
            ("src/main", ""),
        ]);
        let all = ["a.log", "out", "out/deep", "out/deep/x", "out/keep.log", "src/local"];
        assert_eq!(paths(place.path(), &|_, _| true), all);
        let deep = |path: &[u8], is_directory: bool| !is_directory && path.ends_with(b"/x");
        assert_eq!(paths(place.path(), &deep), ["out/deep/x"]);
    }

    #[test]
    fn other_repositories_and_what_is_private_are_left_out() {
        let place = place(&[
            (".gitignore", "*\n"),
            (".helios/format", ""),
            ("a/.git/config", ""),
            ("a/file", ""),
            ("agents/one/.helios", ""),
            ("agents/one/file", ""),
        ]);
        let all = [".gitignore", "a", "a/file", "agents", "agents/one"];
        assert_eq!(paths(place.path(), &|_, _| true), all);
    }

    #[test]
    fn a_directory_is_ignored_by_the_rules_above_it() {
        let place = place(&[
            (".gitignore", "/trees/*\n!/trees/kept\n"),
            ("sub/.gitignore", "*.d/\n"),
            ("main/.git/info/exclude", "/secret/\n"),
        ]);
        let options = ScanOptions { main: Some(place.path().join("main")), ..Default::default() };
        let is_ignored = |path: &str| ignores_directory(place.path(), &options, path.as_bytes());
        for path in ["trees/a", "trees/a/b", "sub/x.d", "sub/.git", ".helios/x", "secret"] {
            assert!(is_ignored(path), "{path}");
        }
        for path in ["trees", "trees/kept", "trees/kept/a", "x.d", "sub", "sub/secret"] {
            assert!(!is_ignored(path), "{path}");
        }
    }
}
