//! A record is the stored form of one object: `raw`, `zstd`, `splice` or `chunks`.
//!
//! Layout (docs/FORMAT.md): kind, form and depth bytes, the raw length as varint, then the payload.
//! A splice names a base object and replaces one range of it; it is found by comparing the common
//! prefix and suffix of old and new bytes, so a one-line edit is stored in about a line. Chains of
//! splices are written at most `DEPTH_MAX` long, which bounds the reads that one object costs. The
//! depth in a record is what its writer knew; readers count for themselves.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};
use crate::object::{put_varint, varint_len, Kind, Reader};

/// The longest chain of splices from an object to a full copy.
pub const DEPTH_MAX: u8 = 16;
/// The largest object that is stored in one piece; larger blobs are chunked.
pub const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// Below this size compression saves less than it costs.
const ZSTD_BYTES_MIN: usize = 128;
const ZSTD_LEVEL: i32 = 1;
const ZSTD_LEVEL_PACKED: i32 = 12;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Form {
    Raw = 0,
    Zstd = 1,
    Splice = 2,
    Chunks = 3,
}

impl Form {
    pub const ALL: [Form; 4] = [Form::Raw, Form::Zstd, Form::Splice, Form::Chunks];

    fn from_byte(byte: u8) -> Result<Form> {
        Form::ALL
            .get(usize::from(byte))
            .copied()
            .ok_or_else(|| Error::malformed(format!("unknown stored form {byte}")))
    }

    pub fn name(self) -> &'static str {
        ["raw", "zstd", "splice", "chunks"][self as usize]
    }
}

/// A parsed record; borrows the payload.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub kind: Kind,
    pub form: Form,
    pub depth: u8,
    pub raw_len: u64,
    pub payload: &'a [u8],
}

/// A base that a new object may be spliced from.
pub struct Base<'a> {
    pub id: Id,
    pub depth: u8,
    pub bytes: &'a [u8],
}

/// The payload of a splice: replace `removed` bytes of the base at `offset` by `inserted`.
#[derive(Clone, Copy, Debug)]
pub struct Splice<'a> {
    pub base: Id,
    pub offset: usize,
    pub removed: usize,
    pub inserted: &'a [u8],
}

/// One piece of a chunked blob: a blob of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    pub id: Id,
    pub len: u64,
}

impl<'a> Record<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Record<'a>> {
        let mut reader = Reader::new(bytes);
        let kind = Kind::from_byte(reader.u8()?)?;
        let form = Form::from_byte(reader.u8()?)?;
        let depth = reader.u8()?;
        let raw_len = reader.varint()?;
        let payload = reader.rest();
        let spliced = form == Form::Splice;
        if depth > DEPTH_MAX || spliced != (depth > 0) {
            return Err(Error::malformed(format!("depth {depth} of a {} record", form.name())));
        }
        // A raw record is no longer than it is; one that was derived may be longer than any stored.
        if !matches!(form, Form::Chunks | Form::Raw) && raw_len > WHOLE_BYTES_MAX {
            return Err(Error::malformed(format!("{raw_len} bytes in one piece")));
        }
        if form == Form::Raw && raw_len != payload.len() as u64 {
            return Err(Error::malformed("raw length differs from the payload's"));
        }
        Ok(Record { kind, form, depth, raw_len, payload })
    }

    /// The canonical bytes of a `raw` or `zstd` record.
    pub fn inflate(&self) -> Result<Vec<u8>> {
        match self.form {
            Form::Raw => Ok(self.payload.to_vec()),
            Form::Zstd => decompress(self.payload, self.raw_len as usize),
            Form::Splice | Form::Chunks => Err(Error::malformed("record refers to other objects")),
        }
    }

    pub fn splice(&self) -> Result<Splice<'a>> {
        let mut reader = Reader::new(self.payload);
        let base = reader.id()?;
        let offset = reader.varint()? as usize;
        let removed = reader.varint()? as usize;
        Ok(Splice { base, offset, removed, inserted: reader.rest() })
    }

    pub fn chunks(&self) -> Result<Vec<Chunk>> {
        let mut reader = Reader::new(self.payload);
        let mut chunks = Vec::with_capacity(self.payload.len() / (ID_LEN + 2));
        let mut total = 0u64;
        while !reader.is_empty() {
            let chunk = Chunk { id: reader.id()?, len: reader.varint()? };
            total = total
                .checked_add(chunk.len)
                .ok_or_else(|| Error::malformed("chunk lengths overflow"))?;
            chunks.push(chunk);
        }
        match total == self.raw_len {
            true => Ok(chunks),
            false => Err(Error::malformed("chunks do not add up to the length")),
        }
    }
}

impl Splice<'_> {
    /// Applies the splice to its base's bytes.
    pub fn apply(&self, base: &[u8], raw_len: u64) -> Result<Vec<u8>> {
        let end = self.offset.checked_add(self.removed).filter(|end| *end <= base.len());
        let end = end.ok_or_else(|| Error::malformed("splice runs past its base"))?;
        let len = base.len() - self.removed + self.inserted.len();
        if len as u64 != raw_len {
            return Err(Error::malformed("splice does not give the recorded length"));
        }
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&base[..self.offset]);
        bytes.extend_from_slice(self.inserted);
        bytes.extend_from_slice(&base[end..]);
        Ok(bytes)
    }
}

fn put_header(out: &mut Vec<u8>, kind: Kind, form: Form, depth: u8, raw_len: u64) {
    out.extend_from_slice(&[kind as u8, form as u8, depth]);
    put_varint(out, raw_len);
}

pub fn put_raw(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) {
    put_header(out, kind, Form::Raw, 0, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a `zstd` record, or a `raw` one where compression does not help.
pub fn put_compressed(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) {
    if bytes.len() >= ZSTD_BYTES_MIN {
        if let Some(packed) = compress(bytes) {
            put_header(out, kind, Form::Zstd, 0, bytes.len() as u64);
            out.extend_from_slice(&packed);
            return;
        }
    }
    put_raw(out, kind, bytes);
}

/// As `put_compressed`, but as small as it gets: for what is stored once and for long.
pub fn put_packed(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) {
    match zstd::bulk::compress(bytes, ZSTD_LEVEL_PACKED) {
        Ok(packed) if bytes.len() >= ZSTD_BYTES_MIN && packed.len() < bytes.len() => {
            put_header(out, kind, Form::Zstd, 0, bytes.len() as u64);
            out.extend_from_slice(&packed);
        }
        _ => put_raw(out, kind, bytes),
    }
}

/// Writes a `splice` record if it is at most half of the full size and the chain stays within
/// bounds; writes nothing and says so otherwise.
pub fn put_splice(out: &mut Vec<u8>, kind: Kind, base: &Base<'_>, bytes: &[u8]) -> Option<u8> {
    if base.depth >= DEPTH_MAX || bytes.len() as u64 > WHOLE_BYTES_MAX {
        return None;
    }
    let (prefix, suffix) = common_ends(base.bytes, bytes);
    let removed = base.bytes.len() - prefix - suffix;
    let inserted = &bytes[prefix..bytes.len() - suffix];
    let size = ID_LEN + varint_len(prefix as u64) + varint_len(removed as u64) + inserted.len();
    if size * 2 > bytes.len() {
        return None;
    }
    put_header(out, kind, Form::Splice, base.depth + 1, bytes.len() as u64);
    out.extend_from_slice(base.id.as_bytes());
    put_varint(out, prefix as u64);
    put_varint(out, removed as u64);
    out.extend_from_slice(inserted);
    Some(base.depth + 1)
}

pub fn put_chunks(out: &mut Vec<u8>, chunks: &[Chunk]) {
    let raw_len = chunks.iter().map(|chunk| chunk.len).sum();
    put_header(out, Kind::Blob, Form::Chunks, 0, raw_len);
    for chunk in chunks {
        out.extend_from_slice(chunk.id.as_bytes());
        put_varint(out, chunk.len);
    }
}

/// Lengths of the common prefix and of the common suffix of what the prefix leaves.
fn common_ends(old: &[u8], new: &[u8]) -> (usize, usize) {
    const STEP: usize = 64;
    let shorter = old.len().min(new.len());
    // Whole blocks compare by memcmp; only the block that differs is walked by byte.
    let mut prefix = 0;
    while prefix + STEP <= shorter && old[prefix..prefix + STEP] == new[prefix..prefix + STEP] {
        prefix += STEP;
    }
    while prefix < shorter && old[prefix] == new[prefix] {
        prefix += 1;
    }
    let (old, new) = (&old[prefix..], &new[prefix..]);
    let shorter = shorter - prefix;
    let mut suffix = 0;
    while suffix + STEP <= shorter
        && old[old.len() - suffix - STEP..old.len() - suffix]
            == new[new.len() - suffix - STEP..new.len() - suffix]
    {
        suffix += STEP;
    }
    while suffix < shorter && old[old.len() - 1 - suffix] == new[new.len() - 1 - suffix] {
        suffix += 1;
    }
    (prefix, suffix)
}

thread_local! {
    // A zstd context is hundreds of kilobytes; building one costs more than a small object.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses at the level of the store; `None` if the result is not smaller.
pub fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with(|cell| {
        let mut slot = cell.borrow_mut();
        if slot.is_none() {
            *slot = Compressor::new(ZSTD_LEVEL).ok();
        }
        let packed = slot.as_mut()?.compress(bytes).ok()?;
        (packed.len() < bytes.len()).then_some(packed)
    })
}

/// Decompresses exactly `raw_len` bytes.
pub fn decompress(packed: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let bytes = DECOMPRESSOR.with(|cell| {
        let mut slot = cell.borrow_mut();
        let decompressor = match &mut *slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, raw_len)
    });
    let bytes = bytes.map_err(|error| Error::malformed(format!("zstd: {error}")))?;
    match bytes.len() == raw_len {
        true => Ok(bytes),
        false => Err(Error::malformed("zstd gives another length than recorded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inflate_with(record: &[u8], base: &[u8]) -> Vec<u8> {
        let record = Record::parse(record).unwrap();
        match record.form {
            Form::Splice => record.splice().unwrap().apply(base, record.raw_len).unwrap(),
            _ => record.inflate().unwrap(),
        }
    }

    proptest! {
        #[test]
        fn raw_and_compressed_round_trip(bytes: Vec<u8>, repeat in 1usize..20) {
            let bytes = bytes.repeat(repeat);
            for put in [put_raw, put_compressed] {
                let mut out = Vec::new();
                put(&mut out, Kind::Tree, &bytes);
                let record = Record::parse(&out).unwrap();
                prop_assert_eq!(record.kind, Kind::Tree);
                prop_assert_eq!(record.inflate().unwrap(), bytes.clone());
            }
        }

        #[test]
        fn splice_round_trips(
            head: Vec<u8>, old_middle: Vec<u8>, new_middle: Vec<u8>, tail: Vec<u8>,
            depth in 0u8..16,
        ) {
            let old = [&head[..], &old_middle, &tail].concat();
            let new = [&head[..], &new_middle, &tail].concat();
            let base = Base { id: Id::of_blob(&old), depth, bytes: &old };
            let mut out = Vec::new();
            match put_splice(&mut out, Kind::Blob, &base, &new) {
                Some(new_depth) => {
                    prop_assert_eq!(new_depth, depth + 1);
                    prop_assert!(out.len() * 2 <= new.len() + 2 * 13);
                    prop_assert_eq!(inflate_with(&out, &old), new);
                }
                None => prop_assert!(out.is_empty()),
            }
        }

        #[test]
        fn common_ends_do_not_overlap(old: Vec<u8>, new: Vec<u8>) {
            let (prefix, suffix) = common_ends(&old, &new);
            prop_assert!(prefix + suffix <= old.len().min(new.len()));
            prop_assert_eq!(&old[..prefix], &new[..prefix]);
            prop_assert_eq!(&old[old.len() - suffix..], &new[new.len() - suffix..]);
        }

        #[test]
        fn garbage_is_refused_without_panic(bytes: Vec<u8>, base: Vec<u8>) {
            if let Ok(record) = Record::parse(&bytes) {
                let _ = record.inflate();
                let _ = record.chunks();
                if let Ok(splice) = record.splice() {
                    let _ = splice.apply(&base, record.raw_len);
                }
            }
        }
    }

    #[test]
    fn chain_is_bounded() {
        let old = vec![b'a'; 1000];
        let base = Base { id: Id::of_blob(&old), depth: DEPTH_MAX, bytes: &old };
        assert_eq!(put_splice(&mut Vec::new(), Kind::Blob, &base, &old), None);
    }

    #[test]
    fn chunk_lengths_must_add_up() {
        let chunk = Chunk { id: Id::of_blob(b"a"), len: 1 };
        let mut out = Vec::new();
        put_chunks(&mut out, &[chunk, chunk]);
        assert_eq!(Record::parse(&out).unwrap().chunks().unwrap(), vec![chunk, chunk]);
        out[3] = 3;
        assert!(Record::parse(&out).unwrap().chunks().is_err());
    }
}
