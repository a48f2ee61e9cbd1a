//! The operation log as a whole: each operation is where the log says it is, and once; each ref was
//! what the operation that changes it says; what the last one made of it is what it is.
//!
//! The log is read newest first: the journal here, L2's operations as the caller hands them over.
//! Read in that order it is whole, whatever is appended, moved or collected meanwhile: what the
//! journal had lost to L2 when it was read, L2 has, and gc cuts off the log's oldest end. Refs are
//! compared last, and may be newer than the log that was read. So what is found counts only if a
//! second reading finds the same, which is what flaws are compared for.
//!
//! What is kept is per ref, 16 bytes per operation, and 72 per snapshot that undo may need.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ALL_REFS;
use crate::engine::epoch::DROPPED_PREFIX;
use crate::engine::refs::operation_number;
use crate::engine::Engine;
use crate::error::Result;
use crate::id::{Id, IdSet};
use crate::journal::frame::{Operation, RefChange, OPERATION_FRAME_LEN_MIN};
use crate::journal::segment::HEADER_LEN;
use crate::journal::{Damage, Position};

/// An operation: where it is, and the number that its id shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub position: Position,
    pub number: u64,
}

/// An operation as the journal has it.
type Encoded = (Position, Vec<u8>);

/// Something in the log that cannot be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Flaw {
    /// One of L2 that does not decode.
    Undecodable { position: Position, reason: String },
    /// One of L2 that cannot be where it is, or is what the journal does not have there.
    Misplaced { entry: Entry, reason: &'static str, references: Vec<Vec<u8>> },
    /// `left` is what one operation made of a ref, `found` what the next one that changes it says
    /// that it was. `is_explained` if something between them is known to be lost.
    Gap {
        reference: Vec<u8>,
        before: Entry,
        left: Option<Id>,
        after: Entry,
        found: Option<Id>,
        is_explained: bool,
    },
    /// `left` is what the last operation made of a ref, `is` what it is.
    Astray { reference: Vec<u8>, last: Entry, left: Option<Id>, is: Option<Id> },
}

/// What is known of one ref: from the newest operation that changes it to the oldest that was met.
struct Thread {
    newest: Entry,
    left: Option<Id>,
    oldest: Entry,
    /// What the ref was before the oldest; `None` if that does not say.
    found: Option<Option<Id>>,
}

pub struct Log {
    engine: Arc<Engine>,
    /// Snapshots of operations since then are to be there.
    undoable_since_us: i64,
    threads: HashMap<Vec<u8>, Thread>,
    met: HashSet<u128>,
    undoable: Vec<(u64, Id)>,
    undoable_ids: IdSet,
    flaws: Vec<Flaw>,
    /// Where operations may have been that cannot be read; offset 0 is anywhere in the segment.
    lost: Vec<Position>,
    /// The last operation that does not decode.
    undecodable: Option<Position>,
    /// The journal's segments when it was read, and the operations of one of them.
    segments: Vec<u64>,
    segment: Option<(u64, Vec<Encoded>)>,
    /// The operation that was met last, which is the next one in the log.
    next: Option<Position>,
}

impl Log {
    /// Reads the journal's part.
    pub fn read(engine: Arc<Engine>, undoable_since_us: i64) -> Result<Log> {
        engine.journal().refresh()?;
        let lost = engine.journal().damage();
        let mut log = Log {
            segments: engine.journal().segment_numbers(),
            engine,
            undoable_since_us,
            threads: HashMap::new(),
            met: HashSet::new(),
            undoable: Vec::new(),
            undoable_ids: IdSet::default(),
            flaws: Vec::new(),
            lost: lost.iter().map(|Damage { segment, offset, .. }| (*segment, *offset)).collect(),
            undecodable: None,
            segment: None,
            next: None,
        };
        for number in log.segments.clone().into_iter().rev() {
            for (position, bytes) in log.engine.journal().operations(number)?.iter().rev() {
                match Operation::decode(bytes) {
                    Ok(operation) => log.add(*position, bytes, &operation),
                    // The journal's verification tells of it.
                    Err(_) => log.pass_over(*position),
                }
            }
        }
        Ok(log)
    }

    /// Takes in an operation of L2; they come newest first.
    pub fn stored(&mut self, position: Position, bytes: &[u8]) -> Result<()> {
        let operation = match Operation::decode(bytes) {
            Ok(operation) => operation,
            Err(error) => {
                let reason = error.to_string();
                self.flaws.push(Flaw::Undecodable { position, reason });
                self.pass_over(position);
                return Ok(());
            }
        };
        let end = (position.0, position.1 + OPERATION_FRAME_LEN_MIN + bytes.len() as u64);
        if self.segments.first().is_some_and(|first| *first <= position.0) {
            // Maintenance has not come to discard the journal. That is what counts.
            if let Some(reason) = self.differs_from_journal(position, bytes)? {
                self.misplaced(position, bytes, &operation, reason);
            }
            return Ok(());
        }
        if position.1 < HEADER_LEN || self.next.is_some_and(|next| next.0 == end.0 && next < end) {
            let reason = "there is no room for it";
            self.misplaced(position, bytes, &operation, reason);
        }
        self.add(position, bytes, &operation);
        Ok(())
    }

    fn pass_over(&mut self, position: Position) {
        self.lost.push(position);
        self.undecodable = self.undecodable.max(Some(position));
    }

    fn differs_from_journal(
        &mut self,
        position: Position,
        bytes: &[u8],
    ) -> Result<Option<&'static str>> {
        if self.segments.last().is_some_and(|last| *last < position.0) {
            return Ok(Some("the journal does not go that far"));
        }
        if self.segment.as_ref().is_none_or(|(number, _)| *number != position.0) {
            let operations = self.engine.journal().operations(position.0)?;
            self.segment = Some((position.0, operations));
        }
        let known = self.segment.iter().flat_map(|(_, operations)| operations);
        let is_same = known.clone().any(|(at, found)| *at == position && found == bytes);
        let may_be_lost = self.lost.iter().any(|(segment, _)| *segment == position.0);
        Ok((!is_same && !may_be_lost).then_some("the journal has another there, or none"))
    }

    fn misplaced(
        &mut self,
        position: Position,
        bytes: &[u8],
        operation: &Operation,
        reason: &'static str,
    ) {
        let entry = Entry { position, number: operation_number(position, bytes) };
        let references = operation.changes.iter().map(|change| change.name.clone()).collect();
        self.flaws.push(Flaw::Misplaced { entry, reason, references });
    }

    fn add(&mut self, position: Position, bytes: &[u8], operation: &Operation) {
        let entry = Entry { position, number: operation_number(position, bytes) };
        self.next = Some(position);
        let digest = blake3::hash(bytes);
        let half = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        if !self.met.insert(u128::from_le_bytes(half)) {
            self.misplaced(position, bytes, operation, "it is there twice");
        }
        let is_repair = operation.is_repair();
        for change in operation.changes.iter().rev() {
            if !change.name.starts_with(DROPPED_PREFIX) {
                self.follow(entry, change, is_repair);
            }
        }
        if operation.time_us >= self.undoable_since_us {
            let number = entry.number;
            let keep = |id: Id| {
                if self.undoable_ids.insert(id) {
                    self.undoable.push((number, id));
                }
            };
            match is_repair {
                // Nobody undoes it, and what was before it may be what could not be read.
                true => operation.changes.iter().filter_map(|change| change.new).for_each(keep),
                false => operation.snapshots().for_each(keep),
            }
        }
    }

    fn follow(&mut self, entry: Entry, change: &RefChange, is_repair: bool) {
        let found = (change.is_compared() && !is_repair).then_some(change.old);
        let Some(thread) = self.threads.get_mut(&change.name) else {
            let thread = Thread { newest: entry, left: change.new, oldest: entry, found };
            self.threads.insert(change.name.clone(), thread);
            return;
        };
        let after = std::mem::replace(&mut thread.oldest, entry);
        if let Some(found) = std::mem::replace(&mut thread.found, found) {
            if found != change.new {
                let reference = change.name.clone();
                let left = change.new;
                let is_explained = self.loses((entry.position, after.position));
                let before = entry;
                let gap = Flaw::Gap { reference, before, left, after, found, is_explained };
                self.flaws.push(gap);
            }
        }
    }

    /// Whether an operation may have been lost between two positions.
    fn loses(&self, (before, after): (Position, Position)) -> bool {
        self.lost.iter().any(|lost| match lost.1 {
            0 => (before.0..=after.0).contains(&lost.0),
            _ => before < *lost && *lost < after,
        })
    }

    /// Compares the refs with what the log says of them: all flaws, oldest first.
    pub fn finish(&mut self) -> Result<Vec<Flaw>> {
        let references = self.engine.references(ALL_REFS, usize::MAX)?;
        let mut astray = Vec::new();
        for (name, thread) in &self.threads {
            let is = references.get(name).copied();
            let last = thread.newest;
            // What does not decode may have changed it since.
            if is != thread.left && self.undecodable < Some(last.position) {
                let reference = name.clone();
                astray.push(Flaw::Astray { reference, last, left: thread.left, is });
            }
        }
        let mut flaws = std::mem::take(&mut self.flaws);
        flaws.append(&mut astray);
        flaws.sort_by_key(|flaw| match flaw {
            Flaw::Undecodable { position, .. } => (*position, Vec::new()),
            Flaw::Misplaced { entry, .. } => (entry.position, Vec::new()),
            Flaw::Gap { after, reference, .. } => (after.position, reference.clone()),
            Flaw::Astray { last, reference, .. } => (last.position, reference.clone()),
        });
        Ok(flaws)
    }

    /// Snapshots that undo may need, each with the newest operation that names it, newest first.
    pub fn undoable(&self) -> &[(u64, Id)] {
        &self.undoable
    }
}
