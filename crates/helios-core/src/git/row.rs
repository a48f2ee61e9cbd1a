//! A row of the map: one git object, and one Helios object that it is.

use super::oid::Oid;
use crate::id::{Id, ID_LEN};
use crate::object::Kind;

/// A size is stored in five bytes.
pub const SIZE_MAX: u64 = (1 << 40) - 1;
/// Bytes of a Helios id that a row has at least: enough that no two objects share them, and that
/// nobody can make one that shares them with another's.
pub const PREFIX_LEN: usize = 12;

/// What a row says beside the kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Role {
    /// The Helios object is derived from the git object.
    Derived = 0,
    /// The git object was written from the Helios object, which cannot be derived from it.
    Written = 1,
    /// A node of a directory of several nodes, but for its root: derived from the same git tree.
    Inner = 2,
}

/// A Helios id as a row has it: whole, or its first bytes; the rest is what derivation gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RowId {
    Whole(Id),
    Begins([u8; PREFIX_LEN]),
}

impl RowId {
    /// From 32 bytes, or the first 12; `None` of any other number.
    pub fn from_slice(bytes: &[u8]) -> Option<RowId> {
        match bytes.len() {
            ID_LEN => Some(RowId::Whole(Id::from_bytes(bytes.try_into().ok()?))),
            PREFIX_LEN => Some(RowId::Begins(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            RowId::Whole(id) => id.as_bytes(),
            RowId::Begins(bytes) => bytes,
        }
    }

    pub fn whole(&self) -> Option<Id> {
        match self {
            RowId::Whole(id) => Some(*id),
            RowId::Begins(_) => None,
        }
    }

    /// Whether it is the id of this object.
    pub fn is_of(&self, id: &Id) -> bool {
        id.as_bytes().starts_with(self.as_bytes())
    }

    pub fn to_hex(&self) -> String {
        self.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One row. `size` is a blob's bytes, or the files in and below a directory; 0 for the rest.
/// `is_mixed` says that the derived object leads to something that was written, at any distance:
/// all below any other derived object is derived too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Row {
    pub oid: Oid,
    pub role: Role,
    pub kind: Kind,
    pub is_mixed: bool,
    pub size: u64,
    pub id: RowId,
}
