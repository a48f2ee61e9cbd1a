//! Verification: every stored record against its id, and every reference against what it names.
//!
//! The caller hands over the records of L2 in batches, in any order; those of the journal are read
//! here. Each record is decoded once, on all threads. Splices wait until all others are done, and
//! are then decoded family by family, so that a base is at hand when its splices are; large blobs
//! come last. What is kept of an object is a `Fact` of some 60 bytes; expectations of objects
//! that have not come yet are kept until they do.
//!
//! Other processes go on meanwhile. Whatever looks like damage is therefore looked at once more in
//! `finish`, with the journal and L2 as they are then.

mod families;
pub mod log;
pub mod reach;
mod wholes;

use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::epoch::DROPPED_PREFIX;
use super::progress::Phase;
use super::Engine;
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, IdSet};
use crate::journal::frame::Operation;
use crate::journal::Damage;
use crate::object::{Kind, Snapshot};
use crate::store::record::{Chunk, Form, Record};
use crate::store::{Object, ObjectReader};
use crate::threads;
use crate::tree::entry::EntryKind;
use crate::tree::node::Node;
use wholes::Chunked;

/// Refs that roots are read from: all but boundaries.
const ALL_REFS: &[u8] = b"";

/// Which store a record is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Place {
    Journal,
    L2,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Place::Journal => "journal",
            Place::L2 => "l2",
        }
    }
}

/// What is known of an object whose bytes were verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fact {
    kind: Kind,
    level: u8,
    /// Checksum of the first name below a tree node.
    first: u32,
    /// Bytes of a blob; files below a tree node.
    size: u64,
    /// Entries of its directory below a tree node.
    count: u64,
}

/// What a reference says of what it names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Blob { size: u64 },
    Directory { files: Option<u64> },
    Node { level: u8, count: u64, files: u64, first: u32 },
    Snapshot,
}

impl Expected {
    /// Whether it holds; otherwise what is wrong.
    fn check(self, fact: &Fact) -> std::result::Result<(), String> {
        let kind = match self {
            Expected::Blob { .. } => Kind::Blob,
            Expected::Snapshot => Kind::Snapshot,
            Expected::Directory { .. } | Expected::Node { .. } => Kind::Tree,
        };
        if fact.kind != kind {
            return Err(format!("which is a {}, not a {}", fact.kind.name(), kind.name()));
        }
        let agrees = match self {
            Expected::Blob { size } => size == fact.size,
            Expected::Directory { files } => files.is_none_or(|files| files == fact.size),
            Expected::Node { level, count, files, first } => {
                (level, count, files, first) == (fact.level, fact.count, fact.size, fact.first)
            }
            Expected::Snapshot => true,
        };
        match agrees {
            true => Ok(()),
            false => Err("whose size, level or first name is another".to_owned()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reference {
    to: Id,
    expected: Expected,
    is_parent: bool,
}

/// What is wrong with one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// A stored record of it is damaged. `cause` is the object that it is stored with the help of,
    /// if that is what is damaged; `readable` says that another record of it is intact.
    Corrupt { place: Place, cause: Option<Id>, readable: bool },
    /// Something refers to it, and nobody has it. `by` is what does, if it is an object.
    Missing { by: Option<Id> },
    /// It refers to something that is not what the reference says.
    Reference { to: Id },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub id: Id,
    pub problem: Problem,
    pub reason: String,
}

/// A verified object with what it refers to.
struct Sound {
    fact: Fact,
    references: Vec<Reference>,
}

/// A record that could not be verified: why, and because of which other object.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Unsound {
    reason: String,
    cause: Option<Id>,
}

enum Checked {
    Sound(Sound),
    Unsound(Unsound),
    Splice,
    Chunks(Vec<Chunk>),
}

pub struct Verifier {
    engine: Arc<Engine>,
    facts: IdMap<Fact>,
    /// Expectations of objects that have not come yet, and whose they are.
    expected: IdMap<Vec<(Reference, Id)>>,
    corrupt: HashSet<(Id, Place)>,
    mismatches: Vec<(Id, Reference, String)>,
    /// Splices of L2, each as (base, id), and chunked blobs.
    splices: Vec<(Id, Id)>,
    chunked: Vec<Chunked>,
    /// Large records of L2 that nothing has proved yet.
    large: IdSet,
    /// The files that did not come out right, by their chunks.
    unproved: IdMap<Vec<Id>>,
    /// Positions of operations in the journal that cannot be decoded.
    operations: Vec<(u64, u64)>,
    records: u64,
    bytes: u64,
}

/// What was looked at, and what was found.
pub struct Outcome {
    pub findings: Vec<Finding>,
    pub records: u64,
    pub objects: u64,
    /// Bytes of the records.
    pub bytes: u64,
    pub stretches: Vec<Damage>,
    pub torn: Option<Damage>,
    pub operations: Vec<(u64, u64)>,
    /// `journal/synced` names a segment that is not there yet, so that commits which are still to
    /// come would count as synced.
    pub synced_ahead: bool,
}

impl Verifier {
    /// The engine should be one of its own, with an empty cache: what it has read before is not
    /// read again.
    pub fn new(engine: Arc<Engine>, objects_expected: u64) -> Verifier {
        engine.progress().begin(Phase::Reading, objects_expected);
        Verifier {
            engine,
            facts: IdMap::default(),
            expected: IdMap::default(),
            corrupt: HashSet::new(),
            mismatches: Vec::new(),
            splices: Vec::new(),
            chunked: Vec::new(),
            large: IdSet::default(),
            unproved: IdMap::default(),
            operations: Vec::new(),
            records: 0,
            bytes: 0,
        }
    }

    /// Whether the object has been met and is sound.
    pub fn knows(&self, id: &Id) -> bool {
        self.facts.contains_key(id)
    }

    /// The files that an object, if it is damaged, is a chunk of.
    pub fn files_of(&self, chunk: &Id) -> &[Id] {
        self.unproved.get(chunk).map_or(&[], Vec::as_slice)
    }

    fn is_snapshot(&self, id: &Id) -> bool {
        self.facts.get(id).is_some_and(|fact| fact.kind == Kind::Snapshot)
    }

    /// Verifies all records of the journal. Must come before those of L2: what maintenance moves
    /// meanwhile is then seen twice, and not missed.
    pub fn journal(&mut self) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        engine.journal().refresh()?;
        for number in engine.journal().segment_numbers() {
            let mut objects: Vec<(Id, Vec<u8>)> = Vec::new();
            engine.journal().each_frame((number, 0), &mut |frame| {
                objects.extend(frame.objects.iter().map(|(id, record)| (*id, record.to_vec())));
                if frame.operation.is_some_and(|bytes| Operation::decode(bytes).is_err()) {
                    self.operations.push(frame.position);
                }
                Ok(())
            })?;
            // A segment of small commits has few objects a frame, and threads want many.
            let batch: Vec<(Id, &[u8])> = objects.iter().map(|(id, r)| (*id, &r[..])).collect();
            let spliced = self.check_all(Place::Journal, &batch);
            let resolve = |(id, at): &(Id, usize)| self.resolve_record(id, &objects[*at].1);
            let checked: Vec<Checked> = threads::run(|| spliced.par_iter().map(resolve).collect());
            for ((id, _), checked) in spliced.iter().zip(checked) {
                self.note(*id, Place::Journal, checked);
            }
        }
        Ok(())
    }

    /// Verifies records of L2; keys that are no ids are the caller's affair.
    pub fn records(&mut self, batch: &[(Id, &[u8])]) {
        for (id, at) in self.check_all(Place::L2, batch) {
            if let Ok(splice) = Record::parse(batch[at].1).and_then(|record| record.splice()) {
                self.splices.push((splice.base, id));
            }
        }
    }

    /// Notes that L2 cannot give a record.
    pub fn unreadable(&mut self, id: Id) {
        self.corrupt.insert((id, Place::L2));
    }

    /// Verifies what needs no other record; ids and places in the batch of the splices, which do.
    fn check_all(&mut self, place: Place, batch: &[(Id, &[u8])]) -> Vec<(Id, usize)> {
        self.records += batch.len() as u64;
        self.bytes += batch.iter().map(|(_, record)| record.len() as u64).sum::<u64>();
        self.engine.progress().step(batch.len() as u64);
        let checked: Vec<Checked> =
            threads::run(|| batch.par_iter().map(|(id, record)| check_whole(id, record)).collect());
        let mut spliced = Vec::new();
        for (at, ((id, _), checked)) in batch.iter().zip(checked).enumerate() {
            match checked {
                Checked::Splice => spliced.push((*id, at)),
                checked => self.note(*id, place, checked),
            }
        }
        spliced
    }

    fn note(&mut self, id: Id, place: Place, checked: Checked) {
        match checked {
            Checked::Sound(sound) => self.note_sound(id, sound),
            Checked::Unsound(_) => drop(self.corrupt.insert((id, place))),
            Checked::Chunks(chunks) => self.chunked.push((id, place, chunks)),
            Checked::Splice => {}
        }
    }

    fn note_sound(&mut self, id: Id, sound: Sound) {
        if self.facts.insert(id, sound.fact).is_some() {
            return;
        }
        for (reference, by) in self.expected.remove(&id).unwrap_or_default() {
            self.compare(by, reference, &sound.fact);
        }
        for reference in sound.references {
            match self.facts.get(&reference.to).copied() {
                Some(fact) => self.compare(id, reference, &fact),
                None => {
                    // All that refer to an object should say the same of it: once is enough.
                    let others = self.expected.entry(reference.to).or_default();
                    if others.iter().all(|(other, _)| *other != reference) {
                        others.push((reference, id));
                    }
                }
            }
        }
    }

    fn compare(&mut self, by: Id, reference: Reference, fact: &Fact) {
        if let Err(reason) = reference.expected.check(fact) {
            self.mismatches.push((by, reference, reason));
        }
    }

    /// Decodes a record of the given place, whatever its form.
    fn resolve(&self, place: Place, id: Id) -> Checked {
        let record = match place {
            Place::Journal => self.engine.journal().record(&id),
            Place::L2 => self.engine.stored_record(&id),
        };
        match record {
            Ok(Some(record)) => self.resolve_record(&id, &record),
            Ok(None) => unsound(GONE.to_owned()),
            Err(error) => unsound(error.to_string()),
        }
    }

    fn resolve_record(&self, id: &Id, record: &[u8]) -> Checked {
        match check_whole(id, record) {
            Checked::Splice => match Record::parse(record).and_then(|record| record.splice()) {
                Ok(splice) => match self.engine.object(&splice.base) {
                    Ok(base) => check_splice(id, record, &base).1,
                    Err(_) => Checked::Unsound(because(&splice.base)),
                },
                Err(error) => unsound(error.to_string()),
            },
            Checked::Chunks(chunks) => self.check_chunks(id, &chunks),
            checked => checked,
        }
    }

    /// Decodes what had to wait, compares all references, and looks again at all that is amiss.
    /// `more_roots` name snapshots that must be there beside those of the refs; `undoable` are
    /// those that undo may need.
    pub fn finish(&mut self, more_roots: &[Id], undoable: &[(u64, Id)]) -> Result<Outcome> {
        self.check_splices();
        self.check_wholes();
        // Read before the journal is: both move on.
        let synced = self.engine.journal().synced_position();
        self.engine.look_again()?;
        let synced_ahead = synced.0 > self.engine.journal().newest_segment();
        let boundary = self.engine.all_dropped()?;
        let mut findings = self.corrupt_now();
        let mut roots: Vec<Id> = self.engine.roots()?.into_iter().map(|(_, id)| id).collect();
        roots.extend_from_slice(more_roots);
        // What others refer to is told with them.
        let is_told = |id: &Id| self.expected.contains_key(id) || boundary.contains_key(id);
        roots.extend(undoable.iter().map(|(_, id)| *id).filter(|id| !is_told(id)));
        roots.sort_unstable();
        roots.dedup();
        let damaged = self.add_causes(&mut findings);
        for id in roots.into_iter().filter(|id| !self.is_snapshot(id) && !damaged.contains(id)) {
            // What was committed meanwhile is there, too.
            if let Err(error) = self.engine.snapshot(&id) {
                findings.push(lost(id, None, &error));
            }
        }
        let mut mismatches = std::mem::take(&mut self.mismatches);
        let mut expected: Vec<_> = std::mem::take(&mut self.expected).into_iter().collect();
        // In the order of ids, so that equal repositories are reported alike.
        expected.sort_unstable_by_key(|(id, _)| *id);
        for (id, references) in expected {
            if damaged.contains(&id) {
                continue;
            }
            let found = self.engine.object(&id);
            for (reference, by) in references {
                match &found {
                    Ok(object) => {
                        let sound = sound(&id, object).map_err(|error| error.to_string());
                        let checked = sound.and_then(|it| reference.expected.check(&it.fact));
                        mismatches.extend(checked.err().map(|reason| (by, reference, reason)));
                    }
                    // A gc may have collected what refers to it, too.
                    Err(_) if reference.is_parent && boundary.contains_key(&id) => {}
                    Err(_) if self.engine.object(&by).is_err() => {}
                    Err(error) => {
                        findings.push(lost(id, Some(by), error));
                        break;
                    }
                }
            }
        }
        for (id, reference, reason) in mismatches {
            let to = reference.to;
            let reason = format!("it refers to {to}, {reason}");
            findings.push(Finding { id, problem: Problem::Reference { to }, reason });
        }
        findings.sort_by_key(|finding| finding.id);
        findings.dedup();
        Ok(Outcome {
            findings,
            records: self.records,
            objects: self.facts.len() as u64,
            bytes: self.bytes,
            stretches: self.engine.journal().damaged_stretches(),
            torn: self.engine.journal().torn_tail()?,
            operations: std::mem::take(&mut self.operations),
            synced_ahead,
        })
    }

    /// Adds what other objects are stored with the help of and cannot be had; the ids of all.
    fn add_causes(&self, findings: &mut Vec<Finding>) -> IdSet {
        let mut damaged: IdSet = findings.iter().map(|finding| finding.id).collect();
        for at in 0..findings.len() {
            let Problem::Corrupt { cause: Some(cause), .. } = findings[at].problem else {
                continue;
            };
            if damaged.insert(cause) {
                if let Err(error) = self.engine.object(&cause) {
                    findings.push(lost(cause, Some(findings[at].id), &error));
                }
            }
        }
        damaged
    }

    /// The damaged records that are still there, and still damaged.
    fn corrupt_now(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, place) in &self.corrupt {
            let again = match self.resolve(*place, *id) {
                // Moved, or collected.
                Checked::Unsound(again) if again.reason == GONE => continue,
                Checked::Unsound(again) => again,
                _ => continue,
            };
            let readable = self.facts.contains_key(id) || self.engine.object(id).is_ok();
            let problem = Problem::Corrupt { place: *place, cause: again.cause, readable };
            findings.push(Finding { id: *id, problem, reason: again.reason });
        }
        findings
    }
}

/// The reason of a record that is not there any more.
const GONE: &str = "it is gone";

impl Engine {
    /// A record as L2 has it.
    pub(super) fn stored_record(&self, id: &Id) -> Result<Option<Vec<u8>>> {
        match &self.store {
            Some(store) => Ok(store.stored(std::slice::from_ref(id))?.pop().flatten()),
            None => Ok(None),
        }
    }

    /// Records from the journal, or else from L2.
    fn records_of(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut found = ids.iter().map(|id| self.journal.record(id)).collect::<Result<Vec<_>>>()?;
        let Some(store) = &self.store else {
            return Ok(found);
        };
        let missing: Vec<usize> = (0..ids.len()).filter(|at| found[*at].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<Id> = missing.iter().map(|at| ids[*at]).collect();
            for (at, record) in missing.into_iter().zip(store.records(&wanted)?) {
                found[at] = record;
            }
        }
        Ok(found)
    }

    /// All refs that name snapshots which must be there.
    pub fn roots(&self) -> Result<Vec<(Vec<u8>, Id)>> {
        let mut roots = self.references(ALL_REFS, usize::MAX)?;
        roots.retain(|name, _| !name.starts_with(DROPPED_PREFIX));
        Ok(roots.into_iter().collect())
    }
}

/// An object that cannot be had, and has no record that was looked at.
fn lost(id: Id, by: Option<Id>, error: &Error) -> Finding {
    let problem = match error {
        // A gc that runs now may be taking what was undoable a moment ago.
        Error::ObjectNotFound { .. } | Error::NotASnapshot { .. } | Error::Collected { .. } => {
            Problem::Missing { by }
        }
        _ => Problem::Corrupt { place: Place::L2, cause: None, readable: false },
    };
    Finding { id, problem, reason: error.to_string() }
}

fn because(other: &Id) -> Unsound {
    let reason = format!("it is stored with the help of {other}, which cannot be read");
    Unsound { reason, cause: Some(*other) }
}

/// Verifies a record that needs no other.
fn check_whole(id: &Id, bytes: &[u8]) -> Checked {
    let checked = || -> Result<Checked> {
        let record = Record::parse(bytes)?;
        match record.form {
            Form::Splice => return record.splice().map(|_| Checked::Splice),
            Form::Chunks if record.kind == Kind::Blob => {
                return Ok(Checked::Chunks(record.chunks()?));
            }
            Form::Chunks => return Err(Error::malformed("only a blob is stored as chunks")),
            // Without a copy: most bytes of large files are here.
            Form::Raw if record.kind == Kind::Blob => {
                return Ok(match Id::of_blob(record.payload) == *id {
                    true => blob(record.raw_len),
                    false => mismatch(),
                });
            }
            Form::Raw | Form::Zstd => {}
        }
        let bytes = record.inflate()?;
        if record.kind.id_of(&bytes) != *id {
            return Ok(mismatch());
        }
        let object = Object { kind: record.kind, depth: 0, bytes: bytes.into() };
        sound(id, &object).map(Checked::Sound)
    };
    checked().unwrap_or_else(|error| unsound(error.to_string()))
}

/// A blob whose bytes match its id.
fn blob(size: u64) -> Checked {
    let fact = Fact { kind: Kind::Blob, level: 0, first: 0, size, count: 0 };
    Checked::Sound(Sound { fact, references: Vec::new() })
}

fn mismatch() -> Checked {
    unsound("its bytes do not match its id".to_owned())
}

fn unsound(reason: String) -> Checked {
    Checked::Unsound(Unsound { reason, cause: None })
}

/// Verifies a splice over its base; the object too, if it is sound.
fn check_splice(id: &Id, bytes: &[u8], base: &Object) -> (Option<Object>, Checked) {
    let checked = || -> Result<(Object, Checked)> {
        let record = Record::parse(bytes)?;
        let bytes = record.splice()?.apply(&base.bytes, record.raw_len)?;
        let matches = record.kind.id_of(&bytes) == *id;
        let object = Object { kind: record.kind, depth: 0, bytes: bytes.into() };
        let checked = match matches {
            true => Checked::Sound(sound(id, &object)?),
            false => mismatch(),
        };
        Ok((object, checked))
    };
    match checked() {
        Ok((object, Checked::Sound(sound))) => (Some(object), Checked::Sound(sound)),
        Ok((_, checked)) => (None, checked),
        Err(error) => (None, unsound(error.to_string())),
    }
}

/// Ids of the objects that an object refers to.
pub(super) fn references(id: &Id, object: &Object) -> Result<Vec<Id>> {
    Ok(sound(id, object)?.references.into_iter().map(|reference| reference.to).collect())
}

/// What an object says of itself, and of others. Its bytes match its id.
fn sound(id: &Id, object: &Object) -> Result<Sound> {
    let mut references = Vec::new();
    let mut refer = |to: Id, expected: Expected, is_parent: bool| {
        references.push(Reference { to, expected, is_parent });
    };
    let kind = object.kind;
    let fact = match kind {
        Kind::Blob => {
            let size = object.bytes.len() as u64;
            Fact { kind, level: 0, first: 0, size, count: 0 }
        }
        Kind::Snapshot => {
            let snapshot = Snapshot::decode(&object.bytes)?;
            for parent in &snapshot.parents {
                refer(*parent, Expected::Snapshot, true);
            }
            // How many files there are, a snapshot does not say: the kind is what counts.
            refer(snapshot.tree, Expected::Directory { files: None }, false);
            Fact { kind, level: 0, first: 0, size: 0, count: 0 }
        }
        Kind::Tree => {
            let node = Node::decode(*id, object)?;
            for item in 0..node.len() {
                if !node.is_leaf() {
                    let below = node.reference(item)?;
                    let expected = Expected::Node {
                        level: node.level() - 1,
                        count: below.count,
                        files: below.files,
                        first: crc32fast::hash(node.name(item)),
                    };
                    refer(below.id, expected, false);
                    continue;
                }
                let entry = node.entry(item)?;
                match entry.kind {
                    EntryKind::Submodule => {}
                    EntryKind::Directory => {
                        refer(entry.id, Expected::Directory { files: Some(entry.size) }, false);
                    }
                    _ => refer(entry.id, Expected::Blob { size: entry.size }, false),
                }
            }
            let first = crc32fast::hash(node.first_name());
            let (level, size, count) = (node.level(), node.files(), node.count());
            Fact { kind, level, first, size, count }
        }
    };
    Ok(Sound { fact, references })
}
