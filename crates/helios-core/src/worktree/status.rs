//! What changed on disk: a scan compared with the index.
//!
//! The answer is what must be read, never more than stat data can tell: a suspect may turn out to
//! be unchanged once it is hashed. Whatever the index knows and the scan did not find is looked for
//! by itself, because a tracked file stays tracked though a rule ignores it now, as in git.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::platform;
use crate::threads;
use crate::tree::EntryKind;
use crate::worktree::index::{Index, Known};
use crate::worktree::scan::{Found, Scan};
use crate::worktree::{kind_of, path};

/// The differences, in path order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Indexes into `scan.found` of what must be read: new, of another kind, with other stat data,
    /// or racy. A directory is one if it is new, and has no content to read.
    pub suspects: Vec<usize>,
    /// Entries of the index that are gone.
    pub deleted: Vec<Vec<u8>>,
    /// Entries of the index that the scan passed over because they are ignored now, but that are
    /// still on disk: they stay tracked.
    pub kept: Vec<Found>,
    /// Indexes into `kept` of what must be read, by the rules of `suspects`.
    pub kept_suspects: Vec<usize>,
}

/// Compares a scan of `root` with the index.
pub fn compare(root: &Path, scan: &Scan, index: &Index) -> Result<Status> {
    let mut status = Status::default();
    let mut missing: Vec<(&[u8], Known)> = Vec::new();
    let mut known = index.iter().peekable();
    for (position, found) in scan.found.iter().enumerate() {
        while let Some(entry) = known.next_if(|(path, _)| *path < &found.path[..]) {
            missing.push(entry);
        }
        let entry = known.next_if(|(path, _)| *path == &found.path[..]);
        if is_suspect(found, entry.as_ref().map(|(_, known)| known)) {
            status.suspects.push(position);
        }
    }
    missing.extend(known);
    look_for(root, scan, missing, &mut status)?;
    Ok(status)
}

fn is_suspect(found: &Found, known: Option<&Known>) -> bool {
    match known {
        None => true,
        Some(known) if known.kind != found.kind => true,
        Some(_) if found.kind == EntryKind::Directory => false,
        Some(known) => known.racy || known.stat != found.stat,
    }
}

/// Sorts out the entries of the index that the scan did not report.
fn look_for(
    root: &Path,
    scan: &Scan,
    mut missing: Vec<(&[u8], Known)>,
    status: &mut Status,
) -> Result<()> {
    let unreadable: HashSet<&[u8]> = scan.unreadable.iter().map(|path| &path[..]).collect();
    missing.retain(|(path, _)| !is_at_or_below(path, &unreadable));
    let mut parents = Parents { root, real: HashMap::new() };
    let in_real_directory: Vec<bool> =
        missing.iter().map(|(path, _)| parents.is_real(path::parent(path))).collect();
    let looks: Vec<Result<Look>> = threads::run(|| {
        missing
            .par_iter()
            .zip(&in_real_directory)
            .with_min_len(64)
            .map(|((path, _), real)| if *real { look(root, path) } else { Ok(Look::Gone) })
            .collect()
    });
    for ((path, known), look) in missing.into_iter().zip(looks) {
        match look? {
            Look::Gone => status.deleted.push(path.to_vec()),
            Look::Unknown => {}
            Look::There(found) => {
                if is_suspect(&found, Some(&known)) {
                    status.kept_suspects.push(status.kept.len());
                }
                status.kept.push(found);
            }
        }
    }
    Ok(())
}

fn is_at_or_below(path: &[u8], unreadable: &HashSet<&[u8]>) -> bool {
    let mut path = path;
    while !unreadable.is_empty() && !path.is_empty() {
        if unreadable.contains(path) {
            return true;
        }
        path = path::parent(path);
    }
    false
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
    use crate::worktree::scan::{scan, ScanOptions};
    use std::os::unix::fs::symlink;

    struct Place {
        directory: tempfile::TempDir,
        index: Index,
    }

    impl Place {
        /// A worktree of a few files, all of them known and none racy.
        fn new() -> Place {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir_all(directory.path().join("a/deep")).unwrap();
            for path in ["a/deep/x", "a/y", "a.txt", "b"] {
                fs::write(directory.path().join(path), path).unwrap();
            }
            let mut index = Index::default();
            for found in Place::scan_of(directory.path()).found {
                let id = Id::of_blob(&found.path);
                index.set(
                    &found.path,
                    Known { kind: found.kind, stat: found.stat, id, racy: false },
                );
            }
            Place { directory, index }
        }

        fn scan_of(root: &Path) -> Scan {
            scan(root, &ScanOptions::default()).unwrap()
        }

        fn root(&self) -> &Path {
            self.directory.path()
        }

        fn status(&self) -> (Status, Vec<String>) {
            let scan = Place::scan_of(self.root());
            let status = compare(self.root(), &scan, &self.index).unwrap();
            let suspects = &status.suspects;
            let suspects = suspects.iter().map(|at| path::display(&scan.found[*at].path)).collect();
            (status, suspects)
        }
    }

    fn kept(status: &Status) -> Vec<String> {
        status.kept.iter().map(|found| path::display(&found.path)).collect()
    }

    #[test]
    fn an_untouched_worktree_has_no_differences() {
        assert_eq!(Place::new().status().0, Status::default());
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
        assert!(status.kept.is_empty());
    }

    #[test]
    fn a_tracked_file_stays_tracked_though_it_is_ignored_now() {
        let place = Place::new();
        fs::write(place.root().join(".gitignore"), "a/\nb\n").unwrap();
        fs::write(place.root().join("a/untracked"), "").unwrap();
        fs::write(place.root().join("a/y"), "changed").unwrap();
        let (status, suspects) = place.status();
        assert_eq!(suspects, [".gitignore"]);
        assert_eq!(kept(&status), ["a", "a/deep", "a/deep/x", "a/y", "b"]);
        assert_eq!(status.kept_suspects, [3]);
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
        let place = Place::new();
        let mut scan = Place::scan_of(place.root());
        scan.found.retain(|found| !found.path.starts_with(b"a/"));
        scan.unreadable = vec![b"a".to_vec()];
        fs::remove_dir_all(place.root().join("a")).unwrap();
        let status = compare(place.root(), &scan, &place.index).unwrap();
        assert_eq!(status, Status::default());
    }
}
