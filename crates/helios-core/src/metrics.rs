//! Counters and the commit latency histogram of a repository, shared by all its processes.
//!
//! They live in one small file that every process maps and adds to atomically. They are statistics:
//! no decision and no data depend on them, so a damaged file is started over.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::words::SharedWords;

const MAGIC: u64 = u64::from_le_bytes(*b"HELIOSM1");
/// Sub-buckets in each power of two: percentiles are exact to 1/32.
const SUB_BUCKETS_LOG2: u32 = 5;
const SUB_BUCKETS: usize = 1 << SUB_BUCKETS_LOG2;
/// Latencies are counted in nanoseconds up to 2^44, about five hours.
const BUCKETS: usize = (44 - SUB_BUCKETS_LOG2 as usize + 1) * SUB_BUCKETS;

macro_rules! counters {
    ($($name:ident => $label:literal, $help:literal;)*) => {
        /// What is counted. The order is the order in the file: append only.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter { $($name),* }

        impl Counter {
            pub const ALL: &'static [Counter] = &[$(Counter::$name),*];

            pub fn label(self) -> &'static str {
                match self { $(Counter::$name => $label),* }
            }

            pub fn help(self) -> &'static str {
                match self { $(Counter::$name => $help),* }
            }
        }
    };
}

counters! {
    CacheHits => "l1_hits", "Objects found in the L1 cache.";
    CacheMisses => "l1_misses", "Objects not found in the L1 cache.";
    CacheEvictions => "l1_evictions", "Objects evicted from the L1 cache.";
    CacheBytes => "l1_size", "Bytes in the L1 cache of the process that reported last.";
    CacheItems => "l1_items", "Objects in the L1 cache of the process that reported last.";
    Commits => "commits", "Snapshots committed.";
    NewObjects => "new_objects", "Objects that commits wrote.";
    NewBytes => "new_bytes", "Canonical bytes of the objects that commits wrote.";
    JournalBytes => "journal_bytes_written", "Bytes appended to the journal.";
    StoreBytes => "l2_bytes_written", "Bytes that maintenance wrote to the L2 store.";
    WorktreeBytes => "worktree_index_bytes_written", "Bytes written to worktree indexes.";
    GitBytes => "git_bytes_modelled", "Bytes that git would have written for the same commits.";
    PathsAdded => "paths_added", "Paths added by commits.";
    PathBytesAdded => "path_bytes_added", "Bytes of the paths added by commits.";
    Conflicts => "branch_conflicts", "Commits that lost a compare-and-swap of their branch.";
    RawRecords => "objects_raw", "Objects stored raw.";
    ZstdRecords => "objects_zstd", "Objects stored compressed.";
    SpliceRecords => "objects_splice", "Objects stored as a splice of another.";
    ChunkRecords => "objects_chunks", "Blobs stored as chunks.";
}

const WORDS: usize = 1 + 63 + BUCKETS;

pub struct Metrics {
    words: Words,
}

enum Words {
    Memory(Box<[AtomicU64]>),
    Shared(SharedWords),
}

impl Metrics {
    pub fn in_memory() -> Metrics {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Metrics { words: Words::Memory(words) }
    }

    /// Maps the file at `path`, creating it if needed.
    pub fn open(path: &Path) -> Result<Metrics> {
        let fail = |error| Error::io(path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fail)?;
        let words = SharedWords::map(&file, WORDS).map_err(fail)?;
        let metrics = Metrics { words: Words::Shared(words) };
        if metrics.words()[0].swap(MAGIC, Ordering::Relaxed) != MAGIC {
            for word in &metrics.words()[1..] {
                word.store(0, Ordering::Relaxed);
            }
        }
        Ok(metrics)
    }

    fn words(&self) -> &[AtomicU64] {
        match &self.words {
            Words::Memory(words) => words,
            Words::Shared(words) => words,
        }
    }

    pub fn add(&self, counter: Counter, amount: u64) {
        self.words()[1 + counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    pub fn set(&self, counter: Counter, value: u64) {
        self.words()[1 + counter as usize].store(value, Ordering::Relaxed);
    }

    pub fn get(&self, counter: Counter) -> u64 {
        self.words()[1 + counter as usize].load(Ordering::Relaxed)
    }

    pub fn record_commit_ns(&self, latency_ns: u64) {
        self.words()[64 + bucket_of(latency_ns)].fetch_add(1, Ordering::Relaxed);
    }

    /// The latency below which a share `quantile` (0 to 1) of all commits stayed, in microseconds;
    /// `None` before the first commit.
    pub fn commit_latency_us(&self, quantile: f64) -> Option<f64> {
        let counts: Vec<u64> = self.words()[64..64 + BUCKETS]
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = (quantile * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(bucket_ceiling_ns(bucket) as f64 / 1000.0);
            }
        }
        None
    }
}

/// Log-linear buckets: below 2^5 one each, then 2^5 per power of two.
fn bucket_of(value: u64) -> usize {
    let exponent = (63 - (value | 1).leading_zeros()).max(SUB_BUCKETS_LOG2);
    let group = (exponent - SUB_BUCKETS_LOG2) as usize;
    let sub = (value >> group) as usize;
    (group * SUB_BUCKETS + sub).min(BUCKETS - 1)
}

/// The largest value that a bucket counts.
fn bucket_ceiling_ns(bucket: usize) -> u64 {
    let group = (bucket / SUB_BUCKETS).saturating_sub(1);
    let sub = bucket - group * SUB_BUCKETS;
    (((sub as u64) + 1) << group) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bucket_ceiling_is_within_one_part_in_32(value in 0u64..(1 << 43)) {
            let ceiling = bucket_ceiling_ns(bucket_of(value));
            prop_assert!(ceiling >= value);
            prop_assert!(ceiling - value <= value / 32 + 1, "{} -> {}", value, ceiling);
        }
    }

    #[test]
    fn buckets_are_in_order() {
        let ceilings: Vec<u64> = (0..BUCKETS).map(bucket_ceiling_ns).collect();
        assert!(ceilings.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Counter::ALL.len() <= 63);
    }

    #[test]
    fn counts_persist_over_reopen_and_add_up_over_processes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics");
        let first = Metrics::open(&path).unwrap();
        let second = Metrics::open(&path).unwrap();
        first.add(Counter::Commits, 2);
        second.add(Counter::Commits, 3);
        first.record_commit_ns(10_000);
        drop((first, second));
        let again = Metrics::open(&path).unwrap();
        assert_eq!(again.get(Counter::Commits), 5);
        let p50 = again.commit_latency_us(0.5).unwrap();
        assert!((10.0..10.7).contains(&p50), "{p50}");
    }

    #[test]
    fn a_damaged_file_starts_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics");
        std::fs::write(&path, [0xff; 100]).unwrap();
        let metrics = Metrics::open(&path).unwrap();
        assert_eq!(metrics.get(Counter::Commits), 0);
        assert_eq!(metrics.commit_latency_us(0.5), None);
    }
}
