//! Merge bases: the latest common ancestors of two snapshots.

use std::collections::BinaryHeap;

use super::snapshot;
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, IdSet};
use crate::object::Snapshot;
use crate::store::ObjectReader;

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const BOTH: u8 = LEFT | RIGHT;
/// An ancestor of a common ancestor: no base itself.
const STALE: u8 = 4;

/// A walk over ancestors, the latest first.
struct Walk<'r> {
    reader: &'r dyn ObjectReader,
    seen: IdMap<Seen>,
    queue: BinaryHeap<(i64, Id)>,
    /// What waits in the queue and is not stale.
    fresh: IdSet,
}

struct Seen {
    marks: u8,
    time_us: i64,
    parents: Vec<Id>,
}

impl Walk<'_> {
    fn mark(&mut self, id: &Id, marks: u8) -> Result<()> {
        let mut id = *id;
        while !self.seen.contains_key(&id) {
            match snapshot(&id, self.reader) {
                Ok(Snapshot { time_us, parents, .. }) => {
                    self.seen.insert(id, Seen { marks: 0, time_us, parents });
                }
                Err(error @ (Error::ObjectNotFound { .. } | Error::Collected { .. })) => {
                    match self.reader.dropped(&id)? {
                        None => return Err(error),
                        Some(next) if next == id => return Ok(()),
                        Some(next) => id = next,
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let Some(seen) = self.seen.get_mut(&id).filter(|seen| seen.marks | marks != seen.marks)
        else {
            return Ok(());
        };
        seen.marks |= marks;
        self.queue.push((seen.time_us, id));
        match seen.marks & STALE == 0 {
            true => self.fresh.insert(id),
            false => self.fresh.remove(&id),
        };
        Ok(())
    }
}

/// The latest snapshots that are ancestors of one of `left` and of one of `right`, or are these
/// themselves; the oldest first. None if the histories have nothing in common.
///
/// Where the clocks of those who committed disagree, an ancestor of another base may be among them:
/// that costs a little, and changes no merge. History is walked no further than the bases, and past
/// what gc has dropped: then a base may be an older one than there was, or there is none.
pub fn of(left: &[Id], right: &[Id], reader: &dyn ObjectReader) -> Result<Vec<Id>> {
    let seen = IdMap::default();
    let mut walk = Walk { reader, seen, queue: BinaryHeap::new(), fresh: IdSet::default() };
    left.iter().try_for_each(|id| walk.mark(id, LEFT))?;
    right.iter().try_for_each(|id| walk.mark(id, RIGHT))?;
    while !walk.fresh.is_empty() {
        let Some((_, id)) = walk.queue.pop() else {
            break;
        };
        walk.fresh.remove(&id);
        let Some(seen) = walk.seen.get(&id) else {
            continue;
        };
        let passed_on = match seen.marks & BOTH {
            BOTH => BOTH | STALE,
            one => one,
        };
        for parent in seen.parents.clone() {
            walk.mark(&parent, passed_on)?;
        }
    }
    let bases = walk.seen.iter().filter(|(_, seen)| seen.marks == BOTH);
    let mut bases: Vec<(i64, Id)> = bases.map(|(id, seen)| (seen.time_us, *id)).collect();
    bases.sort_unstable();
    Ok(bases.into_iter().map(|(_, id)| id).collect())
}
