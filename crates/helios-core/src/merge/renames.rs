//! Renames: a file that is gone here and came back there with the same content. Changes of the
//! other side follow it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::resolve::type_of;
use super::{Conflict, Merger, Reason, Slot, Slots, Version, BASE, OURS, THEIRS};
use crate::error::Result;
use crate::id::Id;
use crate::tree::{Entry, EntryKind};

/// Where each side has renamed a path to.
type Targets = [Option<Vec<u8>>; 3];

/// What may be renamed into one another: equal content, of files (executable or not) or of links.
type Family = (Id, bool);

fn family(entry: &Entry) -> Option<Family> {
    let movable = entry.kind.has_content() && entry.size > 0;
    movable.then_some((entry.id, entry.kind == EntryKind::Symlink))
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Files that one side has removed and the other has changed or removed too, by content. For all
/// others it makes no difference whether they were renamed.
#[derive(Default)]
struct Sources<'s> {
    in_order: HashMap<Family, VecDeque<&'s [u8]>>,
    by_name: HashMap<(Family, &'s [u8]), VecDeque<&'s [u8]>>,
    taken: BTreeMap<&'s [u8], &'s [u8]>,
}

impl<'s> Sources<'s> {
    fn add(&mut self, family: Family, path: &'s [u8]) {
        self.in_order.entry(family).or_default().push_back(path);
        self.by_name.entry((family, name_of(path))).or_default().push_back(path);
    }

    /// Pairs a new file with a source, one of the same name if there is one.
    fn take(&mut self, family: Family, target: &'s [u8]) {
        let named = self.by_name.get_mut(&(family, name_of(target)));
        for list in named.into_iter().chain(self.in_order.get_mut(&family)) {
            while let Some(source) = list.pop_front() {
                if !self.taken.contains_key(source) {
                    self.taken.insert(source, target);
                    return;
                }
            }
        }
    }
}

fn renames(slots: &Slots) -> BTreeMap<Vec<u8>, Targets> {
    let mut renames: BTreeMap<Vec<u8>, Targets> = BTreeMap::new();
    for (side, other) in [(OURS, THEIRS), (THEIRS, OURS)] {
        let mut sources = Sources::default();
        for (path, slot) in slots {
            if let ([Some(base), ..], None) = (&slot.versions, &slot.versions[side]) {
                if slot.changed[other] {
                    family(&base.entry).into_iter().for_each(|family| sources.add(family, path));
                }
            }
        }
        for (path, slot) in slots {
            if let ([None, ..], Some(new)) = (&slot.versions, &slot.versions[side]) {
                family(&new.entry).into_iter().for_each(|family| sources.take(family, path));
            }
        }
        for (source, target) in sources.taken {
            renames.entry(source.to_vec()).or_default()[side] = Some(target.to_vec());
        }
    }
    renames
}

impl Merger<'_, '_> {
    /// Brings together at the new path what the sides have of a renamed file.
    pub(super) fn follow_renames(&mut self, slots: &mut Slots) -> Result<()> {
        for (source, [_, ours, theirs]) in renames(slots) {
            let Some(slot) = slots.remove(&source) else {
                continue;
            };
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => self.renamed_by_both(slots, slot, ours, theirs)?,
                (Some(target), None) => self.renamed(slots, &source, slot, OURS, target)?,
                (None, Some(target)) => self.renamed(slots, &source, slot, THEIRS, target)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn renamed_by_both(
        &mut self,
        slots: &mut Slots,
        slot: Slot,
        ours: Vec<u8>,
        theirs: Vec<u8>,
    ) -> Result<()> {
        let [base, ..] = slot.versions;
        if ours == theirs {
            slots.entry(ours).or_default().versions[BASE] = base;
            return Ok(());
        }
        let version = |side: usize, path: &Vec<u8>| slots.get(path)?.versions[side].clone();
        let versions = [base.clone(), version(OURS, &ours), version(THEIRS, &theirs)];
        if let [Some(base), Some(a), Some(b)] = &versions {
            // Only the executable bit can differ.
            let merged = self.merge_content(Some(&base.entry), &a.entry, &b.entry)?.entry;
            for (side, path) in [(OURS, &ours), (THEIRS, &theirs)] {
                if let Some(slot) = slots.get_mut(path) {
                    let path = path.clone();
                    slot.versions[side] = Some(Version { path, entry: merged });
                }
            }
            let path = base.path.clone();
            self.conflicts.push(Conflict::new(Reason::RenameRename, &path, versions));
        }
        Ok(())
    }

    fn renamed(
        &mut self,
        slots: &mut Slots,
        source: &[u8],
        mut slot: Slot,
        side: usize,
        target: Vec<u8>,
    ) -> Result<()> {
        let other = OURS + THEIRS - side;
        let base = slot.versions[BASE].take();
        let Some(destination) = slots.get_mut(&target) else {
            return Ok(());
        };
        let type_of = |version: &Option<Version>| version.as_ref().map(|v| type_of(&v.entry));
        let Some(changed) = slot.versions[other].take() else {
            if destination.versions[other].is_some() {
                let [_, ours, theirs] = destination.versions.clone();
                let versions = [base, ours, theirs];
                self.conflicts.push(Conflict::new(Reason::RenameDelete, &target, versions));
            } else {
                destination.versions[BASE] = base;
                destination.is_rename_delete = true;
            }
            return Ok(());
        };
        let changed = Some(changed);
        if type_of(&changed) != type_of(&destination.versions[side]) {
            // It became something else there: that stays, and for the rename it is as if deleted.
            destination.versions[BASE] = base;
            destination.is_rename_delete = destination.versions[other].is_none();
            slot.versions[other] = changed;
            slots.insert(source.to_vec(), slot);
        } else if destination.versions[other].is_some() {
            // The other side has added something else at the new path.
            let mut sides = [None, None, None];
            (sides[side], sides[other]) = (destination.versions[side].take(), changed);
            if let [_, Some(a), Some(b)] = &sides {
                let entry = base.as_ref().map(|base| &base.entry);
                let merged = self.merge_content(entry, &a.entry, &b.entry)?;
                if let Some(reason) = merged.conflict {
                    let [_, a, b] = sides;
                    self.conflicts.push(Conflict::new(reason, &target, [base, a, b]));
                }
                let version = Version { path: source.to_vec(), entry: merged.entry };
                destination.versions[side] = Some(version);
            }
        } else {
            destination.versions[BASE] = base;
            destination.versions[other] = changed;
        }
        Ok(())
    }
}
