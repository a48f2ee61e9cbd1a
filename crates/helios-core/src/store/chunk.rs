//! Content-defined chunking of large blobs (FastCDC: Xia et al., USENIX ATC 2016).
//!
//! An insertion in the middle of a large file moves no chunk boundary but those near it, so all
//! other chunks are shared with the version before.

use std::io::Read;

use fastcdc::v2020::{FastCDC, StreamCDC};

use crate::error::{Error, Result};

/// Blobs above this size are stored as chunks.
pub const CHUNKED_BYTES_MIN: usize = 1 << 20;
// The sizes are part of what makes two stores share chunks; docs/FORMAT.md records them.
const MIN: usize = 64 << 10;
const AVERAGE: usize = 256 << 10;
const MAX: usize = 1 << 20;

/// The chunks of bytes that are in memory.
pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    FastCDC::new(bytes, MIN, AVERAGE, MAX)
        .map(|chunk| &bytes[chunk.offset..chunk.offset + chunk.length])
}

/// The chunks of a stream, at most `MAX` bytes of it in memory at a time.
pub fn split_stream(source: impl Read) -> impl Iterator<Item = Result<Vec<u8>>> {
    StreamCDC::new(source, MIN, AVERAGE, MAX).map(|chunk| match chunk {
        Ok(chunk) => Ok(chunk.data),
        Err(error) => Err(Error::io("a large file", error.into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Id, IdSet};

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect()
    }

    #[test]
    fn stream_and_slice_cut_alike() {
        let bytes = noise(5 << 20);
        let whole: Vec<Vec<u8>> = split(&bytes).map(<[u8]>::to_vec).collect();
        let streamed: Vec<Vec<u8>> = split_stream(&bytes[..]).map(Result::unwrap).collect();
        assert_eq!(whole, streamed);
        assert_eq!(whole.concat(), bytes);
    }

    #[test]
    fn inserted_byte_costs_few_chunks() {
        let bytes = noise(16 << 20);
        let mut edited = bytes.clone();
        edited.insert(8 << 20, 7);
        let before: IdSet = split(&bytes).map(Id::of_blob).collect();
        let new = split(&edited).filter(|chunk| !before.contains(&Id::of_blob(chunk))).count();
        assert!((1..=3).contains(&new), "{new} new chunks of {}", before.len());
    }
}
