//! Sealed segments: what maintenance reads, and then discards.

use std::path::Path;
use std::sync::Arc;

use super::frame::{self, Item};
use super::replay::{forget_moved, intact_frame, next_intact, State};
use super::segment::{self, Segment};
use super::{Damage, Journal, Position};
use crate::error::{Error, Result};
use crate::id::Id;

/// What is read from a sealed segment, in order.
pub struct SealedFrame {
    /// Segment number and offset: unique, and ascending with time.
    pub position: (u64, u64),
    pub objects: Vec<(Id, Vec<u8>)>,
    pub operation: Option<Vec<u8>>,
}

impl Journal {
    /// Seals the active segment if it holds anything, so that maintenance can move it.
    pub fn seal(&self) -> Result<()> {
        self.locked(|| {
            let (_, tail) = self.writable_tail()?;
            match tail > segment::HEADER_LEN {
                true => self.rotate()?,
                // What another process' maintenance has moved is not to be moved again.
                false => forget_moved(&mut self.state.write()),
            }
            Ok(())
        })
    }

    /// Forgets objects in segments that are deleted by now, although this process could still read
    /// them: since they left the journal, gc may have deleted them from L2.
    pub fn forget_moved(&self) -> Result<()> {
        self.refresh()?;
        forget_moved(&mut self.state.write());
        Ok(())
    }

    /// How many sealed segments wait for maintenance.
    pub fn sealed_count(&self) -> usize {
        self.state.read().segments.len().saturating_sub(1)
    }

    /// Numbers of the sealed segments, oldest first.
    pub fn sealed_segments(&self) -> Vec<u64> {
        let state = self.state.read();
        state.segments.range(..state.active).map(|(number, _)| *number).collect()
    }

    /// The frames of a sealed segment; damaged stretches are left out.
    pub fn sealed_frames(&self, number: u64) -> Result<Vec<SealedFrame>> {
        let segment = self.state.read().segments.get(&number).cloned();
        let Some(segment) = segment else {
            return Ok(Vec::new());
        };
        let mut bytes = vec![0; segment.byte_len()? as usize];
        segment.read_exact_at(&mut bytes, 0)?;
        frames_of(number, 0, bytes.get(segment::HEADER_LEN as usize..).unwrap_or_default())
    }

    /// What was taken in behind `from`, of one segment at a time, and where to go on; `None` at the
    /// end.
    pub fn frames_from(&self, from: Position) -> Result<Option<(Vec<SealedFrame>, Position)>> {
        let (segment, start, end) = {
            let state = self.state.read();
            let from = from.max((from.0, segment::HEADER_LEN));
            let Some((number, segment)) = state.segments.range(from.0..).next() else {
                return Ok(None);
            };
            let start = if *number == from.0 { from.1 } else { segment::HEADER_LEN };
            let end = if *number == state.active { state.tail } else { segment.byte_len()? };
            (Arc::clone(segment), start, end)
        };
        let number = segment.number;
        if start >= end {
            let later = self.state.read().segments.range(number + 1..).next().is_some();
            return match later {
                true => self.frames_from((number + 1, 0)),
                false => Ok(None),
            };
        }
        let mut bytes = vec![0; (end - start) as usize];
        segment.read_exact_at(&mut bytes, start)?;
        let frames = frames_of(number, start - segment::HEADER_LEN, &bytes)?;
        Ok(Some((frames, (number, end))))
    }

    /// Deletes sealed segments up to and including `number`, which L2 now holds. Damaged ones are
    /// moved to `lost/` instead: they may hold what could not be read.
    pub fn discard(&self, number: u64) -> Result<()> {
        self.locked(|| {
            let mut state = self.state.write();
            let end = (number + 1).min(state.active);
            let gone: Vec<u64> = state.segments.range(..end).map(|(n, _)| *n).collect();
            for number in gone {
                let damaged = state.damage.iter().any(|damage| damage.segment == number);
                if let Some(segment) = state.segments.remove(&number) {
                    remove_segment(&segment, damaged)?;
                }
            }
            let State { segments, locations, .. } = &mut *state;
            locations.retain(|number| segments.contains_key(&number));
            Ok(())
        })
    }
}

/// The intact frames in the bytes of a segment that begin `skipped` bytes behind its header.
fn frames_of(number: u64, skipped: u64, bytes: &[u8]) -> Result<Vec<SealedFrame>> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some(frame) = intact_frame(&bytes[at..]) else {
            match next_intact(&bytes[at..]) {
                Some(skip) => at += skip,
                None => break,
            }
            continue;
        };
        let position = (number, segment::HEADER_LEN + skipped + at as u64);
        let mut found = SealedFrame { position, objects: Vec::new(), operation: None };
        for item in frame::items(frame) {
            match item? {
                Item::Object { id, record, .. } => found.objects.push((id, record.to_vec())),
                Item::Operation { bytes } => found.operation = Some(bytes.to_vec()),
                Item::Seal { .. } => {}
            }
        }
        at += frame.len();
        frames.push(found);
    }
    Ok(frames)
}

/// What lies in `lost/`: `SEGMENT.journal`, or `SEGMENT-OFFSET.torn`, in hexadecimal digits.
pub(super) fn lost(directory: &Path) -> Vec<Damage> {
    // Where nothing was ever lost there is no directory.
    let entries = std::fs::read_dir(directory.join("lost")).into_iter().flatten().flatten();
    let mut found: Vec<Damage> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let len = entry.metadata().ok()?.len();
            if let Some(segment) = segment::number_of(name) {
                return Some(Damage { segment, offset: 0, len });
            }
            let (segment, offset) = name.strip_suffix(".torn")?.split_once('-')?;
            let segment = u64::from_str_radix(segment, 16).ok()?;
            let offset = u64::from_str_radix(offset, 16).ok()?;
            Some(Damage { segment, offset, len })
        })
        .collect();
    found.sort_by_key(|damage| (damage.segment, damage.offset));
    found
}

fn remove_segment(segment: &Segment, damaged: bool) -> Result<()> {
    let Some(path) = segment.path() else {
        return Ok(());
    };
    let done = match (damaged, path.parent(), path.file_name()) {
        (true, Some(directory), Some(name)) => {
            let lost = directory.join("lost");
            std::fs::create_dir_all(&lost).and_then(|()| std::fs::rename(path, lost.join(name)))
        }
        _ => std::fs::remove_file(path),
    };
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|error| Error::io(path, error)),
    }
}
