//! Another worktree on the same machine, which gives its files to a new one.
//!
//! Where the file system can, content is shared (`FICLONE`) instead of written. A tracked file is
//! shared only if the donor's index vouches for its content, and its stat data is the same before
//! and after: whoever writes to it meanwhile shows in one of them. Ignored files are copied as they
//! are. Nothing in the donor is written, and no symlink in it is followed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::platform::{self, Stat};
use crate::tree::{Entry, EntryKind};
use crate::worktree::disk::Disk;
use crate::worktree::index::Index;
use crate::worktree::path;
use crate::worktree::scan::Found;

type Clone = fn(&File, &File) -> io::Result<()>;

pub struct Donor {
    root: PathBuf,
    index: Index,
    clone: Clone,
    /// The file system has said that it cannot share: it is not asked for every file.
    refused: AtomicBool,
    shared: AtomicU64,
}

impl Donor {
    pub fn new(root: &Path, index: Index) -> Donor {
        Donor {
            root: root.to_path_buf(),
            index,
            clone: platform::clone_content,
            refused: AtomicBool::new(false),
            shared: AtomicU64::new(0),
        }
    }

    /// Files that share their content with one of the donor's.
    pub fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// Makes a file by sharing the donor's of the same path; none if it must be written, for
    /// whatever reason.
    pub fn give(&self, disk: &Disk, path: &[u8], entry: &Entry) -> Option<Stat> {
        let known = self.index.get(path)?;
        let is_file = matches!(entry.kind, EntryKind::File | EntryKind::Executable);
        if !is_file || known.racy || known.kind != entry.kind || known.id != entry.id {
            return None;
        }
        if self.refused.load(Ordering::Relaxed) {
            return None;
        }
        let source = platform::open_no_follow(&self.on_disk(path)).ok()?;
        let is_known =
            || source.metadata().is_ok_and(|metadata| platform::stat_of(&metadata) == known.stat);
        if !is_known() {
            return None;
        }
        let executable = entry.kind == EntryKind::Executable;
        let fill = |target: &mut File| match self.share(&source, target) {
            Ok(true) if is_known() => Ok(()),
            // What was made is removed again.
            _ => Err(path::refusal(path, "it cannot be shared")),
        };
        let stat = disk.create_file_from(path, executable, fill).ok()?;
        self.shared.fetch_add(1, Ordering::Relaxed);
        Some(stat)
    }

    /// Whether the content is shared now; an error is one of this file only.
    fn share(&self, source: &File, target: &File) -> io::Result<bool> {
        if self.refused.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match (self.clone)(source, target) {
            Ok(()) => Ok(true),
            Err(error) if cannot_share(&error) => {
                self.refused.store(true, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes an ignored file or symlink as the donor has it, with its permissions and its time: to
    /// a build it must not look newer than the sources. False if something is there already.
    pub fn carry(&self, disk: &Disk, found: &Found) -> Result<bool> {
        let place = self.on_disk(&found.path);
        let fail = |error| Error::io(&place, error);
        if disk.is_taken(&found.path) {
            return Ok(false);
        }
        if found.kind == EntryKind::Symlink {
            let target = platform::read_link(&place).map_err(fail)?;
            return disk.symlink(&found.path, &target).map(|_| true);
        }
        let mut source = platform::open_no_follow(&place).map_err(fail)?;
        let metadata = source.metadata().map_err(fail)?;
        let fill = |target: &mut File| -> Result<()> {
            // First: what is private must never be open to others.
            platform::copy_permissions(&metadata, target).map_err(fail)?;
            match self.share(&source, target).map_err(fail)? {
                true => {
                    self.shared.fetch_add(1, Ordering::Relaxed);
                }
                false => {
                    io::copy(&mut source, target).map_err(fail)?;
                }
            }
            target.set_modified(metadata.modified().map_err(fail)?).map_err(fail)
        };
        disk.create_file_from(&found.path, found.stat.executable, fill).map(|_| true)
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(platform::path_from_bytes(path))
    }
}

/// Whether the error says that these two places can never share content.
fn cannot_share(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::Unsupported, io::ErrorKind::CrossesDevices];
    // EINVAL and ENOTTY: what file systems without the call answer.
    kinds.contains(&error.kind()) || matches!(error.raw_os_error(), Some(22 | 25))
}

/// A directory that says by this file that it can be made again (https://bford.info/cachedir).
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// Python's, which holds no tag.
const BYTECODE: &[u8] = b"__pycache__";

/// Leaves out what can be made again from the rest: the contents of directories that are tagged as
/// caches, and Python's bytecode. `found` is sorted.
pub fn without_caches(root: &Path, found: Vec<Found>) -> Vec<Found> {
    use std::collections::HashSet;
    let is_tag = |found: &&Found| {
        let name = found.path.rsplit(|byte| *byte == b'/').next();
        name == Some(CACHE_TAG) && has_signature(&root.join(platform::path_from_bytes(&found.path)))
    };
    let caches: HashSet<Vec<u8>> =
        found.iter().filter(is_tag).map(|found| path::parent(&found.path).to_vec()).collect();
    let is_cached = |found: &Found| {
        let mut directory = path::parent(&found.path);
        while !directory.is_empty() {
            let name = directory.rsplit(|byte| *byte == b'/').next();
            if name == Some(BYTECODE) || caches.contains(directory) {
                return true;
            }
            directory = path::parent(directory);
        }
        false
    };
    found.into_iter().filter(|found| !is_cached(found)).collect()
}

fn has_signature(file: &Path) -> bool {
    fs::read(file).is_ok_and(|content| content.starts_with(CACHE_SIGNATURE))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::worktree::{status, Known, ScanOptions};
    use std::os::unix::fs::{symlink, PermissionsExt};

    /// Stands in for a file system that can share.
    fn copying(source: &File, target: &File) -> io::Result<()> {
        let (mut source, mut target) = (source, target);
        io::copy(&mut source, &mut target).map(|_| ())
    }

    fn everything(root: &Path) -> Vec<Found> {
        status(root, &ScanOptions::default(), &Index::default()).unwrap().suspects
    }

    struct Place {
        place: tempfile::TempDir,
        donor: Donor,
        disk: Disk,
    }

    impl Place {
        /// A donor with one file, `a`, that its index knows, and an empty directory.
        fn new(clone: Clone) -> Place {
            let place = tempfile::tempdir().unwrap();
            let (root, new) = (place.path().join("donor"), place.path().join("new"));
            fs::create_dir(&root).unwrap();
            fs::create_dir(&new).unwrap();
            fs::write(root.join("a"), "content").unwrap();
            let stat = platform::stat_of(&fs::metadata(root.join("a")).unwrap());
            let mut index = Index::default();
            let id = Id::of_blob(b"content");
            index.set(b"a", Known { kind: EntryKind::File, stat, id, racy: false });
            let donor = Donor { clone, ..Donor::new(&root, index) };
            Place { donor, disk: Disk::new(&new), place }
        }

        fn entry(&self) -> Entry {
            Entry { kind: EntryKind::File, id: Id::of_blob(b"content"), size: 7 }
        }

        fn give(&self) -> Option<Stat> {
            self.donor.give(&self.disk, b"a", &self.entry())
        }

        fn new_file(&self) -> Option<Vec<u8>> {
            fs::read(self.place.path().join("new/a")).ok()
        }

        fn carry(&self) -> Vec<(Vec<u8>, bool)> {
            let found = everything(&self.place.path().join("donor"));
            let carry = |found: Found| {
                let carried = self.donor.carry(&self.disk, &found).unwrap();
                (found.path, carried)
            };
            found.into_iter().map(carry).collect()
        }
    }

    #[test]
    fn a_file_that_the_index_vouches_for_is_shared() {
        let place = Place::new(copying);
        let stat = place.give().unwrap();
        assert_eq!(place.new_file().unwrap(), b"content");
        let new = fs::metadata(place.place.path().join("new/a")).unwrap();
        assert_eq!(stat, platform::stat_of(&new));
        assert_eq!(place.donor.shared(), 1);
    }

    #[test]
    fn a_file_that_changed_since_is_not_shared() {
        let place = Place::new(copying);
        fs::write(place.place.path().join("donor/a"), "changed").unwrap();
        assert_eq!(place.give(), None);
        assert_eq!(place.new_file(), None);
    }

    #[test]
    fn a_file_that_changes_while_it_is_shared_is_not_shared() {
        let place = Place::new(|source, target| {
            copying(source, target)?;
            // Any change of the source's stat data will do.
            source.set_modified(std::time::SystemTime::UNIX_EPOCH)
        });
        assert_eq!(place.give(), None);
        assert_eq!(place.new_file(), None);
    }

    #[test]
    fn what_the_index_knows_otherwise_or_as_racy_is_not_shared() {
        let mut place = Place::new(copying);
        let other = Entry { id: Id::of_blob(b"other"), ..place.entry() };
        assert_eq!(place.donor.give(&place.disk, b"a", &other), None);
        let executable = Entry { kind: EntryKind::Executable, ..place.entry() };
        assert_eq!(place.donor.give(&place.disk, b"a", &executable), None);
        assert_eq!(place.donor.give(&place.disk, b"b", &place.entry()), None);
        let known = place.donor.index.get(b"a").unwrap();
        place.donor.index.set(b"a", Known { racy: true, ..known });
        assert_eq!(place.give(), None);
        assert_eq!(place.new_file(), None);
    }

    #[test]
    fn a_symlink_in_the_place_of_the_file_is_not_followed() {
        let place = Place::new(copying);
        let root = place.place.path().join("donor");
        fs::rename(root.join("a"), root.join("b")).unwrap();
        symlink("b", root.join("a")).unwrap();
        assert_eq!(place.give(), None);
    }

    #[test]
    fn a_file_system_that_cannot_share_is_asked_once() {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let place = Place::new(|_, _| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            Err(io::ErrorKind::Unsupported.into())
        });
        assert_eq!((place.give(), place.give()), (None, None));
        assert_eq!(place.new_file(), None);
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_system_shares_or_says_that_it_cannot() {
        let place = Place::new(platform::clone_content);
        match place.give() {
            Some(_) => assert_eq!(place.new_file().unwrap(), b"content"),
            None => assert!(place.donor.refused.load(Ordering::Relaxed)),
        }
    }

    #[test]
    fn an_ignored_file_is_carried_with_its_permissions_and_time() {
        let place = Place::new(platform::clone_content);
        let root = place.place.path().join("donor");
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
        File::options().write(true).open(root.join("a")).unwrap().set_modified(old).unwrap();
        symlink("/nowhere", root.join("link")).unwrap();
        assert_eq!(place.carry(), [(b"a".to_vec(), true), (b"link".to_vec(), true)]);
        let new = place.place.path().join("new");
        let metadata = fs::metadata(new.join("a")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(metadata.modified().unwrap(), old);
        assert_eq!(fs::read_link(new.join("link")).unwrap(), Path::new("/nowhere"));
        assert_eq!(place.carry(), [(b"a".to_vec(), false), (b"link".to_vec(), false)]);
    }

    #[test]
    fn caches_are_known_by_their_tag_or_name() {
        let place = tempfile::tempdir().unwrap();
        let tag = [CACHE_SIGNATURE, b"\n# by a tool"].concat();
        for (path, content) in [
            ("target/CACHEDIR.TAG", &tag[..]),
            ("target/debug/x", b""),
            ("posing/CACHEDIR.TAG", b"x"),
            ("posing/x", b""),
            ("a/__pycache__/x.pyc", b""),
            ("local.db", b""),
        ] {
            let file = place.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let found = everything(place.path());
        let left: Vec<_> = without_caches(place.path(), found)
            .into_iter()
            .filter(|found| found.kind != EntryKind::Directory)
            .map(|found| path::display(&found.path))
            .collect();
        assert_eq!(left, ["local.db", "posing/CACHEDIR.TAG", "posing/x"]);
    }
}
