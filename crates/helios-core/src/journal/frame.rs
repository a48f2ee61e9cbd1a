//! A frame: what one append writes. Objects, at most one operation, or the seal of a segment.
//!
//! Header: magic, CRC-32 of the rest, payload length. Payload: tagged items. A frame counts only
//! if its checksum holds, so an append is all or nothing (docs/FORMAT.md).

use crate::error::{Error, Result};
use crate::id::{Id, ID_LEN};
use crate::object::{put_bytes, Reader};

pub const MAGIC: [u8; 4] = *b"HLF1";
pub const HEADER_LEN: usize = 16;
/// Larger payload lengths are damage, not data: writers split far below this.
pub const PAYLOAD_MAX: u64 = 1 << 30;

/// What a frame takes beside the operation in it: its header, the operation's tag and length.
pub const OPERATION_FRAME_LEN_MIN: u64 = HEADER_LEN as u64 + 5;

const TAG_OBJECT: u8 = 1;
const TAG_OPERATION: u8 = 2;
const TAG_SEAL: u8 = 3;

/// One change of one ref.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefChange {
    pub name: Vec<u8>,
    pub old: Option<Id>,
    pub new: Option<Id>,
}

impl RefChange {
    /// Whether the ref must have the value `old` for the change to be made. Not so what a worktree
    /// holds: there `old` is what was on disk just before, which commits do not note, and whoever
    /// changes it holds that worktree's turn.
    pub fn is_compared(&self) -> bool {
        !self.name.starts_with(b"worktrees/")
    }
}

/// One change of the repository's refs: when, by whom, by which command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// Who, in which process and worktree (docs/FORMAT.md).
    pub actor: Vec<u8>,
    /// By which command; lines behind the first say more.
    pub command: Vec<u8>,
    pub changes: Vec<RefChange>,
}

impl Operation {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time_us.to_le_bytes());
        put_bytes(out, &self.actor);
        put_bytes(out, &self.command);
        for change in &self.changes {
            put_bytes(out, &change.name);
            out.push(u8::from(change.old.is_some()) | u8::from(change.new.is_some()) << 1);
            for id in [&change.old, &change.new].into_iter().flatten() {
                out.extend_from_slice(id.as_bytes());
            }
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Operation> {
        let mut reader = Reader::new(bytes);
        let mut time = [0; 8];
        time.copy_from_slice(reader.take(8)?);
        let actor = reader.bytes()?.to_vec();
        let command = reader.bytes()?.to_vec();
        let changes = std::iter::from_fn(|| change(&mut reader).transpose())
            .map(|found| found.map(|(name, old, new)| RefChange { name: name.to_vec(), old, new }))
            .collect::<Result<_>>()?;
        Ok(Operation { time_us: i64::from_le_bytes(time), actor, command, changes })
    }

    /// What it names and must be there to revert it: values of refs before and after, and what is
    /// merged by hand in a worktree before or after (docs/FORMAT.md, the note `merging`).
    pub fn snapshots(&self) -> impl Iterator<Item = Id> + '_ {
        let changes = self.changes.iter().filter(|change| !change.name.starts_with(b"dropped/"));
        let values = changes.flat_map(|change| [change.old, change.new]).flatten();
        let notes = self.command.split(|byte| *byte == b'\n').skip(1);
        let merged = notes.filter(|note| note.starts_with(b"merging ")).flat_map(|note| {
            let fields = note.split(|byte| *byte == b' ').skip(2);
            fields.filter_map(|field| Id::from_hex(std::str::from_utf8(field).ok()?).ok())
        });
        values.chain(merged)
    }

    /// Whether it says what was found, or mends it, and not what somebody did: then what its refs
    /// were is not what the operation before it made of them (docs/FORMAT.md, the note `repair`).
    pub fn is_repair(&self) -> bool {
        self.command.split(|byte| *byte == b'\n').skip(1).any(|note| note == b"repair")
    }
}

/// Calls `visit` with each ref that an encoded operation changes, and its new value; nothing is
/// copied, because every process reads all operations of all others.
pub fn each_change(bytes: &[u8], mut visit: impl FnMut(&[u8], Option<Id>)) -> Result<()> {
    let mut reader = Reader::new(bytes);
    reader.take(8)?;
    reader.bytes()?;
    reader.bytes()?;
    while let Some((name, _, new)) = change(&mut reader)? {
        visit(name, new);
    }
    Ok(())
}

/// Name, old and new value of a ref.
type Change<'a> = (&'a [u8], Option<Id>, Option<Id>);

/// The next change of an operation.
fn change<'a>(reader: &mut Reader<'a>) -> Result<Option<Change<'a>>> {
    if reader.is_empty() {
        return Ok(None);
    }
    let name = reader.bytes()?;
    let flags = reader.u8()?;
    if flags > 3 {
        return Err(Error::malformed("unknown flags of a ref change"));
    }
    let old = (flags & 1 != 0).then(|| reader.id()).transpose()?;
    let new = (flags & 2 != 0).then(|| reader.id()).transpose()?;
    Ok(Some((name, old, new)))
}

/// Builds one frame in a buffer that is reused from commit to commit.
pub struct FrameBuilder {
    bytes: Vec<u8>,
    /// Id and place (offset, length within the frame) of each record.
    pub(super) objects: Vec<(Id, usize, usize)>,
    pub(super) operation: Option<Operation>,
    pub(super) sealed: bool,
    /// The epoch of gc up to which what the frame refers to is known to be there.
    pub epoch: u64,
}

impl Default for FrameBuilder {
    fn default() -> FrameBuilder {
        FrameBuilder {
            bytes: vec![0; HEADER_LEN],
            objects: Vec::new(),
            operation: None,
            sealed: false,
            epoch: 0,
        }
    }
}

impl FrameBuilder {
    pub fn clear(&mut self) {
        self.bytes.truncate(HEADER_LEN);
        self.objects.clear();
        self.operation = None;
        self.sealed = false;
        self.epoch = 0;
    }

    /// Adds an object; `write` appends its record to the buffer it is given.
    pub fn object<T>(&mut self, id: Id, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.bytes.push(TAG_OBJECT);
        self.bytes.extend_from_slice(id.as_bytes());
        let at_len = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        let len = self.bytes.len() - start;
        self.bytes[at_len..start].copy_from_slice(&(len as u32).to_le_bytes());
        self.objects.push((id, start, len));
        result
    }

    pub fn operation(&mut self, operation: Operation) {
        self.bytes.push(TAG_OPERATION);
        let at_len = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        operation.encode(&mut self.bytes);
        let len = (self.bytes.len() - at_len - 4) as u32;
        self.bytes[at_len..at_len + 4].copy_from_slice(&len.to_le_bytes());
        self.operation = Some(operation);
    }

    /// The refs that the frame's operation changes.
    pub fn ref_names(&self) -> Vec<Vec<u8>> {
        self.changes().iter().map(|change| change.name.clone()).collect()
    }

    /// The ref changes of the frame's operation.
    pub fn changes(&self) -> &[RefChange] {
        self.operation.as_ref().map_or(&[], |operation| &operation.changes)
    }

    pub fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    /// Drops the operation again: its objects are kept although its branch moved.
    pub fn without_operation(&mut self) {
        if self.operation.take().is_some() {
            let end = self.objects.last().map_or(HEADER_LEN, |(_, start, len)| start + len);
            self.bytes.truncate(end);
        }
    }

    pub(super) fn seal(&mut self, next: u64) {
        self.bytes.push(TAG_SEAL);
        self.bytes.extend_from_slice(&next.to_le_bytes());
        self.sealed = true;
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_LEN
    }

    /// Bytes that the frame takes in the journal.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records so far.
    pub fn records(&self) -> impl Iterator<Item = (&Id, &[u8])> {
        self.objects.iter().map(|(id, start, len)| (id, &self.bytes[*start..start + len]))
    }

    /// Header and payload; meaningful after `finish`.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn finish(&mut self) {
        let payload_len = (self.bytes.len() - HEADER_LEN) as u64;
        self.bytes[..4].copy_from_slice(&MAGIC);
        self.bytes[8..16].copy_from_slice(&payload_len.to_le_bytes());
        let checksum = crc32fast::hash(&self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// The length of the payload that a header announces, `None` if this is no header.
pub fn payload_len(header: &[u8; HEADER_LEN]) -> Option<usize> {
    let mut len = [0; 8];
    len.copy_from_slice(&header[8..]);
    let len = u64::from_le_bytes(len);
    (header[..4] == MAGIC && len <= PAYLOAD_MAX).then_some(len as usize)
}

/// Whether `frame` (header and payload) is what was written.
pub fn is_intact(frame: &[u8]) -> bool {
    frame.len() >= HEADER_LEN && frame[4..8] == crc32fast::hash(&frame[8..]).to_le_bytes()
}

/// One item of a payload; offsets are from the start of the frame.
pub enum Item<'a> {
    Object { id: Id, offset: usize, record: &'a [u8] },
    Operation { bytes: &'a [u8] },
    Seal { next: u64 },
}

/// Reads the items of a frame whose checksum holds.
pub fn items(frame: &[u8]) -> impl Iterator<Item = Result<Item<'_>>> {
    let mut reader = Reader::new(frame.get(HEADER_LEN..).unwrap_or_default());
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || reader.is_empty() {
            return None;
        }
        let item = item(&mut reader);
        failed = item.is_err();
        Some(item)
    })
}

// Inlined, because an item that is returned through memory takes longer than reading it.
#[inline(always)]
fn item<'a>(reader: &mut Reader<'a>) -> Result<Item<'a>> {
    let length = |reader: &mut Reader<'a>| -> Result<usize> {
        let mut len = [0; 4];
        len.copy_from_slice(reader.take(4)?);
        Ok(u32::from_le_bytes(len) as usize)
    };
    match reader.u8()? {
        TAG_OBJECT => {
            let id = Id::from_slice(reader.take(ID_LEN)?)?;
            let len = length(reader)?;
            let offset = HEADER_LEN + reader.position();
            Ok(Item::Object { id, offset, record: reader.take(len)? })
        }
        TAG_OPERATION => {
            let len = length(reader)?;
            Ok(Item::Operation { bytes: reader.take(len)? })
        }
        TAG_SEAL => {
            let mut next = [0; 8];
            next.copy_from_slice(reader.take(8)?);
            Ok(Item::Seal { next: u64::from_le_bytes(next) })
        }
        other => Err(Error::malformed(format!("unknown item {other} in a frame"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn operation() -> Operation {
        Operation {
            time_us: -5,
            actor: b"me".to_vec(),
            command: b"commit".to_vec(),
            changes: vec![
                RefChange { name: b"heads/main".to_vec(), old: None, new: Some(Id::of_blob(b"1")) },
                RefChange { name: b"heads/x".to_vec(), old: Some(Id::of_blob(b"2")), new: None },
            ],
        }
    }

    #[test]
    fn frame_gives_back_its_items() {
        let mut frame = FrameBuilder::default();
        frame.object(Id::of_blob(b"a"), |out| out.extend_from_slice(b"record a"));
        frame.object(Id::of_blob(b"b"), |out| out.extend_from_slice(b""));
        frame.operation(operation());
        frame.finish();
        let bytes = frame.bytes().to_vec();
        assert!(is_intact(&bytes));
        let items: Vec<_> = items(&bytes).map(Result::unwrap).collect();
        assert_eq!(items.len(), 3);
        match &items[0] {
            Item::Object { id, offset, record } => {
                assert_eq!(*id, Id::of_blob(b"a"));
                assert_eq!(*record, b"record a");
                assert_eq!(&bytes[*offset..offset + record.len()], *record);
            }
            _ => panic!("not an object"),
        }
        match &items[2] {
            Item::Operation { bytes } => assert_eq!(Operation::decode(bytes).unwrap(), operation()),
            _ => panic!("not an operation"),
        }
    }

    #[test]
    fn dropping_the_operation_keeps_the_objects() {
        let mut frame = FrameBuilder::default();
        frame.object(Id::of_blob(b"a"), |out| out.extend_from_slice(b"record a"));
        frame.finish();
        let before = frame.bytes().to_vec();
        frame.operation(operation());
        frame.without_operation();
        frame.finish();
        assert_eq!(frame.bytes(), before);
    }

    proptest! {
        #[test]
        fn any_flipped_byte_is_noticed(at: prop::sample::Index, flip in 1u8..=255) {
            let mut frame = FrameBuilder::default();
            frame.object(Id::of_blob(b"a"), |out| out.extend_from_slice(b"record a"));
            frame.operation(operation());
            frame.finish();
            let mut bytes = frame.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
            let len = payload_len(&header);
            prop_assert!(len != Some(bytes.len() - HEADER_LEN) || !is_intact(&bytes));
        }

        #[test]
        fn garbage_payloads_fail_without_panic(payload: Vec<u8>) {
            let mut bytes = vec![0; HEADER_LEN];
            bytes.extend_from_slice(&payload);
            for item in items(&bytes) {
                if let Ok(Item::Operation { bytes }) = item {
                    let _ = Operation::decode(bytes);
                }
            }
        }
    }
}
