//! The index of one of git's packs: which objects it holds, in the order of their ids
//! (gitformat-pack(5), version 2). What is in the map of a pack is found by its place in here.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::oid::{Format, Oid, OID_LEN_MAX};
use super::pack::{GitKind, ID_DELTA, OFFSET_DELTA};
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

    /// Where an object's bytes begin in the pack; `None` if the index is damaged.
    fn offset(&self, at: usize) -> Option<u64> {
        let ids_end = IDS_AT + self.count * self.format.id_bytes();
        let short = self.word(ids_end + self.count * 4 + at * 4)?;
        if short >> 31 == 0 {
            return Some(u64::from(short));
        }
        let long = ids_end + self.count * FIELDS_LEN + (short & (u32::MAX >> 1)) as usize * 8;
        Some(u64::from(self.word(long)?) << 32 | u64::from(self.word(long + 4)?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }

    /// The objects of these kinds in the order in which they are in the pack, which is a fast one
    /// to read them in. `None` if it cannot be told from the heads of the pack's entries.
    pub fn listed(&self) -> Result<Option<Vec<(Oid, GitKind)>>> {
        let fail = |error| Error::io(&self.pack, error);
        let file = File::open(&self.pack).map_err(fail)?;
        // SAFETY: as for the index: git writes a pack under another name, and never to it
        // afterwards. The mapping is read as bytes, for which any value is valid.
        let bytes = unsafe { Mmap::map(&file) }.map_err(fail)?;
        Ok(self.listed_in(&bytes))
    }

    fn listed_in(&self, pack: &[u8]) -> Option<Vec<(Oid, GitKind)>> {
        let offsets = (0..self.count).map(|at| self.offset(at).zip(u32::try_from(at).ok()));
        let mut placed: Vec<(u64, u32)> = offsets.collect::<Option<_>>()?;
        placed.par_sort_unstable();
        let place = |offset: u64| placed.binary_search_by_key(&offset, |(offset, _)| *offset).ok();
        // The number in an entry's head, of what a delta is of in the end. A base lies before what
        // is stored as its difference, unless it is named by its id: those wait.
        let mut numbers: Vec<u8> = Vec::with_capacity(placed.len());
        let mut waiting = Vec::new();
        for (at, (offset, _)) in placed.iter().enumerate() {
            let (number, rest) = head(pack.get(usize::try_from(*offset).ok()?..)?)?;
            numbers.push(match number {
                OFFSET_DELTA => {
                    let base = place(offset.checked_sub(distance(rest)?)?)?;
                    match *numbers.get(base)? {
                        0 => {
                            waiting.push((at, base));
                            0
                        }
                        known => known,
                    }
                }
                ID_DELTA => {
                    let base = self.find(&Oid::from_slice(rest.get(..self.format.id_bytes())?))?;
                    waiting.push((at, place(self.offset(base)?)?));
                    0
                }
                plain => plain,
            });
        }
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|(at, base)| {
                numbers[*at] = numbers[*base];
                numbers[*at] == 0
            });
            if waiting.len() == before {
                return None;
            }
        }
        let kinds = numbers.into_iter().map(GitKind::numbered);
        let objects = placed.iter().map(|(_, at)| self.oid(*at as usize));
        Some(objects.zip(kinds).filter_map(|(oid, kind)| Some((oid, kind?))).collect())
    }

    /// Bytes of pack and index.
    pub fn disk_bytes(&self) -> Result<u64> {
        let metadata = std::fs::metadata(&self.pack);
        let pack = metadata.map_err(|error| Error::io(&self.pack, error))?.len();
        Ok(pack + self.bytes.len() as u64)
    }
}

/// The number of an entry's kind, and what is behind kind and size.
fn head(entry: &[u8]) -> Option<(u8, &[u8])> {
    let end = entry.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    Some((entry[0] >> 4 & 7, &entry[end + 1..]))
}

/// How far before an entry that of its base is.
fn distance(bytes: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value = value.checked_add(u64::from(at > 0))?.checked_mul(128)?;
        value += u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn malformed(path: &Path, reason: &str) -> Error {
    Error::CorruptStore(format!("{}: {reason}; `git fsck` there says more", path.display()))
}
