//! A segment of the map whose rows name git objects by their ids: rows in the order of these, with
//! a permutation that gives the order of Helios ids. Layout: docs/FORMAT.md.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use super::oid::{Format, Oid};
use super::row::{Role, Row, RowId, SIZE_MAX};
use crate::error::{Error, Result};
use crate::id::ID_LEN;
use crate::object::Kind;
use crate::platform;

const MAGIC: [u8; 8] = *b"HELIOSGM";
const VERSION: u32 = 1;
pub const HEADER_LEN: usize = 64;
const CHECKSUM_AT: usize = 32;
const META_LEN: usize = 6;
/// In a row's first byte, beside kind and role.
const MIXED: u8 = 1 << 6;
pub const SUFFIX: &str = ".map";

pub struct Segment {
    pub path: PathBuf,
    bytes: Mmap,
    pub count: usize,
    format: Format,
}

impl Segment {
    /// Reads the header; the rest is as it is found.
    pub fn open(path: &Path, format: Format) -> Result<Segment> {
        let fail = |error| Error::io(path, error);
        let file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        if len < HEADER_LEN as u64 {
            return Err(malformed(path, "it is too short for a header"));
        }
        // SAFETY: a segment is written under another name, renamed when it is whole, and never
        // written or shortened afterwards, only unlinked; so what is mapped does not change. The
        // mapping is read as bytes, for which any value is valid.
        let bytes = unsafe { Mmap::map(&file) }.map_err(fail)?;
        if bytes[..8] != MAGIC {
            return Err(malformed(path, "it does not begin as a segment does"));
        }
        let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if version > VERSION {
            let (found, known) = (u64::from(version), u64::from(VERSION));
            return Err(Error::FormatTooNew(path.display().to_string(), found, known));
        }
        if usize::from(bytes[12]) != format.id_bytes() {
            return Err(malformed(path, "its git ids are of another length"));
        }
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[16..24]);
        let row_len = (format.id_bytes() + META_LEN + ID_LEN + 4) as u64;
        let wanted = u64::from_le_bytes(word).checked_mul(row_len);
        let wanted = wanted.and_then(|rows| rows.checked_add(HEADER_LEN as u64));
        if wanted != Some(bytes.len() as u64) {
            return Err(malformed(path, "its length is not that of its rows"));
        }
        let count = u64::from_le_bytes(word) as usize;
        Ok(Segment { path: path.to_path_buf(), bytes, count, format })
    }

    /// Whether the bytes are those that were written, and in order.
    pub fn check(&self) -> Result<()> {
        if checksum(&self.bytes[..CHECKSUM_AT], &self.bytes[HEADER_LEN..])
            != self.bytes[CHECKSUM_AT..HEADER_LEN]
        {
            return Err(malformed(&self.path, "its checksum is another"));
        }
        let is_sorted = (1..self.count).all(|at| self.oid(at - 1) <= self.oid(at));
        let ids = (0..self.count).map(|at| self.by_id(at));
        match is_sorted && ids.clone().zip(ids.skip(1)).all(|(left, right)| left.1 <= right.1) {
            true => Ok(()),
            false => Err(malformed(&self.path, "it is not sorted")),
        }
    }

    pub fn oid(&self, at: usize) -> &[u8] {
        let len = self.format.id_bytes();
        &self.bytes[HEADER_LEN + at * len..HEADER_LEN + (at + 1) * len]
    }

    fn id(&self, at: usize) -> &[u8] {
        let from = HEADER_LEN + self.count * (self.format.id_bytes() + META_LEN) + at * ID_LEN;
        &self.bytes[from..from + ID_LEN]
    }

    /// The row at a place in the order of Helios ids, and its id.
    pub fn by_id(&self, at: usize) -> (usize, &[u8]) {
        let start = HEADER_LEN + self.count * (self.format.id_bytes() + META_LEN + ID_LEN);
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[start + at * 4..start + at * 4 + 4]);
        // A damaged number must not lead out of the file; the id there will not be the right one.
        let row = (u32::from_le_bytes(word) as usize).min(self.count.saturating_sub(1));
        (row, self.id(row))
    }

    pub fn row(&self, at: usize) -> Result<Row> {
        let from = HEADER_LEN + self.count * self.format.id_bytes() + at * META_LEN;
        let meta = &self.bytes[from..from + META_LEN];
        let role = match meta[0] >> 4 & 3 {
            0 => Role::Derived,
            1 => Role::Written,
            2 => Role::Inner,
            _ => return Err(malformed(&self.path, "a row has an unknown role")),
        };
        let kind = Kind::from_byte(meta[0] & 15)
            .map_err(|_| malformed(&self.path, "a row has an unknown kind"))?;
        let mut size = [0; 8];
        size[..5].copy_from_slice(&meta[1..]);
        Ok(Row {
            oid: Oid::from_slice(self.oid(at)),
            role,
            kind,
            is_mixed: meta[0] & MIXED != 0,
            size: u64::from_le_bytes(size),
            id: RowId::from_slice(self.id(at)).ok_or_else(|| malformed(&self.path, "an id"))?,
        })
    }
}

/// The file of these rows, which are sorted: its name, and its bytes.
pub fn encode(rows: &[Row], format: Format) -> Result<(String, Vec<u8>)> {
    let count = u32::try_from(rows.len()).map_err(|_| {
        Error::Refused("a map of more than 4,294,967,295 objects cannot be written".to_owned())
    })?;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by_key(|at| rows[*at as usize].id);
    let row_len = format.id_bytes() + META_LEN + ID_LEN + 4;
    let mut bytes = Vec::with_capacity(HEADER_LEN + rows.len() * row_len);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[format.id_bytes() as u8, 0, 0, 0]);
    bytes.extend_from_slice(&(rows.len() as u64).to_le_bytes());
    bytes.resize(HEADER_LEN, 0);
    for row in rows {
        bytes.extend_from_slice(row.oid.bytes(format));
    }
    for row in rows {
        let mixed = if row.is_mixed { MIXED } else { 0 };
        bytes.push(row.kind as u8 | (row.role as u8) << 4 | mixed);
        bytes.extend_from_slice(&row.size.min(SIZE_MAX).to_le_bytes()[..5]);
    }
    for row in rows {
        let whole = row.id.whole();
        let id = whole.ok_or_else(|| Error::malformed("a row without a whole id"))?;
        bytes.extend_from_slice(id.as_bytes());
    }
    for at in &order {
        bytes.extend_from_slice(&at.to_le_bytes());
    }
    let sum = checksum(&bytes[..CHECKSUM_AT], &bytes[HEADER_LEN..]);
    bytes[CHECKSUM_AT..HEADER_LEN].copy_from_slice(&sum);
    let name: String = sum[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((name + SUFFIX, bytes))
}

/// The error that a file of the map is not what was written.
pub fn malformed(path: &Path, reason: &str) -> Error {
    Error::CorruptStore(format!(
        "{}: {reason}; delete the directory it is in, and `git fetch` or `git import` again, or \
         restore it from a copy of the repository",
        path.display()
    ))
}

/// Of what is before and behind the place where it is stored.
pub fn checksum(before: &[u8], behind: &[u8]) -> [u8; ID_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(behind);
    *hasher.finalize().as_bytes()
}

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Puts a file where readers find it, whole and durably.
pub fn put_file(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let fail = |error| Error::io(directory, error);
    std::fs::create_dir_all(directory).map_err(fail)?;
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!("{}-{serial}.tmp", std::process::id()));
    if let Err(error) = write_file(&temporary, bytes) {
        // What cannot be removed either is passed over by everybody.
        let _ = std::fs::remove_file(&temporary);
        return Err(Error::io(&temporary, error));
    }
    let path = directory.join(name);
    std::fs::rename(&temporary, &path).map_err(fail)?;
    platform::sync_directory(directory).map_err(fail)?;
    Ok(path)
}

fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = BufWriter::new(options.write(true).create(true).truncate(true).open(path)?);
    file.write_all(bytes)?;
    file.flush()?;
    file.get_ref().sync_all()
}
