//! The threads that scans, hashing and writing are spread over: one pool per process.
//!
//! A process that was forked has none of its parent's threads, so it must not wait for them: there
//! rayon's global pool would hang for ever. This one is made anew in each process.

use std::sync::Arc;

use parking_lot::Mutex;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

struct Owned {
    process: u32,
    pool: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Owned>> = Mutex::new(None);

/// Runs `body` so that rayon's parallel calls in it use this process' threads.
pub fn run<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    match pool() {
        Some(pool) => pool.install(body),
        // Only where no thread can be started; rayon says so in its own way.
        None => body(),
    }
}

/// What `each` makes of the items, in their order; where they are `many` by this process' threads,
/// which a command has to start first.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    many: bool,
    each: impl Fn(&T) -> R + Sync + Send,
) -> Vec<R> {
    match many {
        true => run(|| items.par_iter().map(each).collect()),
        false => items.iter().map(each).collect(),
    }
}

fn pool() -> Option<Arc<ThreadPool>> {
    let process = std::process::id();
    let mut owned = POOL.lock();
    if let Some(owned) = owned.as_ref().filter(|owned| owned.process == process) {
        return Some(Arc::clone(&owned.pool));
    }
    let pool = Arc::new(ThreadPoolBuilder::new().build().ok()?);
    let before = owned.replace(Owned { process, pool: Arc::clone(&pool) });
    // Dropping the parent's pool would wake threads that are not here.
    std::mem::forget(before);
    Some(pool)
}
