//! The index of one of git's packs: which objects it holds, in the order of their ids
//! (gitformat-pack(5), version 2). What is in the map of a pack is found by its place in here.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::oid::{Format, Oid, OID_LEN_MAX};
use crate::error::{Error, Result};

const MAGIC: [u8; 8] = *b"\xfftOc\0\0\0\x02";
const FANOUT_AT: usize = 8;
const IDS_AT: usize = FANOUT_AT + 256 * 4;
/// Behind the id, an object has a checksum and an offset.
const FIELDS_LEN: usize = 8;

pub struct PackIndex {
    bytes: Mmap,
    count: usize,
    format: Format,
    pack: PathBuf,
}

impl PackIndex {
    /// `path` ends in `.idx`.
    pub fn open(path: &Path, format: Format) -> Result<PackIndex> {
        let fail = |error| Error::io(path, error);
        let file = File::open(path).map_err(fail)?;
        // SAFETY: git writes an index under another name, renames it when it is whole, and never
        // writes to it afterwards, only unlinks it; so what is mapped does not change. The mapping
        // is read as bytes, for which any value is valid.
        let bytes = unsafe { Mmap::map(&file) }.map_err(fail)?;
        let mut index = PackIndex { bytes, count: 0, format, pack: path.with_extension("pack") };
        if index.bytes.len() < IDS_AT || index.bytes[..8] != MAGIC {
            return Err(malformed(path, "it is not a pack index of version 2"));
        }
        index.count = index.below(256);
        let row_len = format.id_bytes() + FIELDS_LEN;
        let shortest = IDS_AT + index.count * row_len + 2 * format.id_bytes();
        if !(1..=256).all(|byte| index.below(byte - 1) <= index.below(byte)) {
            return Err(malformed(path, "its counts do not rise"));
        }
        match index.bytes.len() >= shortest {
            true => Ok(index),
            false => Err(malformed(path, "it is too short for its objects")),
        }
    }

    /// Objects whose id begins with a lower byte.
    fn below(&self, byte: usize) -> usize {
        let Some(at) = byte.checked_sub(1).map(|byte| FANOUT_AT + byte * 4) else {
            return 0;
        };
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_be_bytes(word) as usize
    }

    /// Objects in the pack.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn id(&self, at: usize) -> &[u8] {
        let len = self.format.id_bytes();
        &self.bytes[IDS_AT + at * len..IDS_AT + (at + 1) * len]
    }

    /// The id at a place below `len`.
    pub fn oid(&self, at: usize) -> Oid {
        Oid::from_slice(self.id(at))
    }

    /// The place of an id.
    pub fn find(&self, oid: &Oid) -> Option<usize> {
        let wanted = oid.bytes(self.format);
        let first = usize::from(wanted[0]);
        let (low, high) = (self.below(first), self.below(first + 1));
        // Behind the first byte ids are spread evenly.
        let at = low
            + super::sorted::lower_bound(high - low, &wanted[1..], |at| &self.id(low + at)[1..]);
        (at < high && self.id(at) == wanted).then_some(at)
    }

    /// What git signs the pack with: packs of the same have the same bytes. Padded with zeros.
    pub fn pack_checksum(&self) -> [u8; OID_LEN_MAX] {
        let len = self.format.id_bytes();
        let from = self.bytes.len() - 2 * len;
        *Oid::from_slice(&self.bytes[from..from + len]).padded()
    }

    /// Bytes of pack and index.
    pub fn disk_bytes(&self) -> Result<u64> {
        let metadata = std::fs::metadata(&self.pack);
        let pack = metadata.map_err(|error| Error::io(&self.pack, error))?.len();
        Ok(pack + self.bytes.len() as u64)
    }
}

fn malformed(path: &Path, reason: &str) -> Error {
    Error::CorruptStore(format!("{}: {reason}; `git fsck` there says more", path.display()))
}
