//! Where a damaged object can be had again: another repository, a file, bytes that a journal has
//! lost. Whatever is given out has been verified against its id, and rests on no other record but
//! chunks, which are given out too.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::{verify, Engine};
use crate::error::{Error, Result};
use crate::id::{Id, IdSet, ID_LEN};
use crate::journal::frame::PAYLOAD_MAX;
use crate::object::{varint_len, Kind, Reader};
use crate::store::chunk::{split, split_stream, CHUNKED_BYTES_MIN};
use crate::store::pack::{ENTRY_HEADER_LEN, ENTRY_MAGIC};
use crate::store::record::{self, Chunk, Form, Record};
use crate::store::ObjectReader;
use crate::tree::{directory, node, Entry, EntryKind, Kid, Tree};
use crate::worktree::Index;

/// Takes records by id.
pub type Sink<'s> = &'s mut dyn FnMut(Id, Vec<u8>) -> Result<()>;

const WINDOW_BYTES: usize = 4 << 20;
/// An object in a frame: its tag, its id, the length of its record.
const TAG_OBJECT: u8 = 1;
const FRAMED_LEN: usize = 4;
/// A record in a blob file of RocksDB: the lengths of key and value, as u64, the time when it
/// expires, two checksums, the key, the value.
const BLOB_KEY: [u8; 8] = (ID_LEN as u64).to_le_bytes();
const BLOB_HEADER_LEN: usize = 32;
/// A large record of version 2, in a table of RocksDB, begins a block that is not compressed: how
/// many bytes the key shares with the one before, how many more it has, how many the value has
/// (varints); the key, which is the id, a byte that says that a value follows, and seven more; the
/// value.
const TABLE_KEY: [u8; 2] = [0, TABLE_KEY_LEN as u8];
const TABLE_KEY_LEN: usize = ID_LEN + 8;
const TABLE_VALUE: u8 = 1;
/// What is looked at to tell a record. Zeros behind the end of a file stand for what is not there.
const HEADER_LEN_MAX: usize = BLOB_HEADER_LEN + ID_LEN;

impl Engine {
    /// An object as records of its own, read and verified here; nothing is given out otherwise.
    pub fn copy_object(&self, id: &Id, sink: Sink<'_>) -> Result<()> {
        let Some(chunks) = self.chunks(id)? else {
            let object = self.object(id)?;
            return put_object(object.kind, id, &object.bytes, sink);
        };
        // A large one passes through memory twice, chunk by chunk: first to verify it.
        let mut whole = blake3::Hasher::new();
        for chunk in &chunks {
            whole.update(&self.object(&chunk.id)?.bytes);
        }
        if whole.finalize().as_bytes() != id.as_bytes() {
            let reason = "its chunks do not match its id".to_owned();
            return Err(Error::CorruptObject { id: *id, reason });
        }
        for chunk in &chunks {
            put_whole(Kind::Blob, chunk.id, &self.object(&chunk.id)?.bytes, sink)?;
        }
        put_list(*id, &chunks, sink)
    }

    /// Gives out objects of this repository, and all that they refer to and that `known` does not
    /// have. What this repository lacks is passed over.
    pub fn copy_closure(
        &self,
        ids: &[Id],
        known: &dyn Fn(&Id) -> bool,
        sink: Sink<'_>,
    ) -> Result<()> {
        let mut met = IdSet::default();
        let mut waiting = ids.to_vec();
        while let Some(id) = waiting.pop() {
            if !met.insert(id) {
                continue;
            }
            match self.copy_object(&id, sink) {
                Ok(()) => {}
                Err(error @ (Error::Store(_) | Error::Raised(_))) => return Err(error),
                Err(_) => continue,
            }
            if self.chunks(&id)?.is_none() {
                let below = verify::references(&id, &self.object(&id)?)?;
                waiting.extend(below.into_iter().filter(|id| !known(id)));
            }
        }
        Ok(())
    }

    /// Gives out those of the wanted tree nodes that the tree is made of which the index of a
    /// worktree describes. Whether that is still what is on disk does not matter: a node that has
    /// the id is the right one.
    pub fn copy_nodes(&self, index: &Path, wanted: &IdSet, sink: Sink<'_>) -> Result<()> {
        let mut tree = Tree::default();
        for (path, known) in Index::load(index)?.iter() {
            let (entry, kid) = match known.kind {
                EntryKind::Directory => directory::new_directory(),
                kind => (Entry { kind, id: known.id, size: known.stat.size }, Kid::clean()),
            };
            tree.set(path, &entry, kid, self)?;
        }
        node::seal(tree.root_mut(), &mut Wanted { wanted, sink }).map(drop)
    }

    /// Looks for records of the wanted objects anywhere in a file, as a frame of the journal, a
    /// pack, or a blob file or a table of RocksDB hold them, whatever is around them. Gives out
    /// those that verify.
    pub fn search_file(&self, path: &Path, wanted: &IdSet, found: Sink<'_>) -> Result<()> {
        let fail = |error| Error::io(path, error);
        let mut file = File::open(path).map_err(fail)?;
        let mut window = vec![0; WINDOW_BYTES];
        let mut start = 0u64;
        loop {
            file.seek(SeekFrom::Start(start)).map_err(fail)?;
            let read = read_fully(&mut file, &mut window).map_err(fail)?;
            window[read..].fill(0);
            // The last window is looked at to its end.
            let len = if read < window.len() { read + HEADER_LEN_MAX } else { read };
            let len = len.min(window.len());
            let mut hits = Vec::new();
            for at in 0..len.saturating_sub(HEADER_LEN_MAX) {
                if let Some((id, header_len, size)) = record_at(&window[at..]) {
                    if wanted.contains(&id) && size <= PAYLOAD_MAX {
                        hits.push((id, start + (at + header_len) as u64, size));
                    }
                }
            }
            for (id, offset, size) in hits {
                let mut record = Vec::new();
                file.seek(SeekFrom::Start(offset)).map_err(fail)?;
                file.by_ref().take(size).read_to_end(&mut record).map_err(fail)?;
                if let Some((kind, bytes)) = self.complete(&id, &record) {
                    put_object(kind, &id, &bytes, found)?;
                }
            }
            if read < window.len() {
                return Ok(());
            }
            start += (len - HEADER_LEN_MAX) as u64;
        }
    }

    /// The canonical bytes that a record stands for, if they match the id.
    fn complete(&self, id: &Id, record: &[u8]) -> Option<(Kind, Vec<u8>)> {
        let record = Record::parse(record).ok()?;
        let bytes = match record.form {
            Form::Raw | Form::Zstd => record.inflate().ok()?,
            Form::Splice => {
                let splice = record.splice().ok()?;
                splice.apply(&self.object(&splice.base).ok()?.bytes, record.raw_len).ok()?
            }
            Form::Chunks => {
                let mut bytes = Vec::new();
                for chunk in record.chunks().ok()? {
                    bytes.extend_from_slice(&self.object(&chunk.id).ok()?.bytes);
                }
                bytes
            }
        };
        (record.kind.id_of(&bytes) == *id).then_some((record.kind, bytes))
    }
}

/// Gives out the nodes that are wanted.
struct Wanted<'s> {
    wanted: &'s IdSet,
    sink: Sink<'s>,
}

impl node::Sink for Wanted<'_> {
    fn directory(&mut self, _entries: u64) {}

    fn blob(&mut self, _id: Id, _bytes: &Arc<[u8]>, _replaces: Option<Id>) -> Result<u8> {
        Ok(0)
    }

    fn node(&mut self, id: Id, bytes: &[u8], _replaced: Option<&node::Replaced>) -> Result<u8> {
        if self.wanted.contains(&id) {
            put_whole(Kind::Tree, id, bytes, self.sink)?;
        }
        Ok(0)
    }
}

/// The id, the bytes before the record, and the length of what looks like a record.
fn record_at(bytes: &[u8]) -> Option<(Id, usize, u64)> {
    if bytes[0] == TAG_OBJECT {
        let (id, rest) = bytes[1..].split_at_checked(ID_LEN)?;
        let len = u32::from_le_bytes(*rest.first_chunk::<FRAMED_LEN>()?);
        return Some((Id::from_slice(id).ok()?, 1 + ID_LEN + FRAMED_LEN, len.into()));
    }
    if bytes.starts_with(&BLOB_KEY) {
        let len = u64::from_le_bytes(*bytes[BLOB_KEY.len()..].first_chunk::<8>()?);
        let id = bytes.get(BLOB_HEADER_LEN..HEADER_LEN_MAX)?;
        return Some((Id::from_slice(id).ok()?, HEADER_LEN_MAX, len));
    }
    if bytes.starts_with(&ENTRY_MAGIC) {
        let (id, rest) = bytes[ENTRY_MAGIC.len()..].split_at_checked(ID_LEN)?;
        let len = u64::from_le_bytes(*rest.first_chunk::<8>()?);
        return Some((Id::from_slice(id).ok()?, ENTRY_HEADER_LEN, len));
    }
    if bytes.starts_with(&TABLE_KEY) {
        let mut reader = Reader::new(&bytes[TABLE_KEY.len()..HEADER_LEN_MAX]);
        let len = reader.varint().ok()?;
        let id = reader.id().ok()?;
        let key_start = TABLE_KEY.len() + varint_len(len);
        let is_value = reader.u8().ok()? == TABLE_VALUE;
        return is_value.then_some((id, key_start + TABLE_KEY_LEN, len));
    }
    None
}

/// A file, or a symbolic link's target, as records, if its content has the id; whether it has.
pub fn copy_file(path: &Path, id: &Id, sink: Sink<'_>) -> Result<bool> {
    let fail = |error| Error::io(path, error);
    if path.is_symlink() {
        let target = std::fs::read_link(path).map_err(fail)?;
        let bytes = target.as_os_str().as_encoded_bytes();
        let matches = Id::of_blob(bytes) == *id;
        return if matches {
            put_object(Kind::Blob, id, bytes, sink).map(|()| true)
        } else {
            Ok(false)
        };
    }
    let mut file = File::open(path).map_err(fail)?;
    let mut whole = blake3::Hasher::new();
    let size = std::io::copy(&mut file, &mut whole).map_err(fail)?;
    if whole.finalize().as_bytes() != id.as_bytes() {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(0)).map_err(fail)?;
    if size <= CHUNKED_BYTES_MIN as u64 {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        // It may have been written meanwhile.
        let matches = Id::of_blob(&bytes) == *id;
        return if matches {
            put_object(Kind::Blob, id, &bytes, sink).map(|()| true)
        } else {
            Ok(false)
        };
    }
    let mut again = blake3::Hasher::new();
    let mut chunks = Vec::new();
    for chunk in split_stream(&mut file) {
        let chunk = chunk?;
        again.update(&chunk);
        let chunk_id = Id::of_blob(&chunk);
        put_whole(Kind::Blob, chunk_id, &chunk, sink)?;
        chunks.push(Chunk { id: chunk_id, len: chunk.len() as u64 });
    }
    if again.finalize().as_bytes() != id.as_bytes() {
        return Ok(false);
    }
    put_list(*id, &chunks, sink).map(|()| true)
}

fn put_object(kind: Kind, id: &Id, bytes: &[u8], sink: Sink<'_>) -> Result<()> {
    if kind != Kind::Blob || bytes.len() <= CHUNKED_BYTES_MIN {
        return put_whole(kind, *id, bytes, sink);
    }
    let mut chunks = Vec::new();
    for chunk in split(bytes) {
        let chunk_id = Id::of_blob(chunk);
        put_whole(Kind::Blob, chunk_id, chunk, sink)?;
        chunks.push(Chunk { id: chunk_id, len: chunk.len() as u64 });
    }
    put_list(*id, &chunks, sink)
}

fn put_whole(kind: Kind, id: Id, bytes: &[u8], sink: Sink<'_>) -> Result<()> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    record::put_compressed(&mut out, kind, bytes);
    sink(id, out)
}

fn put_list(id: Id, chunks: &[Chunk], sink: Sink<'_>) -> Result<()> {
    let mut out = Vec::new();
    record::put_chunks(&mut out, chunks);
    sink(id, out)
}

fn read_fully(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}
