//! Segments read again from the start, for the operation log, maintenance and verification: what is
//! there, not what is remembered.

use super::frame::{self, Item};
use super::replay::{intact_frame, is_blank, next_intact};
use super::segment;
use super::{sync, Damage, Journal, Position};
use crate::error::{Error, Result};
use crate::id::Id;

/// One intact frame: where it is, the records in it by id, and its operation.
pub struct Frame<'a> {
    pub position: Position,
    pub objects: Vec<(Id, &'a [u8])>,
    pub operation: Option<&'a [u8]>,
}

impl Journal {
    /// Numbers of all segments, the active one too, oldest first; after a refresh none is left out.
    pub fn segment_numbers(&self) -> Vec<u64> {
        self.state.read().segments.keys().copied().collect()
    }

    /// Calls `visit` with the frames of a segment from an offset on, at which one begins. One
    /// segment at a time is in memory. A segment that was deleted since it was listed stays
    /// readable, because its file is open.
    pub fn each_frame(
        &self,
        (number, from): Position,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let (segment, end) = {
            let state = self.state.read();
            let Some(segment) = state.segments.get(&number).cloned() else {
                return Ok(());
            };
            (segment, (number == state.active).then_some(state.tail))
        };
        // Behind the tail somebody may be writing.
        let end = end.unwrap_or(segment.byte_len()?);
        let mut bytes = vec![0; end as usize];
        let read = segment.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        let mut at = from.max(segment::HEADER_LEN) as usize;
        while at < bytes.len() {
            let Some(frame) = intact_frame(&bytes[at..]) else {
                match next_intact(&bytes[at..]) {
                    Some(skip) => at += skip,
                    None => break,
                }
                continue;
            };
            let position = (number, at as u64);
            let mut found = Frame { position, objects: Vec::new(), operation: None };
            for item in frame::items(frame) {
                let item = item.map_err(|error| Error::CorruptJournal {
                    segment: number,
                    offset: at as u64,
                    reason: error.to_string(),
                })?;
                match item {
                    Item::Object { id, record, .. } => found.objects.push((id, record)),
                    Item::Operation { bytes } => found.operation = Some(bytes),
                    Item::Seal { .. } => {}
                }
            }
            at += frame.len();
            visit(found)?;
        }
        Ok(())
    }

    /// Stretches of the segments that cannot be read; what lies in `lost/` does not count.
    pub fn damaged_stretches(&self) -> Vec<Damage> {
        self.state.read().damage.clone()
    }

    /// Up to where the journal is said to be on disk.
    pub fn synced_position(&self) -> Position {
        self.directory.as_deref().map_or((0, 0), sync::synced_position)
    }

    /// The last segment that this process has read or written.
    pub fn newest_segment(&self) -> u64 {
        self.state.read().segments.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Bytes behind the last intact frame that are not a whole one: a writer has died there, or is
    /// writing now, or the last frame is damaged.
    pub fn torn_tail(&self) -> Result<Option<Damage>> {
        let state = self.state.read();
        let Some(segment) = state.segments.get(&state.active) else {
            return Ok(None);
        };
        let len = segment.byte_len()?.saturating_sub(state.tail);
        let mut rest = vec![0; len as usize];
        let read = segment.read_at(&mut rest, state.tail)?;
        rest.truncate(read);
        let blank = is_blank(&rest);
        Ok((!blank).then_some(Damage { segment: state.active, offset: state.tail, len }))
    }
}
