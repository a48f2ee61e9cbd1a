//! L1: a byte-bounded LRU of decoded objects.
//!
//! When the bound is reached, the coldest entry above a threshold is compressed where it stands
//! before anything is evicted; a hit on a compressed entry makes it plain again. Compression thus
//! never runs for an object that is in use. An object that a commit replaced goes at once: a long
//! run of edits keeps the cache at the size of its working set.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::id::{Id, IdBuildHasher};
use crate::metrics::{Counter, Metrics};
use crate::object::Kind;
use crate::store::record;
use crate::store::Object;

/// Plain entries from this size on are compressed before they are evicted.
const COMPRESS_BYTES_MIN: usize = 2048;
/// What an entry costs beside its bytes: key, links, hash slot and two counts.
const ENTRY_BYTES: usize = 128;

enum Content {
    Plain(Arc<[u8]>),
    Compressed {
        packed: Box<[u8]>,
        raw_len: usize,
    },
    /// Compression was tried and did not help.
    Incompressible(Arc<[u8]>),
}

struct Entry {
    kind: Kind,
    depth: u8,
    content: Content,
}

impl Entry {
    fn cost(&self) -> usize {
        ENTRY_BYTES
            + match &self.content {
                Content::Plain(bytes) | Content::Incompressible(bytes) => bytes.len(),
                Content::Compressed { packed, .. } => packed.len(),
            }
    }
}

struct State {
    entries: LruCache<Id, Entry, IdBuildHasher>,
    bytes: usize,
    /// Counts how often everything was dropped.
    generation: u64,
}

pub struct Cache {
    state: Mutex<State>,
    bytes_max: usize,
    metrics: Arc<Metrics>,
}

impl Cache {
    /// A cache of at most `bytes_max` bytes, its bookkeeping included.
    pub fn new(bytes_max: usize, metrics: Arc<Metrics>) -> Cache {
        let entries = LruCache::unbounded_with_hasher(IdBuildHasher::default());
        Cache { state: Mutex::new(State { entries, bytes: 0, generation: 0 }), bytes_max, metrics }
    }

    pub fn get(&self, id: &Id) -> Option<Object> {
        let found = self.get_quietly(id);
        self.metrics.add(
            match found {
                Some(_) => Counter::CacheHits,
                None => Counter::CacheMisses,
            },
            1,
        );
        found
    }

    /// As `get`, but counts neither hit nor miss: the caller has asked before.
    pub fn get_quietly(&self, id: &Id) -> Option<Object> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let entry = state.entries.get_mut(id)?;
        if let Content::Compressed { packed, raw_len } = &entry.content {
            let before = entry.cost();
            // What fails to inflate is dropped: the caller then reads it from below.
            let Ok(bytes) = record::decompress(packed, *raw_len) else {
                state.bytes -= before;
                state.entries.pop(id);
                return None;
            };
            entry.content = Content::Plain(bytes.into());
            state.bytes = state.bytes - before + entry.cost();
        }
        let object = match &entry.content {
            Content::Plain(bytes) | Content::Incompressible(bytes) => {
                Object { kind: entry.kind, depth: entry.depth, bytes: Arc::clone(bytes) }
            }
            Content::Compressed { .. } => return None,
        };
        self.shrink(state);
        Some(object)
    }

    pub fn contains(&self, id: &Id) -> bool {
        self.state.lock().entries.contains(id)
    }

    pub fn insert(&self, id: Id, object: Object) {
        // One object may take a quarter at most, so that a large file does not empty the cache.
        if object.bytes.len() > self.bytes_max / 4 {
            return;
        }
        let entry =
            Entry { kind: object.kind, depth: object.depth, content: Content::Plain(object.bytes) };
        let mut state = self.state.lock();
        let state = &mut *state;
        state.bytes += entry.cost();
        if let Some(old) = state.entries.put(id, entry) {
            state.bytes -= old.cost();
        }
        self.shrink(state);
    }

    /// As `insert` or, in bulk, `offer`, of an object that was read: only if nothing was dropped
    /// since `generation`, because what the reader has seen may be gone.
    pub fn insert_read(&self, id: Id, object: Object, generation: u64, in_bulk: bool) {
        if self.generation() != generation {
            return;
        }
        match in_bulk {
            true => self.offer(id, object),
            false => self.insert(id, object),
        }
        // It may have been dropped in between.
        if self.generation() != generation {
            self.retire(&id);
        }
    }

    pub fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Drops everything.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.entries.clear();
        state.bytes = 0;
        state.generation += 1;
    }

    /// Inserts an object of a bulk operation: only if there is room, because most of these will not
    /// be asked for, and pushing out what is in use for them would cost twice. A quarter stays free
    /// for what comes into use, which would have to push them out.
    pub fn offer(&self, id: Id, object: Object) {
        let cost = object.bytes.len() + ENTRY_BYTES;
        if self.state.lock().bytes + cost <= self.bytes_max / 4 * 3 {
            self.insert(id, object);
        }
    }

    /// Drops an object that a newer version replaces: its memory serves the next commit, while it
    /// is still in the processor's cache.
    pub fn retire(&self, id: &Id) {
        let mut state = self.state.lock();
        if let Some(entry) = state.entries.pop(id) {
            state.bytes -= entry.cost();
        }
    }

    fn shrink(&self, state: &mut State) {
        while state.bytes > self.bytes_max {
            let Some((id, mut entry)) = state.entries.pop_lru() else {
                return;
            };
            state.bytes -= entry.cost();
            if let Content::Plain(bytes) = &entry.content {
                if bytes.len() >= COMPRESS_BYTES_MIN {
                    entry.content = match record::compress(bytes) {
                        Some(packed) => {
                            Content::Compressed { raw_len: bytes.len(), packed: packed.into() }
                        }
                        None => Content::Incompressible(Arc::clone(bytes)),
                    };
                    state.bytes += entry.cost();
                    state.entries.put(id, entry);
                    // It had its chance to be small; the next turn of this loop takes the
                    // entry that is now the coldest.
                    continue;
                }
            }
            self.metrics.add(Counter::CacheEvictions, 1);
        }
    }

    /// Bytes held and entries held.
    pub fn size(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.bytes, state.entries.len())
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cache(bytes_max: usize) -> Cache {
        Cache::new(bytes_max, Arc::new(Metrics::in_memory()))
    }

    fn blob(bytes: Vec<u8>) -> (Id, Object) {
        let id = Id::of_blob(&bytes);
        (id, Object { kind: Kind::Blob, depth: 3, bytes: bytes.into() })
    }

    #[test]
    fn cold_large_entries_are_compressed_before_eviction() {
        let cache = cache(20_000);
        let ids: Vec<Id> = (0..4u8)
            .map(|n| {
                let (id, object) = blob(vec![n; 4900]);
                cache.insert(id, object);
                id
            })
            .collect();
        let (bytes, items) = cache.size();
        assert_eq!(items, 4);
        assert!(bytes < 20_000);
        let first = cache.get(&ids[0]).unwrap();
        assert_eq!(&first.bytes[..], &[0u8; 4900][..]);
        assert_eq!(first.depth, 3);
        assert_eq!(cache.metrics.get(Counter::CacheEvictions), 0);
    }

    #[test]
    fn what_is_offered_pushes_nothing_out() {
        let cache = cache(8 * (ENTRY_BYTES + 1000));
        let ids: Vec<Id> = (0..9u8)
            .map(|n| {
                let (id, object) = blob(vec![n; 1000]);
                cache.offer(id, object);
                id
            })
            .collect();
        let kept: Vec<bool> = ids.iter().map(|id| cache.contains(id)).collect();
        assert_eq!(kept, [true, true, true, true, true, true, false, false, false]);
        assert_eq!(cache.metrics.get(Counter::CacheEvictions), 0);
    }

    #[test]
    fn retired_entries_go_at_once() {
        let cache = cache(20_000);
        let (id, object) = blob(vec![1; 4000]);
        cache.insert(id, object);
        cache.retire(&id);
        assert_eq!(cache.size(), (0, 0));
        cache.retire(&id);
    }

    proptest! {
        // The model: a list in order of use. A byte-bounded LRU without compression keeps the
        // longest suffix of it that fits; small objects are never compressed.
        #[test]
        fn small_objects_follow_the_lru_model(
            steps in proptest::collection::vec((any::<bool>(), 0u8..12), 1..200)
        ) {
            let max = 6 * (ENTRY_BYTES + 100);
            let cache = cache(max);
            let mut model: Vec<Id> = Vec::new();
            for (insert, n) in steps {
                let (id, object) = blob(vec![n; 100]);
                let known = model.iter().position(|other| *other == id);
                if insert {
                    cache.insert(id, object);
                    if let Some(at) = known { model.remove(at); }
                    model.push(id);
                    if model.len() > 6 { model.remove(0); }
                } else {
                    let found = cache.get(&id);
                    prop_assert_eq!(found.is_some(), known.is_some());
                    if let Some(at) = known {
                        model.remove(at);
                        model.push(id);
                        prop_assert_eq!(&found.unwrap().bytes[..], &[n; 100][..]);
                    }
                }
                let (bytes, items) = cache.size();
                prop_assert_eq!(items, model.len());
                prop_assert_eq!(bytes, model.len() * (ENTRY_BYTES + 100));
            }
        }

        #[test]
        fn the_bound_holds_and_content_is_never_wrong(
            steps in proptest::collection::vec((any::<bool>(), 0usize..30), 1..150)
        ) {
            let cache = cache(30_000);
            for (insert, n) in steps {
                let (id, object) = blob(vec![n as u8; n * 300]);
                if insert {
                    cache.insert(id, object);
                } else if let Some(found) = cache.get(&id) {
                    prop_assert_eq!(Id::of_blob(&found.bytes), id);
                }
                prop_assert!(cache.size().0 <= 30_000);
            }
        }
    }
}
