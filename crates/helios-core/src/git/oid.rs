//! Object ids of git: SHA-1 of 20 bytes, or SHA-256 of 32.

use std::fmt;

use crate::error::{Error, Result};

/// Bytes in the longer of the two kinds of ids.
pub const OID_LEN_MAX: usize = 32;

/// Which hash a git repository names its objects by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Sha1,
    Sha256,
}

impl Format {
    pub fn of_len(len: usize) -> Result<Format> {
        match len {
            20 => Ok(Format::Sha1),
            32 => Ok(Format::Sha256),
            other => Err(Error::malformed(format!("git ids of {other} bytes"))),
        }
    }

    /// Bytes in an id.
    pub fn id_bytes(self) -> usize {
        match self {
            Format::Sha1 => 20,
            Format::Sha256 => 32,
        }
    }
}

/// A git id; one of SHA-1 is padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid([u8; OID_LEN_MAX]);

impl Oid {
    /// Reads the bytes of an id; at most 32 count.
    pub fn from_slice(bytes: &[u8]) -> Oid {
        let mut padded = [0; OID_LEN_MAX];
        let len = bytes.len().min(OID_LEN_MAX);
        padded[..len].copy_from_slice(&bytes[..len]);
        Oid(padded)
    }

    /// Reads hexadecimal digits of either case; `None` if they are not an id of this format.
    pub fn from_hex(text: &[u8], format: Format) -> Option<Oid> {
        if text.len() != 2 * format.id_bytes() {
            return None;
        }
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let mut padded = [0; OID_LEN_MAX];
        for (byte, pair) in padded.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Oid(padded))
    }

    pub const fn padded(&self) -> &[u8; OID_LEN_MAX] {
        &self.0
    }

    pub fn bytes(&self, format: Format) -> &[u8] {
        &self.0[..format.id_bytes()]
    }

    pub fn is_null(&self) -> bool {
        self.0 == [0; OID_LEN_MAX]
    }

    /// Appends the hexadecimal digits.
    pub fn put_hex(&self, format: Format, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.bytes(format) {
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        self.put_hex(Format::Sha256, &mut digits);
        write!(f, "Oid({})", String::from_utf8_lossy(&digits))
    }
}
