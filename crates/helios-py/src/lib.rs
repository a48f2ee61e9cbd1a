//! `helios._core`: the core, as Python sees it.
//!
//! Rules that every binding keeps:
//! - a lock that may be held while L2 (which is Python) is called is taken with
//!   `lock_py_attached`, which lets go of the GIL while it waits;
//! - a small commit keeps the GIL (giving it up beside a busy thread costs milliseconds); work over
//!   `HEAVY_BYTES`, scans and materializing release it.

mod convert;
mod detached;
mod diff;
mod engine;
mod entry;
mod errors;
mod gc;
mod git;
mod graph;
mod log;
mod maintenance;
mod merge;
mod packs;
mod snapshot;
mod store;
mod verify;
mod vst;
mod worktree;

use pyo3::prelude::*;

// A commit allocates a few buffers of 4 to 8 KiB. glibc's malloc keeps no fast list for these, and
// its consolidation shows in the 95th percentile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Above this much content to hash and write, the GIL is released.
const HEAVY_BYTES: u64 = 256 << 10;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add_class::<gc::Collection>()?;
    module.add_class::<git::GitMap>()?;
    module.add_class::<git::GitIngest>()?;
    module.add_class::<entry::Entry>()?;
    module.add_class::<graph::Graph>()?;
    module.add_class::<vst::Vst>()?;
    module.add_class::<worktree::Worktree>()?;
    module.add_class::<worktree::Watcher>()?;
    module.add_class::<worktree::Monitor>()?;
    module.add_class::<snapshot::Snapshot>()?;
    module.add_class::<snapshot::CommitStats>()?;
    module.add_class::<packs::Packs>()?;
    module.add_class::<verify::Verification>()?;
    module.add_class::<log::OperationLog>()?;
    module.add_class::<diff::Diff>()?;
    module.add_class::<diff::Change>()?;
    module.add_class::<diff::Rename>()?;
    module.add_class::<merge::Merge>()?;
    module.add_class::<merge::PathConflict>()?;
    module.add_class::<merge::ConflictSide>()?;
    module.add_function(wrap_pyfunction!(git::write_git, module)?)?;
    module.add_function(wrap_pyfunction!(worktree::ask_to_leave, module)?)?;
    module.add_function(wrap_pyfunction!(worktree::start, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("FORMAT", helios_core::engine::FORMAT)?;
    Ok(())
}
