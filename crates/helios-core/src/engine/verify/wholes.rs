//! Large blobs: files that are stored as a list of chunks, and records that L2 keeps apart.
//!
//! Each byte is read and hashed once (docs/design/015-verify-at-speed.md). A file is cut into
//! segments that are subtrees of its BLAKE3 tree, so that all threads work on one file, and its id
//! is computed from theirs. If that is right, every chunk holds what the file has in its place, and
//! is proved with it. Only what is in no such file is hashed by itself, against its own id.
//!
//! Versions of a file share most chunks. A segment with the same chunks at the same place is hashed
//! once for all of them.

use std::collections::HashMap;

use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root, HasherExt, Mode};
use rayon::prelude::*;

use super::{blob, check_whole, unsound, Checked, Place, Unsound, Verifier};
use crate::engine::progress::Phase;
use crate::error::Error;
use crate::id::{Id, ID_LEN};
use crate::object::Kind;
use crate::store::record::{Chunk, Form, Record, WHOLE_BYTES_MAX};
use crate::store::{ObjectReader, LARGE_AT_ONCE};
use crate::threads;

/// A power of two, and far more than a chunk: those that lie across a border are read twice.
const SEGMENT_BYTES: u64 = 8 << 20;
/// What BLAKE3 hashes side by side with AVX-512, and a multiple of what it does without.
const AT_ONCE_BYTES: usize = 16 << 10;
/// Large records that a thread verifies before it takes in how it went.
const BATCH: usize = 16;

/// An output of BLAKE3: of a subtree, or of the whole.
type Output = [u8; ID_LEN];
pub(super) type Chunked = (Id, Place, Vec<Chunk>);
/// What takes the bytes of a file, in order.
type Visit<'v> = &'v mut (dyn FnMut(&[u8]) + Send);

/// A part of a file that is a subtree of its hash.
struct Segment<'c> {
    start: u64,
    len: u64,
    /// The chunks that it lies in, and how much of the first one is before it.
    chunks: &'c [Chunk],
    skipped: u64,
    /// Whether it is all of the file.
    is_whole: bool,
}

impl Segment<'_> {
    fn hasher(&self) -> SegmentHasher {
        let mut hasher = blake3::Hasher::new();
        if !self.is_whole {
            hasher.set_input_offset(self.start);
        }
        let staged = Vec::with_capacity(AT_ONCE_BYTES);
        SegmentHasher { hasher, staged, is_whole: self.is_whole }
    }

    /// Equal for segments that have the same output.
    fn key(&self) -> blake3::Hash {
        let mut key = blake3::Hasher::new();
        for number in [self.start, self.len, self.skipped, u64::from(self.is_whole)] {
            key.update(&number.to_le_bytes());
        }
        for chunk in self.chunks {
            key.update(chunk.id.as_bytes()).update(&chunk.len.to_le_bytes());
        }
        key.finalize()
    }
}

/// Hashes a segment piece by piece.
///
/// BLAKE3 hashes 16 KiB at a time in the registers of a processor, but only where they begin at a
/// multiple of that: around the borders of chunks, which lie anywhere, it would hash 1 KiB, 2 KiB
/// and so on. What lies around a border is therefore put together first.
struct SegmentHasher {
    hasher: blake3::Hasher,
    staged: Vec<u8>,
    is_whole: bool,
}

impl SegmentHasher {
    fn update(&mut self, mut bytes: &[u8]) {
        if !self.staged.is_empty() {
            let missing = AT_ONCE_BYTES - self.staged.len();
            let (head, rest) = bytes.split_at(missing.min(bytes.len()));
            self.staged.extend_from_slice(head);
            if head.len() < missing {
                return;
            }
            self.hasher.update(&self.staged);
            self.staged.clear();
            bytes = rest;
        }
        let (whole, tail) = bytes.split_at(bytes.len() - bytes.len() % AT_ONCE_BYTES);
        self.hasher.update(whole);
        self.staged.extend_from_slice(tail);
    }

    fn output(mut self) -> Output {
        self.hasher.update(&self.staged);
        match self.is_whole {
            true => *self.hasher.finalize().as_bytes(),
            false => self.hasher.finalize_non_root(),
        }
    }
}

/// The segments of a file; one of nothing if it is empty.
fn segments(chunks: &[Chunk]) -> Vec<Segment<'_>> {
    let total: u64 = chunks.iter().map(|chunk| chunk.len).sum();
    let is_whole = total <= SEGMENT_BYTES;
    let mut found = Vec::new();
    // The first chunk of the segment, and where it begins.
    let (mut first, mut first_start) = (0, 0);
    let mut start = 0;
    loop {
        let len = SEGMENT_BYTES.min(total - start);
        while first < chunks.len() && first_start + chunks[first].len <= start {
            first_start += chunks[first].len;
            first += 1;
        }
        let (mut behind, mut end) = (first, first_start);
        while behind < chunks.len() && end < start + len {
            end += chunks[behind].len;
            behind += 1;
        }
        let skipped = start - first_start;
        found.push(Segment { start, len, chunks: &chunks[first..behind], skipped, is_whole });
        start += len;
        if start >= total {
            return found;
        }
    }
}

/// The id of a file from the outputs of its segments, of which there are two or more.
fn join(outputs: &[Output]) -> Output {
    let (left, right) = outputs.split_at(left_len(outputs.len()));
    *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
}

fn subtree(outputs: &[Output]) -> Output {
    if let [one] = outputs {
        return *one;
    }
    let (left, right) = outputs.split_at(left_len(outputs.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The left subtree is the largest one that is complete and leaves something.
fn left_len(len: usize) -> usize {
    len.next_power_of_two() / 2
}

impl Verifier {
    /// Notes large records of L2, which are read when all others are known.
    pub fn large(&mut self, batch: &[(Id, u64)]) {
        self.records += batch.len() as u64;
        self.bytes += batch.iter().map(|(_, len)| len).sum::<u64>();
        self.large.extend(batch.iter().map(|(id, _)| *id));
        self.engine.progress().step(batch.len() as u64);
    }

    /// Verifies chunked files, and all large records.
    pub(super) fn check_wholes(&mut self) {
        let chunked = std::mem::take(&mut self.chunked);
        let unproved = self.prove(&chunked);
        self.check_large();
        // One that is wrong is looked at closely: which chunk is it?
        for batch in unproved.chunks(256) {
            let checked: Vec<Checked> = threads::run(|| {
                let check = |file: &&Chunked| self.check_chunks(&file.0, &file.2);
                batch.par_iter().with_max_len(1).map(check).collect()
            });
            for ((id, place, chunks), checked) in batch.iter().zip(checked) {
                self.note(*id, *place, checked);
                for chunk in chunks {
                    self.unproved.entry(chunk.id).or_default().push(*id);
                }
            }
        }
    }

    /// Hashes files as wholes, and notes those that are right, with their chunks; the others.
    fn prove<'c>(&mut self, chunked: &'c [Chunked]) -> Vec<&'c Chunked> {
        let mut distinct: Vec<Segment> = Vec::new();
        let mut known: HashMap<blake3::Hash, usize> = HashMap::new();
        let mut files: Vec<Vec<usize>> = Vec::with_capacity(chunked.len());
        for (_, _, chunks) in chunked {
            let mut file = Vec::new();
            // What no chunk can hold need not be cut up to be found wrong.
            let is_possible = chunks.iter().all(|chunk| chunk.len <= WHOLE_BYTES_MAX);
            for segment in is_possible.then(|| segments(chunks)).into_iter().flatten() {
                file.push(*known.entry(segment.key()).or_insert_with(|| {
                    distinct.push(segment);
                    distinct.len() - 1
                }));
            }
            files.push(file);
        }
        drop(known);
        self.engine.progress().begin(Phase::Reading, distinct.len() as u64);
        let outputs: Vec<Option<Output>> = threads::run(|| {
            let hash = |segment: &Segment| {
                let output = self.hash(segment);
                self.engine.progress().step(1);
                output
            };
            distinct.par_iter().with_max_len(1).map(hash).collect()
        });
        let mut unproved = Vec::new();
        for (file, parts) in chunked.iter().zip(files) {
            let (id, place, chunks) = file;
            let parts: Option<Vec<Output>> = parts.into_iter().map(|at| outputs[at]).collect();
            let output = parts.map(|parts| match parts[..] {
                [] => Output::default(),
                [whole] => whole,
                _ => join(&parts),
            });
            if output.as_ref() != Some(id.as_bytes()) {
                unproved.push(file);
                continue;
            }
            self.note(*id, *place, blob(chunks.iter().map(|chunk| chunk.len).sum()));
            for chunk in chunks {
                if self.large.remove(&chunk.id) {
                    self.note(chunk.id, Place::L2, blob(chunk.len));
                }
            }
        }
        unproved
    }

    /// The output of a segment, `None` if a chunk cannot be had as it should be.
    fn hash(&self, segment: &Segment<'_>) -> Option<Output> {
        let mut hasher = segment.hasher();
        let mut skipped = segment.skipped as usize;
        let mut left = segment.len as usize;
        self.each_content(segment.chunks, &mut |bytes| {
            let bytes = &bytes[skipped..];
            let bytes = &bytes[..bytes.len().min(left)];
            hasher.update(bytes);
            (skipped, left) = (0, left - bytes.len());
        })?;
        Some(hasher.output())
    }

    /// Gives the contents of chunks, in order, as long as they are as long as they should be. Those
    /// of large records are L2's: it is these that are proved.
    fn each_content(&self, chunks: &[Chunk], visit: Visit<'_>) -> Option<()> {
        let is_large = |chunk: &Chunk| self.large.contains(&chunk.id);
        let ids = |chunks: &[Chunk]| chunks.iter().map(|chunk| chunk.id).collect::<Vec<Id>>();
        for run in chunks.chunk_by(|one, next| is_large(one) == is_large(next)) {
            let mut are_right = true;
            match self.engine.store.as_ref().filter(|_| is_large(&run[0])) {
                Some(store) => store.each_large(&ids(run), &mut |at, record| {
                    are_right = are_right && visit_content(&run[at], record, visit);
                }),
                None => run.chunks(LARGE_AT_ONCE).try_for_each(|window| {
                    let records = self.engine.records_of(&ids(window))?;
                    are_right = are_right
                        && window
                            .iter()
                            .zip(&records)
                            .all(|(chunk, record)| visit_content(chunk, record.as_deref(), visit));
                    Ok(())
                }),
            }
            .ok()
            .filter(|()| are_right)?;
        }
        Some(())
    }

    /// Verifies the large records that no file has proved, each against its own id.
    fn check_large(&mut self) {
        let mut ids: Vec<Id> = std::mem::take(&mut self.large).into_iter().collect();
        // In the order in which they lie on disk.
        ids.sort_unstable();
        self.engine.progress().begin(Phase::Reading, ids.len() as u64);
        let checked: Vec<(Id, Checked)> = threads::run(|| {
            ids.par_chunks(BATCH).flat_map_iter(|ids| self.check_each_large(ids)).collect()
        });
        for (id, checked) in checked {
            self.note(id, Place::L2, checked);
        }
    }

    fn check_each_large(&self, ids: &[Id]) -> Vec<(Id, Checked)> {
        let Some(store) = &self.engine.store else {
            return Vec::new();
        };
        let mut checked = Vec::with_capacity(ids.len());
        let outcome = store.each_large(ids, &mut |at, record| {
            // What is not there was collected meanwhile.
            checked.extend(record.map(|record| (ids[at], check_whole(&ids[at], record))));
        });
        self.engine.progress().step(ids.len() as u64);
        match outcome {
            Ok(()) => checked,
            Err(error) if ids.len() == 1 => vec![(ids[0], unsound(error.to_string()))],
            // One by one, to learn which it is.
            Err(_) => ids.chunks(1).flat_map(|one| self.check_each_large(one)).collect(),
        }
    }

    /// Streams the chunks of a blob, of which some may have other records than those that count,
    /// and verifies the whole, and each chunk's length.
    pub(super) fn check_chunks(&self, id: &Id, chunks: &[Chunk]) -> Checked {
        let mut whole = blake3::Hasher::new();
        let mut size = 0;
        for chunk in chunks {
            let Ok(object) = self.engine.object(&chunk.id) else {
                return Checked::Unsound(super::because(&chunk.id));
            };
            if object.bytes.len() as u64 != chunk.len {
                let reason = format!("its chunk {} has another length", chunk.id);
                return Checked::Unsound(Unsound { reason, cause: Some(chunk.id) });
            }
            size += chunk.len;
            whole.update(&object.bytes);
        }
        if whole.finalize().as_bytes() != id.as_bytes() {
            let bad = chunks.iter().map(|chunk| chunk.id).find(|chunk| {
                matches!(self.engine.object(chunk), Err(Error::CorruptObject { .. }))
            });
            let reason = "its chunks do not match its id".to_owned();
            return Checked::Unsound(Unsound { reason, cause: bad });
        }
        blob(size)
    }
}

/// Gives the content of a chunk's record, if that is whole and as long as it should be.
fn visit_content(chunk: &Chunk, record: Option<&[u8]>, visit: Visit<'_>) -> bool {
    let Some(Ok(record)) = record.map(Record::parse) else {
        return false;
    };
    if record.kind != Kind::Blob || record.raw_len != chunk.len {
        return false;
    }
    match record.form {
        Form::Raw => visit(record.payload),
        Form::Zstd => match record.inflate() {
            Ok(bytes) => visit(&bytes),
            Err(_) => return false,
        },
        Form::Splice | Form::Chunks => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs as `Verifier::hash` computes them, of bytes that are in memory.
    fn outputs(bytes: &[u8], chunks: &[Chunk]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for segment in segments(chunks) {
            let from = segment.start as usize;
            let before: u64 = segment.chunks.iter().map(|chunk| chunk.len).sum();
            assert!(segment.skipped + segment.len <= before);
            let mut hasher = segment.hasher();
            // In pieces of all kinds: shorter than what is hashed at once, and longer.
            let mut rest = &bytes[from..from + segment.len as usize];
            for len in [0, 1, 5, AT_ONCE_BYTES, 100_000, 3 * AT_ONCE_BYTES - 6].iter().cycle() {
                let (piece, others) = rest.split_at(rest.len().min(*len));
                hasher.update(piece);
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            outputs.push(hasher.output());
        }
        outputs
    }

    #[test]
    fn segments_join_to_the_id_whatever_the_length() {
        let segment = SEGMENT_BYTES as usize;
        let bytes: Vec<u8> = (0..5 * segment + 3).map(|at| (at % 251) as u8).collect();
        for len in [0, 1, segment - 1, segment, segment + 1, 2 * segment, 3 * segment - 5] {
            check(&bytes[..len]);
        }
        for count in 2..=5 {
            check(&bytes[..count * segment]);
            check(&bytes[..count * segment + 3]);
        }
    }

    fn check(bytes: &[u8]) {
        let chunk = |part: &[u8]| Chunk { id: Id::of_blob(part), len: part.len() as u64 };
        let chunks: Vec<Chunk> = bytes.chunks(300_007).map(chunk).collect();
        let outputs = outputs(bytes, &chunks);
        let id = match outputs[..] {
            [whole] => whole,
            _ => join(&outputs),
        };
        assert_eq!(&id, Id::of_blob(bytes).as_bytes(), "{} bytes", bytes.len());
    }
}
