//! Objects: their kinds, and the canonical bytes of snapshots.
//!
//! Tree nodes have their own module (`tree::node`); a blob's canonical bytes are its content.
//! Layouts are documented in `docs/FORMAT.md`.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Blob = 1,
    Tree = 2,
    Snapshot = 3,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Result<Kind> {
        match byte {
            1 => Ok(Kind::Blob),
            2 => Ok(Kind::Tree),
            3 => Ok(Kind::Snapshot),
            other => Err(Error::malformed(format!("unknown object kind {other}"))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Blob => "blob",
            Kind::Tree => "tree",
            Kind::Snapshot => "snapshot",
        }
    }

    /// The id of an object of this kind.
    pub fn id_of(self, canonical: &[u8]) -> Id {
        match self {
            Kind::Blob => Id::of_blob(canonical),
            Kind::Tree => Id::of_tree_node(canonical),
            Kind::Snapshot => Id::of_snapshot(canonical),
        }
    }
}

/// Appends an unsigned LEB128 number.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A cursor over untrusted bytes: every read is bounds-checked, every number has one encoding.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn u8(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| Error::malformed("truncated"))?;
        self.at += 1;
        Ok(byte)
    }

    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(Error::malformed("number above 64 bits"));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Error::malformed("number is not in its shortest form"));
                }
                return Ok(value);
            }
        }
        Err(Error::malformed("number above 64 bits"))
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| Error::malformed("truncated"))?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    pub fn id(&mut self) -> Result<Id> {
        Id::from_slice(self.take(ID_LEN)?)
    }

    /// A length-prefixed byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    /// A count or length; never more than what is left to read, so it is safe to allocate.
    pub fn length(&mut self) -> Result<usize> {
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) if len <= self.bytes.len() - self.at => Ok(len),
            _ => Err(Error::malformed("length runs past the end")),
        }
    }

    pub fn rest(&mut self) -> &'a [u8] {
        let slice = &self.bytes[self.at..];
        self.at = self.bytes.len();
        slice
    }

    pub fn finish(self) -> Result<()> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(Error::malformed("trailing bytes")),
        }
    }
}

/// What `commit` makes: a tree, its parents and who made it when and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub tree: Id,
    pub parents: Vec<Id>,
    /// Microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    pub author: Vec<u8>,
    pub message: Vec<u8>,
    pub metadata: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Snapshot {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tree.as_bytes());
        put_varint(out, self.parents.len() as u64);
        for parent in &self.parents {
            out.extend_from_slice(parent.as_bytes());
        }
        out.extend_from_slice(&self.time_us.to_le_bytes());
        put_bytes(out, &self.author);
        put_bytes(out, &self.message);
        put_varint(out, self.metadata.len() as u64);
        for (key, value) in &self.metadata {
            put_bytes(out, key);
            put_bytes(out, value);
        }
    }

    pub fn decode(canonical: &[u8]) -> Result<Snapshot> {
        let mut reader = Reader::new(canonical);
        let tree = reader.id()?;
        let count = reader.length()?;
        let parents = (0..count).map(|_| reader.id()).collect::<Result<_>>()?;
        let mut time = [0; 8];
        time.copy_from_slice(reader.take(8)?);
        let author = reader.bytes()?.to_vec();
        let message = reader.bytes()?.to_vec();
        let mut metadata = BTreeMap::new();
        for _ in 0..reader.length()? {
            let key = reader.bytes()?.to_vec();
            if metadata.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Error::malformed("metadata keys are not sorted"));
            }
            metadata.insert(key, reader.bytes()?.to_vec());
        }
        reader.finish()?;
        Ok(Snapshot { tree, parents, time_us: i64::from_le_bytes(time), author, message, metadata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varint_round_trips(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_len(value));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint().unwrap(), value);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn varint_has_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 1..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.varint() {
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(&bytes[..reader.position()], &again[..]);
            }
        }

        #[test]
        fn snapshot_round_trips(
            tree: [u8; 32],
            parents in proptest::collection::vec(any::<[u8; 32]>(), 0..4),
            time_us: i64,
            author: Vec<u8>,
            message: Vec<u8>,
            metadata in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..5),
        ) {
            let snapshot = Snapshot {
                tree: Id::from_bytes(tree),
                parents: parents.into_iter().map(Id::from_bytes).collect(),
                time_us, author, message, metadata,
            };
            let mut bytes = Vec::new();
            snapshot.encode(&mut bytes);
            prop_assert_eq!(Snapshot::decode(&bytes).unwrap(), snapshot);
        }

        #[test]
        fn decoding_garbage_fails_without_panic(bytes: Vec<u8>) {
            if let Ok(snapshot) = Snapshot::decode(&bytes) {
                let mut again = Vec::new();
                snapshot.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
