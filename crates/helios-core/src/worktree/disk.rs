//! Writing to a directory tree safely: materialize into a fresh directory, restore into a live one.
//!
//! Guarantees: nothing outside the root is written, whatever the tree holds (see `path::check`),
//! for every directory on the way to a path is checked to be a real one, not a symlink; a file is
//! replaced whole or not at all; a write that fails leaves no part of a file behind. A directory is
//! checked once and then remembered, so one `Disk` serves one materialize or restore, not longer.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;

use crate::error::{Error, Result};
use crate::platform::{self, Stat};
use crate::worktree::path;
use crate::worktree::sparse::SparseWriter;
use crate::worktree::temporary::Temporary;

/// A directory tree to write to, from any number of threads.
pub struct Disk {
    root: PathBuf,
    /// Directories known to be real, with all the directories above them.
    verified: RwLock<BTreeSet<Vec<u8>>>,
}

impl Disk {
    /// `root` must exist. It may itself be reached through symlinks.
    pub fn new(root: &Path) -> Disk {
        Disk { root: root.to_path_buf(), verified: RwLock::default() }
    }

    /// Creates a directory in one that exists; a real directory that is already there is fine.
    pub fn create_directory(&self, path: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        match fs::create_dir(&place) {
            Ok(()) => {
                self.verified.write().insert(path.to_vec());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.verify(path).map_err(|error| match error {
                    Error::UnsafePath { .. } if !place.is_symlink() => {
                        Error::NotADirectory { path: path::display(path) }
                    }
                    other => other,
                })
            }
            Err(error) => Err(Error::io(&place, error)),
        }
    }

    /// Writes a file where nothing may be yet: fails if anything is there.
    pub fn create_file(&self, path: &[u8], content: &[u8], executable: bool) -> Result<Stat> {
        let place = self.place(path)?;
        self.create_with(&place, executable, |file| write_all(file, content, &place))
    }

    /// As `create_file`, for content that does not fit into memory.
    pub fn create_file_with(
        &self,
        path: &[u8],
        executable: bool,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Stat> {
        let place = self.place(path)?;
        self.create_with(&place, executable, |file| write_sparsely(file, write, &place))
    }

    /// As `create_file`, by a function that fills the open file.
    pub fn create_file_from(
        &self,
        path: &[u8],
        executable: bool,
        fill: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<Stat> {
        let place = self.place(path)?;
        self.create_with(&place, executable, fill)
    }

    /// Whether anything is at the path, be it a symlink that leads nowhere.
    pub fn is_taken(&self, path: &[u8]) -> bool {
        fs::symlink_metadata(self.on_disk(path)).is_ok()
    }

    fn create_with(
        &self,
        place: &Path,
        executable: bool,
        write: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<Stat> {
        let mut file =
            platform::create_new(place, executable).map_err(|error| Error::io(place, error))?;
        write(&mut file).and_then(|()| stat_of_open(&file, place)).inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_file(place);
        })
    }

    /// Writes a file in place of the file or symlink that is there, if any, atomically. The file
    /// is a new one: who may read it is decided by the umask, not by what it replaces.
    pub fn replace_file(&self, path: &[u8], content: &[u8], executable: bool) -> Result<Stat> {
        let place = self.place(path)?;
        self.replace_with(path, &place, executable, |file| write_all(file, content, &place))
    }

    /// As `replace_file`, for content that does not fit into memory.
    pub fn replace_file_with(
        &self,
        path: &[u8],
        executable: bool,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Stat> {
        let place = self.place(path)?;
        self.replace_with(path, &place, executable, |file| write_sparsely(file, write, &place))
    }

    fn replace_with(
        &self,
        path: &[u8],
        place: &Path,
        executable: bool,
        write: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<Stat> {
        let (temporary, mut file) =
            Temporary::beside(place, |name| platform::create_new(name, executable))
                .map_err(|error| Error::io(place, error))?;
        write(&mut file)?;
        temporary.place(place).map_err(|error| in_the_way(path, place, error))?;
        // Only now, because a rename changes the ctime.
        stat_of_open(&file, place)
    }

    /// Makes a symlink in place of the file or symlink that is there, if any, atomically.
    pub fn symlink(&self, path: &[u8], target: &[u8]) -> Result<Stat> {
        let place = self.place(path)?;
        match platform::symlink(target, &place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Temporary::beside(&place, |name| platform::symlink(target, name))
                    .and_then(|(temporary, ())| temporary.place(&place))
            }
            made => made,
        }
        .map_err(|error| in_the_way(path, &place, error))?;
        let metadata = fs::symlink_metadata(&place).map_err(|error| Error::io(&place, error))?;
        Ok(platform::stat_of(&metadata))
    }

    /// Removes a file or symlink. That it is gone already is fine; a directory is an error.
    pub fn remove_file(&self, path: &[u8]) -> Result<()> {
        let place = match self.place(path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(())
            }
            place => place?,
        };
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(in_the_way(path, &place, error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a directory; false if something is still in it. That it is gone already is fine.
    pub fn remove_directory_if_empty(&self, path: &[u8]) -> Result<bool> {
        let place = match self.place(path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(true)
            }
            place => place?,
        };
        let removed = match fs::remove_dir(&place) {
            Ok(()) => true,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => true,
                io::ErrorKind::DirectoryNotEmpty => return Ok(false),
                io::ErrorKind::NotADirectory => {
                    return Err(Error::NotADirectory { path: path::display(path) })
                }
                _ => return Err(Error::io(&place, error)),
            },
        };
        self.forget(path);
        Ok(removed)
    }

    /// Where the path is on disk, once it is known to be a safe one in a real directory.
    fn place(&self, path: &[u8]) -> Result<PathBuf> {
        path::check(path)?;
        self.verify(path::parent(path))?;
        Ok(self.on_disk(path))
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(platform::path_from_bytes(path))
    }

    /// Checks that the path and everything above it are real directories.
    fn verify(&self, directory: &[u8]) -> Result<()> {
        if directory.is_empty() || self.verified.read().contains(directory) {
            return Ok(());
        }
        self.verify(path::parent(directory))?;
        let place = self.on_disk(directory);
        let metadata = fs::symlink_metadata(&place).map_err(|error| Error::io(&place, error))?;
        if !metadata.is_dir() {
            let what = if metadata.is_symlink() { "a symlink" } else { "not a directory" };
            let reason = format!("it is {what} on disk, so nothing is written below it");
            return Err(path::refusal(directory, &reason));
        }
        self.verified.write().insert(directory.to_vec());
        Ok(())
    }

    /// Drops what is known of a directory that is gone, and of all that was below it.
    fn forget(&self, directory: &[u8]) {
        let below = [directory, b"/"].concat();
        let mut verified = self.verified.write();
        verified.remove(directory);
        let stale: Vec<Vec<u8>> = verified
            .range::<[u8], _>((Bound::Included(&below[..]), Bound::Unbounded))
            .take_while(|path| path.starts_with(&below))
            .cloned()
            .collect();
        for path in stale {
            verified.remove(&path);
        }
    }
}

fn write_all(file: &mut File, content: &[u8], place: &Path) -> Result<()> {
    file.write_all(content).map_err(|error| Error::io(place, error))
}

fn write_sparsely(
    file: &mut File,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
    place: &Path,
) -> Result<()> {
    let mut sparse = SparseWriter::new(file);
    write(&mut sparse)?;
    sparse.finish().map_err(|error| Error::io(place, error))
}

fn stat_of_open(file: &File, place: &Path) -> Result<Stat> {
    let metadata = file.metadata().map_err(|error| Error::io(place, error))?;
    Ok(platform::stat_of(&metadata))
}

fn in_the_way(path: &[u8], place: &Path, error: io::Error) -> Error {
    match place.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Error::IsADirectory { path: path::display(path) },
        _ => Error::io(place, error),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place() -> (tempfile::TempDir, Disk) {
        let place = tempfile::tempdir().unwrap();
        let disk = Disk::new(place.path());
        (place, disk)
    }

    fn stat(path: PathBuf) -> Stat {
        platform::stat_of(&fs::symlink_metadata(path).unwrap())
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_created_file_has_its_content_mode_and_stat() {
        let (place, disk) = place();
        disk.create_directory(b"a").unwrap();
        disk.create_directory(b"a").unwrap();
        let plain = disk.create_file(b"a/plain", b"text", false).unwrap();
        let run = disk.create_file_with(b"a/run", true, |file| write_run(file)).unwrap();
        assert_eq!(fs::read(place.path().join("a/plain")).unwrap(), b"text");
        assert_eq!(plain, stat(place.path().join("a/plain")));
        assert_eq!(run, stat(place.path().join("a/run")));
        assert!(run.executable && !plain.executable);
    }

    fn write_run(file: &mut dyn Write) -> Result<()> {
        file.write_all(b"#!/bin/sh\n").map_err(|error| Error::io("run", error))
    }

    #[test]
    fn create_never_writes_over_or_through_what_is_there() {
        let (place, disk) = place();
        fs::write(place.path().join("file"), "old").unwrap();
        platform::symlink(b"outside", &place.path().join("link")).unwrap();
        assert!(disk.create_file(b"file", b"new", false).is_err());
        assert!(disk.create_file(b"link", b"new", false).is_err());
        assert_eq!(fs::read(place.path().join("file")).unwrap(), b"old");
        assert!(!place.path().join("outside").exists());
    }

    #[test]
    fn replace_takes_the_place_of_files_and_symlinks() {
        let (place, disk) = place();
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        fs::write(&target, "untouched").unwrap();
        platform::symlink(&platform::path_bytes(&target), &place.path().join("link")).unwrap();
        for path in [&b"link"[..], b"link", b"new"] {
            let written = disk.replace_file(path, b"content", true).unwrap();
            assert_eq!(written, stat(disk.on_disk(path)));
            assert_eq!(fs::read(disk.on_disk(path)).unwrap(), b"content");
        }
        assert_eq!(fs::read(&target).unwrap(), b"untouched");
        let written = disk.symlink(b"new", b"anywhere").unwrap();
        assert_eq!(written, stat(place.path().join("new")));
        assert_eq!(platform::read_link(&place.path().join("new")).unwrap(), b"anywhere");
        disk.symlink(b"fresh", b"../up").unwrap();
        assert_eq!(names(place.path()), ["fresh", "link", "new"]);
    }

    #[test]
    fn a_directory_in_the_way_is_an_error_that_names_it() {
        let (place, disk) = place();
        disk.create_directory(b"d").unwrap();
        for refused in
            [disk.replace_file(b"d", b"", false).map(drop), disk.symlink(b"d", b"x").map(drop)]
        {
            assert!(matches!(refused, Err(Error::IsADirectory { path }) if path == "d"));
        }
        assert!(disk.remove_file(b"d").is_err());
        disk.create_file(b"f", b"", false).unwrap();
        assert!(matches!(disk.create_directory(b"f"), Err(Error::NotADirectory { .. })));
        assert!(matches!(disk.remove_directory_if_empty(b"f"), Err(Error::NotADirectory { .. })));
        assert_eq!(names(place.path()), ["d", "f"]);
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let (place, disk) = place();
        fs::write(place.path().join("file"), "old").unwrap();
        let fail = |file: &mut dyn Write| {
            file.write_all(b"half").map_err(|error| Error::io("half", error))?;
            Err(Error::Refused("disk full".to_owned()))
        };
        assert!(disk.replace_file_with(b"file", false, fail).is_err());
        assert!(disk.create_file_with(b"other", false, fail).is_err());
        assert_eq!(names(place.path()), ["file"]);
        assert_eq!(fs::read(place.path().join("file")).unwrap(), b"old");
    }

    #[test]
    fn nothing_is_written_or_removed_through_a_symlinked_directory() {
        let (place, disk) = place();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "").unwrap();
        fs::create_dir(outside.path().join("directory")).unwrap();
        let target = platform::path_bytes(outside.path());
        platform::symlink(&target, &place.path().join("link")).unwrap();
        let attempts = [
            disk.create_directory(b"link"),
            disk.create_directory(b"link/new"),
            disk.create_file(b"link/new", b"", false).map(drop),
            disk.replace_file(b"link/file", b"x", false).map(drop),
            disk.replace_file(b"link/directory/x", b"x", false).map(drop),
            disk.symlink(b"link/new", b"x").map(drop),
            disk.remove_file(b"link/file"),
            disk.remove_directory_if_empty(b"link/directory").map(drop),
        ];
        for attempt in attempts {
            assert!(matches!(attempt, Err(Error::UnsafePath { path, .. }) if path == "link"));
        }
        assert_eq!(names(outside.path()), ["directory", "file"]);
    }

    #[test]
    fn hostile_paths_are_refused_before_the_disk_is_touched() {
        let (place, disk) = place();
        for path in [&b"../x"[..], b"/x", b".git/hooks/x", b"a/../../x", b".GIT", b"x\0", b""] {
            let refused = disk.replace_file(path, b"", false);
            assert!(matches!(refused, Err(Error::UnsafePath { .. })));
            assert!(matches!(disk.create_directory(path), Err(Error::UnsafePath { .. })));
            assert!(matches!(disk.remove_file(path), Err(Error::UnsafePath { .. })));
        }
        assert!(names(place.path()).is_empty());
    }

    #[test]
    fn removing_is_idempotent_and_keeps_what_is_not_empty() {
        let (_place, disk) = place();
        disk.create_directory(b"d").unwrap();
        disk.create_file(b"d/f", b"", false).unwrap();
        assert!(!disk.remove_directory_if_empty(b"d").unwrap());
        disk.remove_file(b"d/f").unwrap();
        disk.remove_file(b"d/f").unwrap();
        assert!(disk.remove_directory_if_empty(b"d").unwrap());
        assert!(disk.remove_directory_if_empty(b"d").unwrap());
        disk.remove_file(b"d/f").unwrap();
        disk.symlink(b"d", b"/tmp").unwrap();
        assert!(matches!(disk.create_file(b"d/f", b"", false), Err(Error::UnsafePath { .. })));
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error_that_names_it() {
        let (_place, disk) = place();
        let refused = disk.create_file(&[b'x'; 5000], b"", false);
        assert!(matches!(refused, Err(Error::Io { .. })));
    }

    #[test]
    fn many_threads_may_write() {
        let (place, disk) = place();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let disk = &disk;
                scope.spawn(move || {
                    for number in 0..50 {
                        let directory = format!("d{}", number % 5);
                        disk.create_directory(directory.as_bytes()).unwrap();
                        let path = format!("{directory}/{thread}-{number}");
                        disk.create_file(path.as_bytes(), b"x", false).unwrap();
                        disk.replace_file(b"shared", path.as_bytes(), false).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(place.path()), ["d0", "d1", "d2", "d3", "d4", "shared"]);
        assert_eq!(names(&place.path().join("d0")).len(), 40);
        let mode = fs::metadata(place.path().join("shared")).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0);
    }
}
