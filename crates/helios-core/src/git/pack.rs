//! Writing a pack of git objects with its index: gitformat-pack(5), version 2 of both.
//!
//! An object that replaces another of the same pack is stored as a delta of it: their common
//! beginning and end are copied. That is how Helios stores its own, and costs no search.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress, Status};
use sha1::Digest;

use super::oid::{Format, Oid};
use crate::error::{Error, Result};
use crate::platform;

/// git's name of a kind of object, and its number in a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GitKind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
}

/// Numbers of entries that are the difference to another, and say where that is.
pub const OFFSET_DELTA: u8 = 6;
pub const ID_DELTA: u8 = 7;
/// As git's own packs: what is read follows at most so many deltas.
const DEPTH_MAX: u32 = 50;
const DELTA_BYTES_MIN: usize = 64;
/// What is shorter is not worth compressing.
const DEFLATE_BYTES_MIN: usize = 96;
const COPY_BYTES_MAX: usize = 0xff_ffff;
const INSERT_BYTES_MAX: usize = 127;

impl GitKind {
    /// `None` of a tag, or of no kind of object.
    pub fn numbered(number: u8) -> Option<GitKind> {
        match number {
            1 => Some(GitKind::Commit),
            2 => Some(GitKind::Tree),
            3 => Some(GitKind::Blob),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            GitKind::Commit => "commit",
            GitKind::Tree => "tree",
            GitKind::Blob => "blob",
        }
    }
}

enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    fn new(format: Format) -> Hasher {
        match format {
            Format::Sha1 => Hasher::Sha1(sha1::Sha1::new()),
            Format::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Oid {
        match self {
            Hasher::Sha1(hasher) => Oid::from_slice(&hasher.finalize()),
            Hasher::Sha256(hasher) => Oid::from_slice(&hasher.finalize()),
        }
    }
}

/// The id of an object.
pub fn oid_of(format: Format, kind: GitKind, bytes: &[u8]) -> Oid {
    let mut hasher = Hasher::new(format);
    hasher.update(format!("{} {}\0", kind.name(), bytes.len()).as_bytes());
    hasher.update(bytes);
    hasher.finish()
}

/// An object of the pack that another may be stored as a delta of.
#[derive(Clone, Debug)]
pub struct Packed {
    pub oid: Oid,
    pub bytes: Arc<[u8]>,
    offset: u64,
    depth: u32,
}

struct Listed {
    oid: Oid,
    checksum: u32,
    offset: u64,
}

/// A pack that is being written, under a name that git passes over. Dropped unfinished it is gone.
pub struct PackWriter {
    format: Format,
    directory: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    at: u64,
    listed: Vec<Listed>,
    /// Where each object is, and how long its chain of deltas.
    places: HashMap<Oid, (u64, u32)>,
    deflate: Compress,
    is_done: bool,
}

impl PackWriter {
    /// In `objects/pack` of a git repository.
    pub fn new(directory: &Path, format: Format) -> Result<PackWriter> {
        let fail = |error| Error::io(directory, error);
        std::fs::create_dir_all(directory).map_err(fail)?;
        let temporary = directory.join(format!("tmp_pack_helios_{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&temporary).map_err(|error| Error::io(&temporary, error))?;
        let mut writer = PackWriter {
            format,
            directory: directory.to_path_buf(),
            temporary,
            out: BufWriter::with_capacity(1 << 20, file),
            at: 0,
            listed: Vec::new(),
            places: HashMap::new(),
            deflate: Compress::new(Compression::fast(), true),
            is_done: false,
        };
        // The number of objects comes at the end.
        writer.put(b"PACK\0\0\0\x02\0\0\0\0", None)?;
        Ok(writer)
    }

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    fn put(&mut self, bytes: &[u8], checksum: Option<&mut crc32fast::Hasher>) -> Result<()> {
        if let Some(checksum) = checksum {
            checksum.update(bytes);
        }
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| Error::io(&self.temporary, error))
    }

    /// Adds an object, once, perhaps as a delta of another.
    pub fn add(
        &mut self,
        kind: GitKind,
        bytes: Arc<[u8]>,
        base: Option<&Packed>,
    ) -> Result<Packed> {
        let oid = oid_of(self.format, kind, &bytes);
        if let Some((offset, depth)) = self.places.get(&oid).copied() {
            return Ok(Packed { oid, bytes, offset, depth });
        }
        let offset = self.at;
        let base = base.filter(|base| base.depth < DEPTH_MAX && bytes.len() >= DELTA_BYTES_MIN);
        let delta = base.and_then(|base| Some((base, delta(&base.bytes, &bytes)?)));
        let mut checksum = crc32fast::Hasher::new();
        let depth = match delta {
            Some((base, delta)) => {
                let mut header = Vec::with_capacity(24);
                put_header(&mut header, OFFSET_DELTA, delta.len() as u64);
                put_distance(&mut header, offset - base.offset);
                self.put(&header, Some(&mut checksum))?;
                self.put_deflated(&delta, &mut checksum)?;
                base.depth + 1
            }
            None => {
                let mut header = Vec::with_capacity(12);
                put_header(&mut header, kind as u8, bytes.len() as u64);
                self.put(&header, Some(&mut checksum))?;
                self.put_deflated(&bytes, &mut checksum)?;
                0
            }
        };
        self.places.insert(oid, (offset, depth));
        self.listed.push(Listed { oid, checksum: checksum.finalize(), offset });
        Ok(Packed { oid, bytes, offset, depth })
    }

    fn put_deflated(&mut self, bytes: &[u8], checksum: &mut crc32fast::Hasher) -> Result<()> {
        let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
        if bytes.len() < DEFLATE_BYTES_MIN {
            put_stored(&mut out, bytes);
            return self.put(&out, Some(checksum));
        }
        self.deflate.reset();
        let mut rest = bytes;
        loop {
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(rest, &mut out, FlushCompress::Finish);
            let status = status.map_err(|error| Error::malformed(format!("deflate: {error}")))?;
            rest = &rest[(self.deflate.total_in() - before) as usize..];
            if status == Status::StreamEnd {
                return self.put(&out, Some(checksum));
            }
            out.reserve(out.capacity().max(1 << 12));
        }
    }

    /// Puts the pack where git finds it, durably; nothing, if it holds nothing.
    pub fn finish(mut self) -> Result<()> {
        if self.listed.is_empty() {
            return Ok(());
        }
        let temporary = self.temporary.clone();
        let fail = |error| Error::io(&temporary, error);
        let count = u32::try_from(self.listed.len())
            .map_err(|_| Error::Refused("a pack holds at most 4,294,967,295 objects".to_owned()))?;
        self.out.flush().map_err(fail)?;
        let mut file = self.out.get_ref();
        file.seek(SeekFrom::Start(8))
            .and_then(|_| file.write_all(&count.to_be_bytes()))
            .map_err(fail)?;
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut hasher = Hasher::new(self.format);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer).map_err(fail)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
        }
        let name = hasher.finish();
        file.write_all(name.bytes(self.format)).and_then(|()| file.sync_all()).map_err(fail)?;
        let mut digits = Vec::new();
        name.put_hex(self.format, &mut digits);
        let stem = format!("pack-{}", String::from_utf8_lossy(&digits));
        let index = self.temporary.with_extension("idx");
        let encoded = self.index(&name);
        let written = File::create(&index)
            .and_then(|mut file| file.write_all(&encoded).and_then(|()| file.sync_all()));
        written.map_err(|error| Error::io(&index, error))?;
        // The index last: git looks for packs by it.
        for (from, suffix) in [(&self.temporary, "pack"), (&index, "idx")] {
            let to = self.directory.join(format!("{stem}.{suffix}"));
            let mut permissions = std::fs::metadata(from).map_err(fail)?.permissions();
            permissions.set_readonly(true);
            std::fs::set_permissions(from, permissions).map_err(fail)?;
            std::fs::rename(from, &to).map_err(|error| Error::io(&to, error))?;
        }
        self.is_done = true;
        platform::sync_directory(&self.directory).map_err(|error| Error::io(&self.directory, error))
    }

    fn index(&mut self, pack: &Oid) -> Vec<u8> {
        self.listed.sort_unstable_by_key(|listed| listed.oid);
        let mut out = b"\xfftOc\0\0\0\x02".to_vec();
        let mut below = 0u32;
        let mut listed = self.listed.iter().peekable();
        for first in 0..=255u8 {
            while listed.next_if(|listed| listed.oid.padded()[0] == first).is_some() {
                below += 1;
            }
            out.extend_from_slice(&below.to_be_bytes());
        }
        for listed in &self.listed {
            out.extend_from_slice(listed.oid.bytes(self.format));
        }
        for listed in &self.listed {
            out.extend_from_slice(&listed.checksum.to_be_bytes());
        }
        let mut large = Vec::new();
        for listed in &self.listed {
            let short = u32::try_from(listed.offset).ok().filter(|offset| offset >> 31 == 0);
            let place = short.unwrap_or_else(|| {
                large.push(listed.offset);
                1 << 31 | (large.len() - 1) as u32
            });
            out.extend_from_slice(&place.to_be_bytes());
        }
        for offset in large {
            out.extend_from_slice(&offset.to_be_bytes());
        }
        out.extend_from_slice(pack.bytes(self.format));
        let mut hasher = Hasher::new(self.format);
        hasher.update(&out);
        out.extend_from_slice(hasher.finish().bytes(self.format));
        out
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        if !self.is_done {
            // What stays behind has a name that git cleans up.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

fn put_header(out: &mut Vec<u8>, kind: u8, len: u64) {
    let mut rest = len >> 4;
    let mut byte = kind << 4 | (len & 15) as u8;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// How far in front of an object its base is.
fn put_distance(out: &mut Vec<u8>, distance: u64) {
    let mut bytes = [0; 10];
    let mut at = bytes.len() - 1;
    let mut rest = distance;
    bytes[at] = (rest & 0x7f) as u8;
    while rest > 0x7f {
        rest = (rest >> 7) - 1;
        at -= 1;
        bytes[at] = 0x80 | (rest & 0x7f) as u8;
    }
    out.extend_from_slice(&bytes[at..]);
}

/// A zlib stream of one block that is not compressed (RFC 1950, RFC 1951).
fn put_stored(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&[0x78, 0x01, 0x01]);
    let len = bytes.len() as u16;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&(!len).to_le_bytes());
    out.extend_from_slice(bytes);
    let (mut low, mut high) = (1u32, 0u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65521;
        high = (high + low) % 65521;
    }
    out.extend_from_slice(&(high << 16 | low).to_be_bytes());
}

/// How `new` is made of `base`; `None` if that takes more than half of it.
fn delta(base: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let shorter = base.len().min(new.len());
    let prefix = base.iter().zip(new).take_while(|(left, right)| left == right).count();
    let (base_rest, new_rest) = (base.iter().rev(), new.iter().rev());
    let equal = base_rest.zip(new_rest).take_while(|(left, right)| left == right).count();
    let suffix = equal.min(shorter - prefix);
    let middle = &new[prefix..new.len() - suffix];
    if middle.len() > new.len() / 2 || base.len() > u32::MAX as usize {
        return None;
    }
    let mut out = Vec::with_capacity(middle.len() + 32);
    put_size(&mut out, base.len());
    put_size(&mut out, new.len());
    put_copies(&mut out, 0, prefix);
    for piece in middle.chunks(INSERT_BYTES_MAX) {
        out.push(piece.len() as u8);
        out.extend_from_slice(piece);
    }
    put_copies(&mut out, base.len() - suffix, suffix);
    Some(out)
}

fn put_size(out: &mut Vec<u8>, size: usize) {
    crate::object::put_varint(out, size as u64);
}

fn put_copies(out: &mut Vec<u8>, mut offset: usize, mut len: usize) {
    while len > 0 {
        let step = len.min(COPY_BYTES_MAX);
        let operation = out.len();
        out.push(0x80);
        for (bit, byte) in (offset as u32).to_le_bytes().into_iter().enumerate() {
            if byte != 0 {
                out[operation] |= 1 << bit;
                out.push(byte);
            }
        }
        // A length of 0x10000 is written by leaving it out, which no reader needs to be told.
        for (bit, byte) in (step as u32).to_le_bytes().into_iter().take(3).enumerate() {
            if byte != 0 {
                out[operation] |= 1 << (4 + bit);
                out.push(byte);
            }
        }
        offset += step;
        len -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applied(base: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut reader = crate::object::Reader::new(delta);
        assert_eq!(reader.varint().unwrap(), base.len() as u64);
        let size = reader.varint().unwrap();
        let mut out = Vec::new();
        while !reader.is_empty() {
            let operation = reader.u8().unwrap();
            if operation & 0x80 == 0 {
                out.extend_from_slice(reader.take(usize::from(operation)).unwrap());
                continue;
            }
            let mut number = |bits: std::ops::Range<u8>| {
                let mut value = 0usize;
                for (at, bit) in bits.enumerate() {
                    if operation & 1 << bit != 0 {
                        value |= usize::from(reader.u8().unwrap()) << (8 * at);
                    }
                }
                value
            };
            let (offset, len) = (number(0..4), number(4..7));
            let len = if len == 0 { 0x1_0000 } else { len };
            out.extend_from_slice(&base[offset..offset + len]);
        }
        assert_eq!(out.len() as u64, size);
        out
    }

    proptest! {
        #[test]
        fn a_delta_gives_the_new_bytes(
            left: Vec<u8>,
            middle in proptest::collection::vec(any::<u8>(), 0..400),
            right: Vec<u8>,
            pad in 0usize..70_000,
        ) {
            let pad = vec![7; pad];
            let base = [&pad[..], &left, &right, &pad].concat();
            let new = [&pad[..], &left, &middle, &right, &pad].concat();
            for (base, new) in [(&base, &new), (&new, &base)] {
                if let Some(delta) = delta(base, new) {
                    prop_assert_eq!(&applied(base, &delta), new);
                }
            }
        }

        #[test]
        fn stored_bytes_are_a_zlib_stream(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            let mut out = Vec::new();
            put_stored(&mut out, &bytes);
            let mut found = Vec::new();
            flate2::read::ZlibDecoder::new(&out[..]).read_to_end(&mut found).unwrap();
            prop_assert_eq!(found, bytes);
        }
    }

    #[test]
    fn ids_are_those_of_git() {
        let oid = oid_of(Format::Sha1, GitKind::Tree, b"");
        let empty = Oid::from_hex(b"4b825dc642cb6eb9a060e54bf8d69288fbee4904", Format::Sha1);
        assert_eq!(Some(oid), empty);
        let oid = oid_of(Format::Sha256, GitKind::Blob, b"");
        let digits = b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813";
        assert_eq!(Some(oid), Oid::from_hex(digits, Format::Sha256));
    }
}
