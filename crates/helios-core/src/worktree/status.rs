//! What changed on disk: a scan, and a look at what it did not come by.
//!
//! Whatever the index knows and the scan did not find is looked for by itself, because a tracked
//! file stays tracked though a rule ignores it now, as in git.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::platform;
use crate::threads;
use crate::worktree::index::{Index, Known};
use crate::worktree::scan::{is_suspect, scan, scan_paths, Found, Scan, ScanOptions, Warning};
use crate::worktree::{kind_of, path};

/// So many entries are looked for sooner than threads are started.
const LOOKED_FOR_ALONE: usize = 128;

/// The differences; every list is sorted by path bytes.
#[derive(Debug, Default)]
pub struct Status {
    /// What must be read: new, of another kind, with other stat data, or racy. A directory is one
    /// if it is new, and has no content to read.
    pub suspects: Vec<Found>,
    /// Entries of the index that are gone.
    pub deleted: Vec<Vec<u8>>,
    pub warnings: Vec<Warning>,
    /// Directories with a repository of git around them, as far as the scan went.
    pub repositories: Vec<Vec<u8>>,
    /// Wall clock when the scan began, in nanoseconds since 1970.
    pub started_ns: i64,
}

/// Compares what is under `root` with the index. Fails only if the root itself cannot be listed.
pub fn status(root: &Path, options: &ScanOptions, index: &Index) -> Result<Status> {
    complete(root, scan(root, options, index)?)
}

/// Compares the given paths, and what is below them, with the index. All else is taken for as it
/// was, but for what the index doubts.
pub fn status_of(
    root: &Path,
    options: &ScanOptions,
    index: &Index,
    mut paths: Vec<Vec<u8>>,
) -> Result<Status> {
    paths.extend(index.doubtful().map(<[u8]>::to_vec));
    complete(root, scan_paths(root, options, index, &paths)?)
}

fn complete(root: &Path, scan: Scan<'_>) -> Result<Status> {
    let mut status = Status {
        suspects: scan.suspects,
        deleted: Vec::new(),
        warnings: scan.warnings,
        repositories: scan.repositories,
        started_ns: scan.started_ns,
    };
    look_for(root, scan.missing, &mut status)?;
    Ok(status)
}

/// Sorts out the entries of the index that the scan did not come by.
fn look_for(root: &Path, missing: Vec<(&[u8], Known)>, status: &mut Status) -> Result<()> {
    let mut parents = Parents { root, real: HashMap::new() };
    let missing: Vec<_> = missing
        .into_iter()
        .map(|(path, known)| (path, known, parents.is_real(path::parent(path))))
        .collect();
    let looks = threads::map(&missing, missing.len() > LOOKED_FOR_ALONE, |(path, _, is_real)| {
        if *is_real {
            look(root, path)
        } else {
            Ok(Look::Gone)
        }
    });
    for ((path, known, _), look) in missing.into_iter().zip(looks) {
        match look? {
            Look::Gone => status.deleted.push(path.to_vec()),
            Look::There(found) if is_suspect(found.kind, &found.stat, Some(&known)) => {
                status.suspects.push(found);
            }
            Look::There(_) | Look::Unknown => {}
        }
    }
    status.suspects.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    Ok(())
}

enum Look {
    Gone,
    /// It may not be looked at, so what was known stands.
    Unknown,
    There(Found),
}

fn look(root: &Path, path: &[u8]) -> Result<Look> {
    let place = root.join(platform::path_from_bytes(path));
    let metadata = match fs::symlink_metadata(&place) {
        Ok(metadata) => metadata,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Look::Gone),
                io::ErrorKind::PermissionDenied => Ok(Look::Unknown),
                _ => Err(Error::io(&place, error)),
            }
        }
    };
    let stat = platform::stat_of(&metadata);
    Ok(match kind_of(&metadata, &stat) {
        Some(kind) => Look::There(Found { path: path.to_vec(), kind, stat }),
        None => Look::Gone,
    })
}

/// Which directories can be reached from the root without a symlink on the way.
struct Parents<'a> {
    root: &'a Path,
    real: HashMap<&'a [u8], bool>,
}

impl<'a> Parents<'a> {
    fn is_real(&mut self, directory: &'a [u8]) -> bool {
        if directory.is_empty() {
            return true;
        }
        if let Some(real) = self.real.get(directory) {
            return *real;
        }
        let place = self.root.join(platform::path_from_bytes(directory));
        let real = self.is_real(path::parent(directory))
            && match fs::symlink_metadata(place) {
                Ok(metadata) => metadata.is_dir(),
                // Not allowed to look: `look` will find the same and leave the entry alone.
                Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
            };
        self.real.insert(directory, real);
        real
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::tree::EntryKind;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    struct Place {
        directory: tempfile::TempDir,
        index: Index,
    }

    impl Place {
        /// A worktree of a few files, all of them known and none racy.
        fn new() -> Place {
            Place::of(&["a/deep/x", "a/y", "a.txt", "b"])
        }

        fn of(paths: &[&str]) -> Place {
            let directory = tempfile::tempdir().unwrap();
            for path in paths {
                let place = directory.path().join(path);
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(place, path).unwrap();
            }
            let mut place = Place { directory, index: Index::default() };
            place.learn();
            place
        }

        /// The index takes in what is on disk.
        fn learn(&mut self) {
            self.index = Index::default();
            for found in self.status().0.suspects {
                let id = Id::of_blob(&found.path);
                let known = Known { kind: found.kind, stat: found.stat, id, racy: false };
                self.index.set(&found.path, known);
            }
        }

        fn root(&self) -> &Path {
            self.directory.path()
        }

        fn status(&self) -> (Status, Vec<String>) {
            let status = status(self.root(), &ScanOptions::default(), &self.index).unwrap();
            let suspects = status.suspects.iter().map(|found| path::display(&found.path)).collect();
            (status, suspects)
        }

        fn assert_clean(&self) {
            let (status, suspects) = self.status();
            assert!(suspects.is_empty(), "{suspects:?}");
            assert!(status.deleted.is_empty(), "{:?}", status.deleted);
        }
    }

    #[test]
    fn an_untouched_worktree_has_no_differences() {
        Place::new().assert_clean();
    }

    #[test]
    fn new_changed_racy_and_deleted_are_told_apart() {
        let mut place = Place::new();
        fs::write(place.root().join("b"), "changed").unwrap();
        fs::write(place.root().join("new"), "").unwrap();
        fs::create_dir(place.root().join("empty")).unwrap();
        fs::remove_file(place.root().join("a/deep/x")).unwrap();
        let racy = Known { racy: true, ..place.index.get(b"a.txt").unwrap() };
        place.index.set(b"a.txt", racy);
        let (status, suspects) = place.status();
        assert_eq!(suspects, ["a.txt", "b", "empty", "new"]);
        assert_eq!(status.deleted, [b"a/deep/x".to_vec()]);
    }

    #[test]
    fn a_tracked_file_stays_tracked_though_it_is_ignored_now() {
        let place = Place::new();
        fs::write(place.root().join(".gitignore"), "a/\nb\n").unwrap();
        fs::write(place.root().join("a/untracked"), "").unwrap();
        fs::write(place.root().join("a/y"), "changed").unwrap();
        let (status, suspects) = place.status();
        assert_eq!(suspects, [".gitignore", "a/y"]);
        assert!(status.deleted.is_empty());
        fs::remove_file(place.root().join("b")).unwrap();
        assert_eq!(place.status().0.deleted, [b"b".to_vec()]);
    }

    #[test]
    fn what_was_below_a_path_that_is_a_symlink_or_a_file_now_is_deleted() {
        let below = [b"a/deep".to_vec(), b"a/deep/x".to_vec(), b"a/y".to_vec()];
        let place = Place::new();
        fs::rename(place.root().join("a"), place.root().join("moved")).unwrap();
        symlink("moved", place.root().join("a")).unwrap();
        let (status, suspects) = place.status();
        assert_eq!(status.deleted, below);
        assert_eq!(suspects, ["a", "moved", "moved/deep", "moved/deep/x", "moved/y"]);
        fs::remove_file(place.root().join("a")).unwrap();
        fs::write(place.root().join("a"), "").unwrap();
        assert_eq!(place.status().0.deleted, below);
    }

    #[test]
    fn a_file_that_became_a_socket_is_deleted() {
        let place = Place::new();
        fs::remove_file(place.root().join("b")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.root().join("b")).unwrap();
        assert_eq!(place.status().0.deleted, [b"b".to_vec()]);
    }

    #[test]
    fn what_is_below_an_unreadable_directory_counts_as_unchanged() {
        // Deeper than a path can be long, so that root cannot read it either.
        let mut place = Place::new();
        let name = "d".repeat(250);
        let mut deep = place.root().join("a");
        while deep.as_os_str().len() < 3600 {
            deep.push(&name);
        }
        fs::create_dir_all(&deep).unwrap();
        symlink(&deep, place.root().join("shortcut")).unwrap();
        let shortcut = place.root().join("shortcut");
        fs::create_dir_all(shortcut.join(&name).join(&name)).unwrap();
        fs::remove_file(shortcut).unwrap();
        place.learn();
        let deep = place.index.iter().map(|(path, _)| path).max_by_key(|path| path.len());
        let unreadable = deep.unwrap().to_vec();
        place.index.set(&[&unreadable[..], b"/below"].concat(), place.index.get(b"b").unwrap());
        let (status, suspects) = place.status();
        assert!(suspects.is_empty() && status.deleted.is_empty());
        assert_eq!(status.warnings.len(), 1);
        assert_eq!(status.warnings[0].path, unreadable);
    }

    #[test]
    fn what_was_below_a_directory_that_is_gone_is_deleted_also_where_names_interleave() {
        let place = Place::of(&["a/x", "a.b/y", "a-c", "a0", "z"]);
        place.assert_clean();
        fs::remove_dir_all(place.root().join("a")).unwrap();
        let (status, suspects) = place.status();
        assert!(suspects.is_empty());
        assert_eq!(status.deleted, [b"a".to_vec(), b"a/x".to_vec()]);
        fs::write(place.root().join("a"), "").unwrap();
        let (status, suspects) = place.status();
        assert_eq!(suspects, ["a"]);
        assert_eq!(status.deleted, [b"a/x".to_vec()]);
    }

    #[test]
    fn a_directory_larger_than_a_task_is_compared_whole() {
        let names: Vec<String> = (0..5000)
            .map(|number| format!("{:04}{}", number, ["", "/x", "!"][number % 3]))
            .collect();
        let mut place = Place::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        place.assert_clean();
        place.index.set(b"2047", place.index.get(b"0000").unwrap());
        fs::remove_file(place.root().join("2049")).unwrap();
        fs::remove_dir_all(place.root().join("4000")).unwrap();
        let (status, suspects) = place.status();
        assert_eq!(suspects, ["2047"]);
        assert_eq!(status.deleted, [&b"2049"[..], b"4000", b"4000/x"]);
    }

    /// A few names, some of them prefixes of others, with bytes around the slash.
    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "a.", "a0", "b", "b-"]), 1..4)
            .prop_map(|names| names.join("/"))
    }

    proptest! {
        #[test]
        fn the_differences_are_those_of_two_plain_sets(
            before in prop::collection::btree_set(path(), 0..12),
            after in prop::collection::btree_set(path(), 0..12),
        ) {
            let entries = |place: &Place| -> Vec<(Vec<u8>, EntryKind)> {
                place.index.iter().map(|(path, known)| (path.to_vec(), known.kind)).collect()
            };
            let make = |paths: &std::collections::BTreeSet<String>| {
                // A path below a file cannot be.
                let is_free = |path: &&str| {
                    !path.match_indices('/').any(|(at, _)| paths.contains(&path[..at]))
                };
                Place::of(&paths.iter().map(String::as_str).filter(is_free).collect::<Vec<_>>())
            };
            let (old, new) = (make(&before), make(&after));
            let (old_entries, new_entries) = (entries(&old), entries(&new));
            let status = status(new.root(), &ScanOptions::default(), &old.index).unwrap();
            let known: HashMap<_, _> = old_entries.iter().cloned().collect();
            let there: HashMap<_, _> = new_entries.iter().cloned().collect();
            // Other inodes: every file is a suspect, a directory only if it is new.
            let suspects: Vec<_> = new_entries
                .into_iter()
                .filter(|(path, kind)| {
                    *kind != EntryKind::Directory || known.get(path) != Some(kind)
                })
                .map(|(path, _)| path)
                .collect();
            let found: Vec<_> = status.suspects.into_iter().map(|found| found.path).collect();
            prop_assert_eq!(found, suspects);
            let gone: Vec<_> = old_entries
                .into_iter()
                .map(|(path, _)| path)
                .filter(|path| !there.contains_key(path))
                .collect();
            prop_assert_eq!(status.deleted, gone);
        }
    }
}
