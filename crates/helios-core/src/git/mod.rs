//! Objects of git, and the Helios objects that are derived from them.
//!
//! What came from git is stored by git alone. A Helios object that is derived from it is made again
//! whenever it is read, so what is kept of it is a row of the map: git id, kind, size, Helios id.
//! Derivation is a function of git's bytes and of the rows of what they refer to; it never fails on
//! what git can store, but leaves out what Helios has no notion of. Layouts: docs/FORMAT.md.

pub mod commit;
pub mod ingest;
pub mod map;
pub mod oid;
pub mod pack;
pub mod pack_index;
pub mod packed;
pub mod read;
pub mod row;
pub mod segment;
mod sorted;
pub mod tree;
pub mod write;

use crate::id::Id;
use crate::object::Kind;
use oid::Oid;

/// Helios id and size of a git object of this kind; `None` where it is not known.
pub type Known<'k> = dyn FnMut(&Oid, Kind) -> Option<(Id, u64)> + 'k;
