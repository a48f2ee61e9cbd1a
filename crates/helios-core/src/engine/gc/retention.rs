//! Which snapshots of a history are kept.

use std::collections::BinaryHeap;

use super::super::Engine;
use crate::error::Result;
use crate::id::{Id, IdMap, IdSet};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// What is kept of the history of a branch, beside its last snapshot. A rule that is not given
/// keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// The newest so many.
    pub last: u64,
    /// Those made since, in microseconds since 1970-01-01 UTC.
    pub since_us: Option<i64>,
    /// The newest of each of the last so many hours, and days, in which there is one.
    pub hourly: u64,
    pub daily: u64,
}

/// Counts the buckets of time that have their snapshot.
struct Buckets {
    len_us: i64,
    left: u64,
    last: Option<i64>,
}

impl Buckets {
    fn new(len_us: i64, left: u64) -> Buckets {
        Buckets { len_us, left, last: None }
    }

    /// Whether the snapshot, none of whose successors is older, is the newest of its bucket.
    fn keeps(&mut self, time_us: i64) -> bool {
        let bucket = Some(time_us.div_euclid(self.len_us));
        let keeps = self.left > 0 && bucket != self.last;
        if keeps {
            (self.left, self.last) = (self.left - 1, bucket);
        }
        keeps
    }
}

/// Calls `keep` with what is kept of the history of `head`, newest first; all of it without a
/// policy. Where `keep` says no, the history is known already, and it is not followed further.
/// It is not followed into what `is_closed` either, which somebody else keeps.
/// What was `dropped` is passed over, although a gc that was killed may have left some of it.
pub fn walk(
    engine: &Engine,
    head: Id,
    retention: Option<&Retention>,
    dropped: &IdMap<Id>,
    is_closed: &dyn Fn(&Id) -> Result<bool>,
    keep: &mut dyn FnMut(Id, i64) -> bool,
) -> Result<()> {
    let mut seen = IdSet::default();
    let mut queue = BinaryHeap::new();
    let mut hourly = Buckets::new(HOUR_US, retention.map_or(0, |rules| rules.hourly));
    let mut daily = Buckets::new(DAY_US, retention.map_or(0, |rules| rules.daily));
    let mut count = 0;
    let snapshot = engine.stored_snapshot(&head)?;
    queue.push((snapshot.time_us, head, snapshot.parents));
    seen.insert(head);
    while let Some((time_us, id, parents)) = queue.pop() {
        if let Some(rules) = retention {
            let is_recent =
                count < rules.last || rules.since_us.is_some_and(|since_us| time_us >= since_us);
            // Both, because each rule counts for itself.
            let in_bucket = [hourly.keeps(time_us), daily.keeps(time_us)].contains(&true);
            let is_kept = count == 0 || is_recent || in_bucket;
            if !is_kept && hourly.left == 0 && daily.left == 0 {
                return Ok(());
            }
            count += 1;
            if is_kept && !keep(id, time_us) {
                continue;
            }
        } else if !keep(id, time_us) {
            continue;
        }
        for parent in parents {
            let parent = match dropped.get(&parent) {
                Some(next) if *next == parent => continue,
                Some(next) => *next,
                None => parent,
            };
            if seen.insert(parent) && !is_closed(&parent)? {
                let snapshot = engine.stored_snapshot(&parent)?;
                queue.push((snapshot.time_us, parent, snapshot.parents));
            }
        }
    }
    Ok(())
}
