//! What is on disk becomes a tree: scan, compare with the index, read what may have changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::commit::{put_best, Writer};
use super::progress::Phase;
use super::Engine;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::object::Kind;
use crate::platform::{self, Stat};
use crate::store::chunk;
use crate::store::record::{Base, Chunk};
use crate::store::{Object, ObjectReader};
use crate::threads;
use crate::tree::node::{self, Keep, Replaced, Sink};
use crate::tree::{Entry, EntryKind, Tree};
use crate::vst::Vst;
use crate::worktree::watch::{Answer, Token};
use crate::worktree::{self, Found, Index, Known, ScanOptions, Warning};

/// Files are read and encoded in batches of about this many bytes, which bounds the memory.
const BATCH_BYTES: u64 = 32 << 20;
const BATCH_FILES: usize = 4096;
/// So many files, of so many bytes in all, are read sooner than threads are started.
const READ_ALONE_FILES: usize = 32;
const READ_ALONE_BYTES: u64 = 256 << 10;
/// A file that changes while it is read is read again this often.
const READ_ATTEMPTS: usize = 5;
/// From this size on a splice is worth fetching its base from L2.
const FETCH_BASE_BYTES_MIN: u64 = 4096;

/// The tree on disk, as edits of the tree that the index describes.
pub struct Capture {
    pub vst: Vst,
    pub warnings: Vec<Warning>,
    /// What the index should say once the capture's tree is stored.
    learned: Vec<(Vec<u8>, Option<Known>)>,
    /// What a watch said before the scan, if it is to be gone by.
    pub seen: Option<Seen>,
    /// Wall clock when the scan began, in nanoseconds since 1970.
    started_ns: i64,
}

/// From when on a watch knows what has changed, and how much of the disk was scanned then.
pub struct Seen {
    pub token: Token,
    /// Everything was scanned.
    pub is_whole: bool,
    /// So many paths were reported.
    pub reported: usize,
    /// Of a scan of everything: directories with a repository of git around them.
    pub repositories: Vec<Vec<u8>>,
}

/// What reading one file gave.
enum Content {
    /// A whole small file, stored or only hashed.
    Small {
        id: Id,
        size: u64,
        record: Option<Vec<u8>>,
    },
    Directory,
    /// Too large to be read beside others.
    Large,
    /// It is gone by now.
    Gone,
    /// It cannot be read; what was known of it stands.
    Unreadable(String),
}

/// Scans `root`, or only what a watch has an `answer` about, and reads what the index cannot vouch
/// for. Blobs go to `writer`; without one they are only hashed, and the capture serves for
/// comparing.
pub fn capture(
    engine: &Engine,
    root: &Path,
    index: &Index,
    options: &ScanOptions,
    answer: Option<Answer>,
    mut writer: Option<&mut Writer<'_>>,
) -> Result<Capture> {
    engine.progress().begin(Phase::Scanning, 0);
    let token = answer.as_ref().map(|answer| answer.token);
    let reported = answer.and_then(|answer| answer.paths);
    let (is_whole, count) = (reported.is_none(), reported.as_ref().map_or(0, Vec::len));
    let mut status = match reported {
        Some(paths) => worktree::status_of(root, options, index, paths)?,
        None => worktree::status(root, options, index)?,
    };
    let repositories = std::mem::take(&mut status.repositories);
    let seen = token.map(|token| Seen { token, is_whole, reported: count, repositories });
    let tree = index.tree.map(|id| Tree::load(engine, &id)).transpose()?.unwrap_or_default();
    let mut capture = Capture {
        vst: Vst::new(tree, None, None),
        warnings: status.warnings,
        learned: Vec::new(),
        seen,
        started_ns: status.started_ns,
    };
    for path in status.deleted {
        capture.vst.delete_exact(&path, engine)?;
        capture.learned.push((path, None));
    }
    engine.progress().begin(Phase::Reading, status.suspects.len() as u64);
    for batch in batches(&status.suspects) {
        let stores = writer.is_some();
        let contents = threads::map(batch, is_much(batch), |found| {
            read(engine, root, found, index.get(&found.path), stores)
        });
        for (found, (content, stat)) in batch.iter().zip(contents) {
            let content = (content, stat);
            capture.take(engine, root, found, content, index, writer.as_deref_mut())?;
        }
        engine.progress().step(batch.len() as u64);
    }
    Ok(capture)
}

fn batches(suspects: &[Found]) -> Vec<&[Found]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, found) in suspects.iter().enumerate() {
        bytes += found.stat.size;
        if bytes > BATCH_BYTES || at - from >= BATCH_FILES {
            batches.push(&suspects[from..=at]);
            (from, bytes) = (at + 1, 0);
        }
    }
    if from < suspects.len() {
        batches.push(&suspects[from..]);
    }
    batches
}

/// Whether reading a batch takes longer than starting threads for it.
fn is_much(batch: &[Found]) -> bool {
    let bytes = batch.iter().map(|found| found.stat.size).sum::<u64>();
    batch.len() > READ_ALONE_FILES || bytes > READ_ALONE_BYTES
}

fn read(
    engine: &Engine,
    root: &Path,
    found: &Found,
    known: Option<Known>,
    stores: bool,
) -> (Content, Stat) {
    match found.kind {
        EntryKind::Directory => return (Content::Directory, found.stat),
        EntryKind::Symlink => {}
        _ if found.stat.size > chunk::CHUNKED_BYTES_MIN as u64 => {
            return (Content::Large, found.stat);
        }
        _ => {}
    }
    let place = root.join(platform::path_from_bytes(&found.path));
    let read = match found.kind {
        EntryKind::Symlink => platform::read_link(&place).map(|target| (target, found.stat)),
        _ => read_steadily(&place),
    };
    let (bytes, stat) = match read {
        Ok(read) => read,
        Err(error) => return (failure(&error), found.stat),
    };
    if bytes.len() > chunk::CHUNKED_BYTES_MIN {
        return (Content::Large, stat);
    }
    let id = Id::of_blob(&bytes);
    let size = bytes.len() as u64;
    let known = known.filter(|known| known.kind.has_content() && known.id != id);
    let record = stores.then(|| encode(engine, id, &bytes, known));
    (Content::Small { id, size, record }, stat)
}

/// The record of a blob, empty if it is known to be stored.
fn encode(engine: &Engine, id: Id, bytes: &[u8], known: Option<Known>) -> Vec<u8> {
    if engine.journal_holds(&id, bytes) {
        return Vec::new();
    }
    let base = known.and_then(|known| match known.stat.size >= FETCH_BASE_BYTES_MIN {
        true => engine.object(&known.id).ok().map(|object| (known.id, object)),
        false => engine.nearby(&known.id).map(|object| (known.id, object)),
    });
    let base = base.as_ref().map(|(id, object)| Base {
        id: *id,
        depth: object.depth,
        bytes: &object.bytes,
    });
    let mut record = Vec::with_capacity(bytes.len() / 2 + 64);
    put_best(&mut record, Kind::Blob, bytes, base, true);
    record
}

fn failure(error: &io::Error) -> Content {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Content::Gone,
        // What was a file is now something else: the next scan sees it.
        io::ErrorKind::IsADirectory => Content::Gone,
        _ => Content::Unreadable(error.to_string()),
    }
}

/// Reads a file that stands still meanwhile: its stat data is the same before and after. Of one
/// that only grows, as logs do, what it began with is taken.
fn read_steadily(place: &Path) -> io::Result<(Vec<u8>, Stat)> {
    let mut earlier: Option<(Vec<u8>, Stat)> = None;
    for _ in 0..READ_ATTEMPTS {
        let mut file = platform::open_no_follow(place)?;
        let before = platform::stat_of(&file.metadata()?);
        let mut bytes = Vec::with_capacity(before.size.min(BATCH_BYTES) as usize + 1);
        file.read_to_end(&mut bytes)?;
        if before == platform::stat_of(&file.metadata()?) {
            return Ok((bytes, before));
        }
        bytes.truncate(before.size as usize);
        match earlier {
            Some((start, stat)) if !start.is_empty() && bytes.starts_with(&start) => {
                return Ok((start, stat));
            }
            _ => earlier = Some((bytes, before)),
        }
    }
    Err(unsteady())
}

/// Half of one state and half of another would be worse than no content.
fn unsteady() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "it changes while it is read")
}

impl Capture {
    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        engine: &Engine,
        root: &Path,
        found: &Found,
        (content, stat): (Content, Stat),
        index: &Index,
        writer: Option<&mut Writer<'_>>,
    ) -> Result<()> {
        let path = &found.path;
        let (id, size) = match content {
            Content::Directory => {
                self.make_room(engine, path, true)?;
                self.vst.create_directory(path, engine)?;
                let known = Known::new(found.kind, stat, Id::UNSEALED, self.started_ns);
                self.learned.push((path.clone(), Some(known)));
                return Ok(());
            }
            Content::Small { id, size, record } => {
                if let (Some(record), Some(writer)) = (record, writer) {
                    if !record.is_empty() && !writer.knows(&id) {
                        writer.put(id, Kind::Blob, size as usize, |out| {
                            out.extend_from_slice(&record);
                        })?;
                    }
                }
                (id, size)
            }
            Content::Large => {
                let place = root.join(platform::path_from_bytes(path));
                match read_large(&place, writer) {
                    Ok(found) => found,
                    Err(Error::Io { source, .. }) => {
                        return self.pass_over(engine, path, failure(&source), index);
                    }
                    Err(error) => return Err(error),
                }
            }
            other => return self.pass_over(engine, path, other, index),
        };
        self.make_room(engine, path, false)?;
        let entry = Entry { kind: found.kind, id, size };
        if self.vst.entry(path, engine)? != Some(entry) {
            self.vst.set_stored(path, &entry, engine)?;
        }
        let known = Known::new(found.kind, stat, id, self.started_ns);
        self.learned.push((path.clone(), Some(known)));
        Ok(())
    }

    /// A file became a directory, or the other way round: what was there goes first.
    fn make_room(&mut self, engine: &Engine, path: &[u8], for_directory: bool) -> Result<()> {
        // Also a file above the path may have become a directory.
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in above.chain([path.len()]) {
            let Some(entry) = self.vst.entry(&path[..end], engine)? else {
                return Ok(());
            };
            let wants_directory = end < path.len() || for_directory;
            if (entry.kind == EntryKind::Directory) != wants_directory {
                self.vst.delete_exact(&path[..end], engine)?;
                return Ok(());
            }
        }
        Ok(())
    }

    fn pass_over(
        &mut self,
        engine: &Engine,
        path: &[u8],
        content: Content,
        index: &Index,
    ) -> Result<()> {
        match content {
            Content::Unreadable(reason) => {
                let kept = match index.get(path) {
                    Some(_) => "; its last content is kept",
                    None => "; it is left out",
                };
                let reason = format!("cannot be read: {reason}{kept}");
                self.warnings.push(Warning { path: path.to_vec(), reason });
            }
            _ => {
                self.vst.delete_exact(path, engine)?;
                self.learned.push((path.to_vec(), None));
            }
        }
        Ok(())
    }

    /// The id of the captured tree. It is only hashed: the capture serves for comparing, so that
    /// what a stored tree has alike need not be read.
    pub fn seal(&mut self) -> Result<Id> {
        let root = self.vst.tree.root_mut();
        let tree = node::seal(root, &mut Hashed)?;
        node::settle(root, &mut Hashed);
        Ok(tree)
    }

    /// What the index does not say, or says otherwise.
    pub fn learned_paths(&self) -> Vec<Vec<u8>> {
        self.learned.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Directories that the index does not know.
    pub fn learned_directories(&self) -> Vec<Vec<u8>> {
        let is_directory = |known: &Option<Known>| {
            known.as_ref().is_some_and(|known| known.kind == EntryKind::Directory)
        };
        let learned = self.learned.iter().filter(|(_, known)| is_directory(known));
        learned.map(|(path, _)| path.clone()).collect()
    }

    /// Tells the index what was seen; `tree` is stored and is what was captured.
    pub fn teach(self, index: &mut Index, tree: Id) {
        for (path, known) in self.learned {
            match known {
                Some(known) => index.set(&path, known),
                None => index.remove(&path),
            }
        }
        index.tree = Some(tree);
    }

    /// Tells the index only what it need not read again, because the content is what it knew. What
    /// differs.
    pub fn teach_unchanged(self, index: &mut Index) -> Vec<Vec<u8>> {
        let mut differing = Vec::new();
        for (path, known) in self.learned {
            match (known, index.get(&path)) {
                (Some(known), Some(before))
                    if known.id == before.id && known.kind == before.kind =>
                {
                    if known != before {
                        index.set(&path, known);
                    }
                }
                _ => differing.push(path),
            }
        }
        differing
    }
}

/// Stores nothing.
struct Hashed;

impl Sink for Hashed {
    fn directory(&mut self, _entries: u64) {}

    fn blob(&mut self, _id: Id, _bytes: &Arc<[u8]>, _replaces: Option<Id>) -> Result<u8> {
        Ok(0)
    }

    fn node(&mut self, _id: Id, _bytes: &[u8], _replaced: Option<&Replaced>) -> Result<u8> {
        Ok(0)
    }
}

impl Keep for Hashed {
    fn keep(&mut self, _id: Id, _object: Object, _replaced: Option<Id>) {}
}

/// Reads a large file in pieces; its id and size.
fn read_large(place: &Path, mut writer: Option<&mut Writer<'_>>) -> Result<(Id, u64)> {
    let fail = |error| Error::io(place, error);
    let file = platform::open_no_follow(place).map_err(fail)?;
    let before = platform::stat_of(&file.metadata().map_err(fail)?);
    let mut whole = blake3::Hasher::new();
    let mut chunks: Vec<Chunk> = Vec::new();
    for piece in chunk::split_stream(HashingReader { file: &file, hasher: &mut whole }) {
        let piece = piece?;
        match &mut writer {
            Some(writer) => chunks.push(writer.put_chunk(&piece)?),
            None => chunks.push(Chunk { id: Id::UNSEALED, len: piece.len() as u64 }),
        }
    }
    if before != platform::stat_of(&file.metadata().map_err(fail)?) {
        return Err(fail(unsteady()));
    }
    let id = Id::from_bytes(*whole.finalize().as_bytes());
    if let Some(writer) = writer {
        writer.put_chunked(id, &chunks)?;
    }
    Ok((id, chunks.iter().map(|chunk| chunk.len).sum()))
}

/// Hashes the whole content while it is cut into chunks, so that it is read once.
struct HashingReader<'a> {
    file: &'a File,
    hasher: &'a mut blake3::Hasher,
}

impl Read for HashingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file;
        let count = file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Whether the file on disk is still what the index saw.
pub fn is_as_known(root: &Path, path: &[u8], known: Option<Known>) -> bool {
    let place = root.join(platform::path_from_bytes(path));
    match (fs::symlink_metadata(&place), known) {
        (Ok(metadata), Some(known)) => {
            platform::stat_of(&metadata) == known.stat || known.kind == EntryKind::Directory
        }
        (Err(error), None) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
        // It is gone although the index knew it: nothing can be lost.
        (Err(_), Some(_)) => true,
        (Ok(_), None) => false,
    }
}

/// Stores a tree that no snapshot names: the index refers to it.
pub fn store_tree(engine: &Engine, vst: &mut Vst) -> Result<Id> {
    loop {
        let mut writer = Writer::new(engine);
        writer.lower_epoch(vst.epoch);
        let sealed = node::seal(vst.tree.root_mut(), &mut writer);
        let is_bulk = writer.is_bulk();
        match sealed.and_then(|tree| writer.flush().map(|()| tree)) {
            Ok(tree) => {
                engine.settle(vst, is_bulk);
                return Ok(tree);
            }
            Err(Error::Outdated) => engine.bring_up_to_date(vst)?,
            Err(error) => return Err(error),
        }
    }
}
