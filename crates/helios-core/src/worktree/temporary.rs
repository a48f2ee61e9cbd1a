//! A file that is written beside its place and then renamed into it, so that readers see the old
//! content or the new, never a part. Dropped before that, it is removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform;
use crate::worktree::path::TEMPORARY_PREFIX;

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A path in the destination's directory at which `create` made something.
pub struct Temporary {
    path: PathBuf,
    placed: bool,
}

impl Temporary {
    /// Calls `create` with fresh names beside `destination` until one is free.
    pub fn beside<T>(
        destination: &Path,
        create: impl Fn(&Path) -> io::Result<T>,
    ) -> io::Result<(Temporary, T)> {
        let directory = destination.parent().unwrap_or(Path::new(""));
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let mut name = TEMPORARY_PREFIX.to_vec();
            name.extend_from_slice(format!("{}-{serial}", std::process::id()).as_bytes());
            let path = directory.join(platform::path_from_bytes(&name));
            match create(&path) {
                Ok(made) => return Ok((Temporary { path, placed: false }, made)),
                // Left by a process of the same number that died.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Renames it to its destination, over a file or symlink that is there.
    pub fn place(mut self, destination: &Path) -> io::Result<()> {
        fs::rename(&self.path, destination)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing better can be done here, and a scan passes over what is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}
