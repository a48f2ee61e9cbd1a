//! Reading objects: L1, then the journal, then L2; every object is verified against its id.
//!
//! The first record that was written of an object rests on objects that were there before, so
//! first records cannot form a cycle. But a commit does not ask L2 what it has: content that comes
//! back after maintenance is written again, perhaps as a splice of what had been spliced from it.
//! A chain that meets itself is therefore followed once more with L2's records, the older ones,
//! before the journal's.
//!
//! Damage may have hit the record that counts, or what it is spliced from, while another record of
//! the object is whole: a commit writes anew what it cannot read. So what cannot be read the usual
//! way is looked for in every record that there is.

use std::collections::HashMap;
use std::sync::Arc;

use super::Engine;
use crate::error::{Error, Result};
use crate::id::{Id, IdSet};
use crate::object::Kind;
use crate::store::record::{Chunk, Form, Record};
use crate::store::{Object, ObjectReader};

/// An object that is being put together from the records it is stored in.
struct Assembly {
    /// The object that was asked for.
    id: Id,
    /// Splices on the way to the base, the outermost first, and whose they are.
    splices: Vec<(Id, Vec<u8>)>,
    /// What is needed next.
    wanted: Id,
    /// Whether L2's records count before the journal's.
    store_first: bool,
    /// Whether the object is asked for by itself, and not with many others.
    alone: bool,
    /// The cache's generation when the search began.
    generation: u64,
}

impl Assembly {
    /// As at the start of the search.
    fn again(&self) -> Assembly {
        Assembly { splices: Vec::new(), wanted: self.id, store_first: false, ..*self }
    }
}

/// A recovery follows at most so many splices, which bounds its recursion.
const ATTEMPTS_MAX: usize = 64;

/// What a recovery may ask, and the objects that it has tried already.
struct Attempts {
    asks_store: bool,
    /// A chunk is in any form but chunks.
    is_chunk: bool,
    met: IdSet,
}

impl Attempts {
    fn new(asks_store: bool) -> Attempts {
        Attempts { asks_store, is_chunk: false, met: IdSet::default() }
    }
}

/// Where the search for an object has got to.
enum Step {
    Done(Object),
    /// Its next record is in L2.
    Elsewhere(Assembly),
}

impl ObjectReader for Engine {
    fn object(&self, id: &Id) -> Result<Object> {
        if let Some(object) = self.cache.get(id) {
            return Ok(object);
        }
        match self.objects(std::slice::from_ref(id))?.pop() {
            Some(object) => Ok(object),
            None => Err(Error::ObjectNotFound { id: *id }),
        }
    }

    fn nearby(&self, id: &Id) -> Option<Object> {
        if let Some(object) = self.cache.get(id) {
            return Some(object);
        }
        match self.assemble(self.search(*id, true)) {
            Ok(Step::Done(object)) => Some(object),
            _ => self.recover(id, &mut Attempts::new(false)),
        }
    }

    fn dropped(&self, id: &Id) -> Result<Option<Id>> {
        Engine::dropped(self, id)
    }
}

impl Engine {
    fn search(&self, id: Id, alone: bool) -> Assembly {
        let generation = self.cache.generation();
        Assembly { id, splices: Vec::new(), wanted: id, store_first: false, alone, generation }
    }

    /// Objects in the order asked for. What is in L2 is fetched in batches, so that a thousand
    /// files cost a few calls.
    pub fn objects(&self, ids: &[Id]) -> Result<Vec<Object>> {
        match self.objects_as_recorded(ids) {
            Err(error) if error.is_damage() => {
                // What looks like it may be a view of L2 that is older than the journal's: then
                // the first record of an object is not there yet, and later ones meet themselves.
                match self.look_again() {
                    Err(error) if !error.is_damage() => Err(error),
                    _ => ids.iter().map(|id| self.recovered(id)).collect(),
                }
            }
            outcome => outcome,
        }
    }

    fn objects_as_recorded(&self, ids: &[Id]) -> Result<Vec<Object>> {
        let mut done: HashMap<usize, Object> = HashMap::with_capacity(ids.len());
        let mut waiting = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            match self.assemble(self.search(*id, ids.len() == 1))? {
                Step::Done(object) => drop(done.insert(at, object)),
                Step::Elsewhere(assembly) => waiting.push((at, assembly)),
            }
        }
        let mut looked_again_for = None;
        while !waiting.is_empty() {
            let wanted: Vec<Id> = waiting.iter().map(|(_, assembly)| assembly.wanted).collect();
            let records = match &self.store {
                Some(store) => store.records(&wanted)?,
                None => vec![None; wanted.len()],
            };
            let mut missing = None;
            let mut next = Vec::new();
            for (((at, assembly), record), before) in waiting.into_iter().zip(records).zip(&wanted)
            {
                let step = match record {
                    Some(record) => self.step(assembly, record)?,
                    // Maintenance may have moved it since: the journal and L2 look again below.
                    None => match self.journal.record(before)? {
                        Some(record) => self.step(assembly, record)?,
                        None => Step::Elsewhere(assembly),
                    },
                };
                match step {
                    Step::Done(object) => drop(done.insert(at, object)),
                    Step::Elsewhere(assembly) => {
                        if assembly.wanted == *before {
                            missing = Some((assembly.id, assembly.wanted));
                        }
                        next.push((at, assembly));
                    }
                }
            }
            waiting = next;
            if let Some((id, wanted)) = missing {
                if looked_again_for == Some(wanted) {
                    return Err(missing_object(id, wanted));
                }
                looked_again_for = Some(wanted);
                self.look_again()?;
                // Gc may have stored an object anew, on another base than the one that was read.
                for (_, assembly) in &mut waiting {
                    if assembly.wanted == wanted {
                        *assembly = assembly.again();
                    }
                }
            }
        }
        (0..ids.len())
            .map(|at| done.remove(&at).ok_or(Error::ObjectNotFound { id: ids[at] }))
            .collect()
    }

    pub(super) fn look_again(&self) -> Result<()> {
        self.journal.refresh()?;
        match &self.store {
            Some(store) => store.refresh(),
            None => Ok(()),
        }
    }

    /// Goes on as far as memory and journal reach.
    fn assemble(&self, mut assembly: Assembly) -> Result<Step> {
        loop {
            if let Some(base) = self.cache.get_quietly(&assembly.wanted) {
                return self.finish(assembly, base.kind, base.depth, base.bytes.to_vec());
            }
            let record = match assembly.store_first {
                true => None,
                false => self.journal.record(&assembly.wanted)?,
            };
            let Some(record) = record else {
                return Ok(Step::Elsewhere(assembly));
            };
            match self.advance(assembly, record)? {
                Ok(object) => return Ok(Step::Done(object)),
                Err(next) => assembly = next,
            }
        }
    }

    /// Takes in the record that was wanted, and goes on.
    fn step(&self, assembly: Assembly, record: Vec<u8>) -> Result<Step> {
        match self.advance(assembly, record)? {
            Ok(object) => Ok(Step::Done(object)),
            Err(next) => self.assemble(next),
        }
    }

    /// Either the object is complete, or a further record is wanted.
    fn advance(
        &self,
        mut assembly: Assembly,
        bytes: Vec<u8>,
    ) -> Result<std::result::Result<Object, Assembly>> {
        let id = assembly.id;
        let record = Record::parse(&bytes).map_err(|error| error.in_object(&id))?;
        let complete = match record.form {
            Form::Splice => {
                let base = record.splice().map_err(|error| error.in_object(&id))?.base;
                let spliced = std::mem::replace(&mut assembly.wanted, base);
                assembly.splices.push((spliced, bytes));
                if assembly.splices.iter().all(|(met, _)| *met != base) {
                    return Ok(Err(assembly));
                }
                if assembly.store_first {
                    let reason = "its splices form a cycle".to_owned();
                    return Err(Error::CorruptObject { id, reason });
                }
                return Ok(Err(Assembly { store_first: true, ..assembly.again() }));
            }
            Form::Chunks => {
                let mut whole = Vec::with_capacity(record.raw_len.min(1 << 30) as usize);
                for chunk in record.chunks().map_err(|error| error.in_object(&id))? {
                    whole.extend_from_slice(&self.object(&chunk.id)?.bytes);
                }
                whole
            }
            Form::Raw | Form::Zstd => record.inflate().map_err(|error| error.in_object(&id))?,
        };
        match self.finish(assembly, record.kind, 0, complete)? {
            Step::Done(object) => Ok(Ok(object)),
            Step::Elsewhere(next) => Ok(Err(next)),
        }
    }

    /// Applies the splices to their base, verifies the result and keeps it in L1.
    fn finish(&self, assembly: Assembly, kind: Kind, depth: u8, base: Vec<u8>) -> Result<Step> {
        let id = assembly.id;
        let mut bytes = base;
        // The real length of the chain, whatever the records say: writers bound it by this.
        let depth = depth.saturating_add(assembly.splices.len().min(255) as u8);
        for (_, splice) in assembly.splices.iter().rev() {
            let record = Record::parse(splice)?;
            bytes = record
                .splice()
                .and_then(|splice| splice.apply(&bytes, record.raw_len))
                .map_err(|error| error.in_object(&id))?;
        }
        if kind.id_of(&bytes) != id {
            let reason = "its bytes do not match its id".to_owned();
            return Err(Error::CorruptObject { id, reason });
        }
        let object = Object { kind, depth, bytes: Arc::from(bytes) };
        self.cache.insert_read(id, object.clone(), assembly.generation, !assembly.alone);
        Ok(Step::Done(object))
    }

    /// Whether the journal has an object, which is `bytes`, and it can be read. L1 is left alone:
    /// of many files that are read again it would hold the wrong ones.
    pub(super) fn journal_holds(&self, id: &Id, bytes: &[u8]) -> bool {
        let Ok(Some(stored)) = self.journal.record(id) else {
            return false;
        };
        match Record::parse(&stored) {
            Ok(record) if matches!(record.form, Form::Raw | Form::Zstd) => {
                record.inflate().is_ok_and(|stored| stored == bytes)
            }
            _ => self.nearby(id).is_some(),
        }
    }

    /// One object, by whatever record of it is whole.
    fn recovered(&self, id: &Id) -> Result<Object> {
        if let Some(object) = self.cache.get_quietly(id) {
            return Ok(object);
        }
        let error = match self.objects_as_recorded(std::slice::from_ref(id)) {
            Ok(mut found) => return found.pop().ok_or(Error::ObjectNotFound { id: *id }),
            Err(error) if !error.is_damage() => return Err(error),
            Err(error) => error,
        };
        let mut attempts = Attempts::new(true);
        self.recover(id, &mut attempts).ok_or(match error {
            // It names the store, but not the object.
            Error::CorruptStore(reason) => Error::CorruptObject { id: *id, reason },
            error => error,
        })
    }

    /// Tries all records of an object, and of what they are spliced from.
    fn recover(&self, id: &Id, attempts: &mut Attempts) -> Option<Object> {
        if attempts.met.len() >= ATTEMPTS_MAX || !attempts.met.insert(*id) {
            return None;
        }
        let generation = self.cache.generation();
        let mut records = self.journal.records(id);
        if let (true, Some(store)) = (attempts.asks_store, &self.store) {
            records.extend(store.records(&[*id]).ok().and_then(|mut found| found.pop().flatten()));
        }
        let object = records.iter().find_map(|bytes| {
            let record = Record::parse(bytes).ok()?;
            let (depth, bytes) = match record.form {
                Form::Splice => {
                    let splice = record.splice().ok()?;
                    let base = self.recover(&splice.base, attempts)?;
                    let depth = base.depth.saturating_add(1);
                    (depth, splice.apply(&base.bytes, record.raw_len).ok()?)
                }
                Form::Chunks if attempts.is_chunk => return None,
                Form::Chunks => {
                    let mut whole = Vec::new();
                    for chunk in record.chunks().ok()? {
                        let asks_store = attempts.asks_store;
                        let mut attempts = Attempts { is_chunk: true, ..Attempts::new(asks_store) };
                        whole.extend_from_slice(&self.recover(&chunk.id, &mut attempts)?.bytes);
                    }
                    (0, whole)
                }
                Form::Raw | Form::Zstd => (0, record.inflate().ok()?),
            };
            let kind = record.kind;
            (kind.id_of(&bytes) == *id).then(|| Object { kind, depth, bytes: Arc::from(bytes) })
        })?;
        self.cache.insert_read(*id, object.clone(), generation, true);
        Some(object)
    }

    /// The records that L2 has of objects.
    pub fn records_in_l2(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        match &self.store {
            Some(store) => store.stored(ids),
            None => Ok(vec![None; ids.len()]),
        }
    }

    /// Whether there may be objects that are derived from something beside L2.
    pub(super) fn derives(&self) -> Result<bool> {
        self.store.as_ref().map_or(Ok(false), |store| store.derives())
    }

    /// Whether each object is derived, with all that it leads to.
    pub(super) fn closed(&self, ids: &[Id]) -> Result<Vec<bool>> {
        match &self.store {
            Some(store) if !ids.is_empty() => store.closed(ids),
            _ => Ok(vec![false; ids.len()]),
        }
    }

    /// The record that L2 has of an object.
    pub fn record_in_l2(&self, id: &Id) -> Result<Option<Vec<u8>>> {
        Ok(self.records_in_l2(&[*id])?.pop().flatten())
    }

    /// The stored record of an object, if it is chunked: the list of its chunks.
    pub fn chunks(&self, id: &Id) -> Result<Option<Vec<Chunk>>> {
        let mut bytes = self.journal.record(id)?;
        if bytes.is_none() {
            bytes = self.record_in_l2(id)?;
        }
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let record = Record::parse(&bytes).map_err(|error| error.in_object(id))?;
        match record.form {
            Form::Chunks => record.chunks().map(Some).map_err(|error| error.in_object(id)),
            _ => Ok(None),
        }
    }
}

fn missing_object(id: Id, wanted: Id) -> Error {
    if id == wanted {
        return Error::ObjectNotFound { id };
    }
    let reason = format!("it is stored as a change of {wanted}, which is missing");
    Error::CorruptObject { id, reason }
}
