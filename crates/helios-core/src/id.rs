//! Object ids: BLAKE3-256 of an object's canonical bytes.
//!
//! A blob's id is the plain BLAKE3 of its content, what `b3sum` prints. Tree nodes and snapshots
//! are hashed under derive-key contexts of their own, so that no blob can pose as a tree.
//! The contexts are part of the format: see `docs/FORMAT.md`.

use std::fmt;

use crate::error::{Error, Result};

/// Bytes in an id.
pub const ID_LEN: usize = 32;

const TREE_CONTEXT: &str = "helios 2026-11 tree node v1";
const SNAPSHOT_CONTEXT: &str = "helios 2026-11 snapshot v1";

/// The BLAKE3-256 name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; ID_LEN]);

impl Id {
    /// A placeholder for an entry whose object is not sealed yet; never the id of an object.
    pub const UNSEALED: Id = Id([0; ID_LEN]);

    pub fn of_blob(content: &[u8]) -> Id {
        Id(*blake3::hash(content).as_bytes())
    }

    pub fn of_tree_node(canonical: &[u8]) -> Id {
        Id(blake3::derive_key(TREE_CONTEXT, canonical))
    }

    pub fn of_snapshot(canonical: &[u8]) -> Id {
        Id(blake3::derive_key(SNAPSHOT_CONTEXT, canonical))
    }

    pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Id {
        Id(bytes)
    }

    /// Reads an id from exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Id> {
        bytes
            .try_into()
            .map(Id)
            .map_err(|_| Error::InvalidId(format!("{} bytes instead of {ID_LEN}", bytes.len())))
    }

    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Id> {
        blake3::Hash::from_hex(text)
            .map(|hash| Id(*hash.as_bytes()))
            .map_err(|_| Error::InvalidId(format!("{text:?} is not 64 hex digits")))
    }

    pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }

    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// Hashes an id for a hash map: ids are uniformly random, so eight of their bytes already are a
/// good hash. (Names chosen to collide would need 2^64 work against BLAKE3.)
#[derive(Default, Clone, Copy)]
pub struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            // Of an id this keeps the first word; of anything else it still mixes every word.
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }
    fn write_usize(&mut self, _length_prefix: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

pub type IdBuildHasher = std::hash::BuildHasherDefault<IdHasher>;
pub type IdMap<V> = std::collections::HashMap<Id, V, IdBuildHasher>;
pub type IdSet = std::collections::HashSet<Id, IdBuildHasher>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_id_is_plain_blake3() {
        // The published BLAKE3 test vector of the empty input.
        assert_eq!(
            Id::of_blob(b"").to_hex(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn kinds_do_not_share_ids() {
        let bytes = b"same bytes";
        assert_ne!(Id::of_blob(bytes), Id::of_tree_node(bytes));
        assert_ne!(Id::of_tree_node(bytes), Id::of_snapshot(bytes));
    }

    #[test]
    fn hex_round_trips_and_rejects_garbage() {
        let id = Id::of_blob(b"x");
        assert_eq!(Id::from_hex(&id.to_hex()).unwrap(), id);
        assert!(Id::from_hex("xyz").is_err());
        assert!(Id::from_slice(&[0; 31]).is_err());
    }
}
