//! Helios core: a content-addressed, copy-on-write virtual state tree engine.
//!
//! The modules are the glossary: ids name objects; objects have stored forms; trees are directories
//! of objects; a VST is a working set over a tree; the journal holds what was committed lately; the
//! engine wires them. The core reads no environment and links neither Python nor RocksDB: objects
//! that have left the journal come through `store::RecordSource`.

pub mod cache;
pub mod diff;
pub mod engine;
pub mod error;
pub mod git;
pub mod id;
pub mod journal;
pub mod merge;
pub mod metrics;
pub mod object;
pub mod platform;
pub mod store;
mod threads;
pub mod tree;
pub mod vst;
mod words;
pub mod worktree;
