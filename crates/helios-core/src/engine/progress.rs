//! How far a long operation has got; written by it, read by whoever shows it.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    Idle = 0,
    Scanning = 1,
    Reading = 2,
    Writing = 3,
    Marking = 4,
    Sorting = 5,
    Deleting = 6,
    Compacting = 7,
}

const PHASES: [Phase; 8] = [
    Phase::Idle,
    Phase::Scanning,
    Phase::Reading,
    Phase::Writing,
    Phase::Marking,
    Phase::Sorting,
    Phase::Deleting,
    Phase::Compacting,
];

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Scanning => "scanning",
            Phase::Reading => "reading",
            Phase::Writing => "writing",
            Phase::Marking => "marking",
            Phase::Sorting => "sorting",
            Phase::Deleting => "deleting",
            Phase::Compacting => "compacting",
        }
    }

    /// The phase of that name.
    pub fn named(name: &str) -> Option<Phase> {
        PHASES.into_iter().find(|phase| phase.name() == name)
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
        let phase = PHASES.get(usize::from(self.phase.load(Ordering::Relaxed))).copied();
        let phase = phase.filter(|phase| *phase != Phase::Idle)?;
        Some((phase, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed)))
    }
}
