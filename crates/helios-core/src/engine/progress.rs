//! How far a long operation has got; written by it, read by whoever shows it.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    Idle = 0,
    Scanning = 1,
    Reading = 2,
    Writing = 3,
}

impl Phase {
    pub fn name(self) -> &'static str {
        ["idle", "scanning", "reading", "writing"][self as usize]
    }
}

#[derive(Default)]
pub struct Progress {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Begins a phase of `total` steps; 0 if that is not known.
    pub fn begin(&self, phase: Phase, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn step(&self, count: u64) {
        self.done.fetch_add(count, Ordering::Relaxed);
    }

    /// Phase, steps done, steps in all; `None` while nothing runs.
    pub fn get(&self) -> Option<(Phase, u64, u64)> {
        let phase = match self.phase.load(Ordering::Relaxed) {
            1 => Phase::Scanning,
            2 => Phase::Reading,
            3 => Phase::Writing,
            _ => return None,
        };
        Some((phase, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed)))
    }
}
