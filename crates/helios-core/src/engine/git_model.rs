//! What git would have written for the same commit: the model behind `io_reduction_percent`.
//!
//! `git add` and `git commit` each rewrite the index: a header, one entry of 62 bytes and the path,
//! padded to eight, per file, and a checksum. Beside it come loose objects: the changed blobs, one
//! tree per changed directory, a commit; and the logs of two refs. The constants were fitted to a
//! measured git (docs/BENCHMARKS.md says how far they hold).

/// A loose blob: zlib makes about this much of source text.
const BLOB_PERCENT: u64 = 45;
const LOOSE_HEADER_BYTES: u64 = 20;
/// An entry of a loose tree: 20 bytes of id do not compress, mode and name mostly do.
const TREE_ENTRY_BYTES: u64 = 27;
/// The commit object, both reflog lines, the ref and COMMIT_EDITMSG.
const COMMIT_BYTES: u64 = 600;
const INDEX_ENTRY_BYTES: u64 = 62;
const INDEX_FIXED_BYTES: u64 = 12 + 20;

pub fn blob_bytes(raw_len: u64) -> u64 {
    LOOSE_HEADER_BYTES + raw_len * BLOB_PERCENT / 100
}

pub fn tree_bytes(entries: u64) -> u64 {
    LOOSE_HEADER_BYTES + entries * TREE_ENTRY_BYTES
}

/// The index twice, and what every commit costs; paths are `path_len` bytes on average.
pub fn commit_bytes(files: u64, path_len: u64) -> u64 {
    let entry = (INDEX_ENTRY_BYTES + path_len + 8) & !7;
    2 * (INDEX_FIXED_BYTES + files * entry) + COMMIT_BYTES
}
