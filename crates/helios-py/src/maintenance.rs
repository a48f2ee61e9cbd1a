//! Starts maintenance when the journal has grown. It runs in its own process, because RocksDB holds
//! the GIL while it writes.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use helios_core::journal::Journal;

use crate::detached;

/// This many sealed segments (of 4 MiB) wait in the journal before maintenance is started.
const SEALED_SEGMENTS_MAX: usize = 4;
/// Held by the process that is started, so that of many writers one starts it.
const LOCK: &str = "maintenance.lock";

pub struct Maintenance {
    command: Vec<OsString>,
    /// The active segment when a start was last tried.
    tried_at: AtomicU64,
}

impl Maintenance {
    pub fn new(command: Vec<OsString>) -> Maintenance {
        Maintenance { command, tried_at: AtomicU64::new(0) }
    }

    /// Starts the process if it is due and does not run, once for each segment. If it cannot be
    /// started the journal stays longer; `helios-cli maintenance` says why.
    pub fn start_if_due(&self, journal: &Journal, directory: Option<&Path>) {
        if journal.sealed_count() < SEALED_SEGMENTS_MAX {
            return;
        }
        let active = journal.newest_segment();
        if self.tried_at.swap(active, Ordering::AcqRel) == active {
            return;
        }
        let (Some(lock), Some(mut command)) =
            (directory.and_then(claim), detached::command(&self.command))
        else {
            return;
        };
        // The lock goes with the process, also when this one ends before.
        command.stdin(Stdio::from(lock));
        // A thread, because starting a process takes a millisecond.
        std::thread::spawn(move || detached::start(command));
    }
}

/// The lock, unless another process has it.
fn claim(directory: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(directory.join(LOCK)).ok()?;
    file.try_lock().ok()?;
    Some(file)
}
