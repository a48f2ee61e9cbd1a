//! Splices, family by family: a family is an object that is stored whole, and all that is stored
//! as a change of it, directly or not. Within a family each record is read once, and its base is
//! the object before it or one of that object's own bases.

use std::collections::HashSet;

use rayon::prelude::*;

use super::{because, check_splice, unsound, Checked, Place, Verifier, GONE};
use crate::engine::progress::Phase;
use crate::id::Id;
use crate::store::{Object, ObjectReader};
use crate::threads;

/// Splices whose records are fetched at once.
const BATCH: usize = 1024;

impl Verifier {
    /// Verifies the splices of L2 that `records` has put aside.
    pub(super) fn check_splices(&mut self) {
        let mut splices = std::mem::take(&mut self.splices);
        self.engine.progress().begin(Phase::Reading, splices.len() as u64);
        splices.sort_unstable();
        splices.dedup();
        for batch in in_families(splices).chunks(BATCH) {
            let checked = self.check_batch(batch);
            for ((_, id), checked) in batch.iter().zip(checked) {
                self.note(*id, Place::L2, checked);
            }
            self.engine.progress().step(batch.len() as u64);
        }
    }

    fn check_batch(&self, batch: &[(Id, Id)]) -> Vec<Checked> {
        let records = self.stored(&batch.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        let members: Vec<Member> =
            batch.iter().zip(records).map(|((base, id), record)| (*base, *id, record)).collect();
        // A family begins where the base is none of the members before.
        let mut seen = HashSet::new();
        let mut families: Vec<&[Member]> = Vec::new();
        let mut from = 0;
        for (at, (base, id, _)) in members.iter().enumerate() {
            if seen.insert(*base) && at > from {
                families.push(&members[from..at]);
                from = at;
            }
            seen.insert(*id);
        }
        families.push(&members[from..]);
        threads::run(|| {
            families.par_iter().flat_map_iter(|family| self.check_family(family)).collect()
        })
    }

    fn check_family(&self, family: &[Member]) -> Vec<Checked> {
        let mut line: Vec<(Id, Object)> = Vec::new();
        let mut checked = Vec::with_capacity(family.len());
        for (base, id, record) in family {
            while line.last().is_some_and(|(last, _)| last != base) {
                line.pop();
            }
            if line.is_empty() {
                match self.engine.object(base) {
                    Ok(object) => line.push((*base, object)),
                    Err(_) => {
                        checked.push(Checked::Unsound(because(base)));
                        continue;
                    }
                }
            }
            let (object, result) = match (record, line.last()) {
                (Ok(Some(record)), Some((_, base))) => check_splice(id, record, base),
                (Ok(_), _) => (None, unsound(GONE.to_owned())),
                (Err(reason), _) => (None, unsound(reason.clone())),
            };
            line.extend(object.map(|object| (*id, object)));
            checked.push(result);
        }
        checked
    }

    /// Records as L2 has them; where it fails, why.
    fn stored(&self, ids: &[Id]) -> Vec<Result<Option<Vec<u8>>, String>> {
        let Some(store) = &self.engine.store else {
            return vec![Ok(None); ids.len()];
        };
        match store.records(ids) {
            Ok(records) => records.into_iter().map(Ok).collect(),
            // One by one, to learn which it is.
            Err(_) => ids
                .iter()
                .map(|id| self.engine.stored_record(id).map_err(|error| error.to_string()))
                .collect(),
        }
    }
}

/// The base, the splice, and its record.
type Member = (Id, Id, Result<Option<Vec<u8>>, String>);

/// Splices (base, id), sorted by base, in the order in which a base comes before what is spliced
/// from it, and depth first. What forms a cycle comes last.
fn in_families(splices: Vec<(Id, Id)>) -> Vec<(Id, Id)> {
    let mut spliced: Vec<Id> = splices.iter().map(|(_, id)| *id).collect();
    spliced.sort_unstable();
    let of = |base: &Id| {
        let from = splices.partition_point(|(other, _)| other < base);
        let len = splices[from..].partition_point(|(other, _)| other == base);
        &splices[from..from + len]
    };
    let mut ordered = Vec::with_capacity(splices.len());
    let mut waiting: Vec<(Id, Id)> = Vec::new();
    let mut at = 0;
    while at < splices.len() {
        let base = splices[at].0;
        let family = of(&base);
        at += family.len();
        if spliced.binary_search(&base).is_ok() {
            continue;
        }
        waiting.extend_from_slice(family);
        while let Some(next) = waiting.pop() {
            ordered.push(next);
            waiting.extend_from_slice(of(&next.1));
        }
    }
    if ordered.len() < splices.len() {
        let met: HashSet<&(Id, Id)> = ordered.iter().collect();
        let cycles: Vec<_> = splices.iter().filter(|pair| !met.contains(pair)).copied().collect();
        ordered.extend(cycles);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> Id {
        Id::from_bytes([byte; 32])
    }

    #[test]
    fn a_base_comes_before_what_is_spliced_from_it_and_cycles_are_kept() {
        let mut splices = vec![
            (id(1), id(2)),
            (id(2), id(9)),
            (id(9), id(3)),
            (id(1), id(4)),
            (id(7), id(8)),
            (id(8), id(7)),
        ];
        splices.sort_unstable();
        let ordered = in_families(splices.clone());
        assert_eq!(ordered.len(), splices.len());
        let place = |child: u8| ordered.iter().position(|(_, found)| *found == id(child)).unwrap();
        assert!(place(2) < place(9) && place(9) < place(3));
        // Depth first: between an object and its splices come only splices of those.
        assert_eq!(place(3) - place(2), 2);
        assert!(place(7) >= 4 && place(8) >= 4);
    }
}
