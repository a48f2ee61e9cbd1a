//! Worktrees: the disk side of a directory that follows a branch.
//!
//! `index` knows what was on disk last time, `scan` walks the disk and compares, `status` adds what
//! the walk did not come by, `disk` writes, and `watch` knows what has changed. Paths are relative
//! to the worktree's root, in bytes, with `/` between the components and none in front.
//!
//! Symlinks below the root are never followed, for reading or for writing. Another process that
//! swaps a directory for a symlink in the instants between a check and its use can still win that
//! race: a worktree's owner is trusted, the trees that are written into it are not.

pub mod disk;
pub mod donor;
pub mod ignore;
pub mod ignored;
pub mod index;
mod listing;
pub mod path;
pub mod scan;
mod sparse;
pub mod status;
mod temporary;
pub mod watch;

pub use disk::Disk;
pub use donor::Donor;
pub use ignored::{ignored, Ignored};
pub use index::{Index, Known};
pub use scan::{Found, ScanOptions, Warning};
pub use status::{status, status_of, Status};
pub use watch::Reports;

use std::fs::Metadata;

use crate::platform;
use crate::tree::EntryKind;

/// What a tree would call this, or nothing for sockets, fifos and devices.
fn kind_of(metadata: &Metadata, stat: &platform::Stat) -> Option<EntryKind> {
    let file_type = metadata.file_type();
    if file_type.is_symlink() {
        Some(EntryKind::Symlink)
    } else if file_type.is_dir() {
        Some(EntryKind::Directory)
    } else if !file_type.is_file() {
        None
    } else if stat.executable {
        Some(EntryKind::Executable)
    } else {
        Some(EntryKind::File)
    }
}
