//! Merging snapshots of a repository, and commits that follow a branch which has moved.

use super::commit::{CommitOptions, Committed};
use super::{capture, Engine};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::merge::text::Labels;
use crate::merge::{self, Conflict, Merge, Outcome};
use crate::tree::{Kid, Tree};
use crate::vst::Vst;

/// How often a commit follows its branch before it gives up. Each time another commit was made.
const REBASES_MAX: usize = 100;

/// What became of a commit that follows its branch.
#[derive(Debug)]
pub enum Rebased {
    Committed(Committed),
    /// The branch's changes do not go together with the VST's. Nothing was merged; what the VST
    /// holds is the snapshot `yours`, which is kept.
    Conflicts {
        head: Id,
        yours: Id,
        conflicts: Vec<Conflict>,
    },
}

impl Engine {
    /// Merges two snapshots; computes only, nothing is stored.
    pub fn merge(&self, ours: &Id, theirs: &Id, labels: Labels<'_>) -> Result<Outcome> {
        merge::snapshots(ours, theirs, self, labels)
    }

    /// Merges the trees of two snapshots by that of a third, or by nothing, whatever their history.
    pub fn merge_trees(
        &self,
        base: Option<&Id>,
        ours: &Id,
        theirs: &Id,
        labels: Labels<'_>,
    ) -> Result<Merge> {
        let base = base.map(|id| self.tree(id)).transpose()?.unwrap_or_default();
        merge::trees(&base, &self.tree(ours)?, &self.tree(theirs)?, self, labels)
    }

    /// A merge's tree as a VST over ours, whose commit has `parents` beside ours. Without
    /// `markers` a text with conflicts is what it is in ours. `epoch` is the engine's from before
    /// the merge.
    #[allow(clippy::too_many_arguments)]
    pub fn vst_of_merge(
        &self,
        merge: &Merge,
        epoch: u64,
        ours: Id,
        branch: Option<Vec<u8>>,
        parents: Vec<Id>,
        markers: bool,
    ) -> Result<Vst> {
        let mut tree = merge.tree.clone();
        for conflict in merge.conflicts.iter().filter(|conflict| !markers && conflict.is_marked) {
            if let Some(version) = &conflict.ours {
                tree.set(&conflict.path, &version.entry, Kid::clean(), self)?;
            }
        }
        let mut vst = self.vst(Some(ours), branch)?;
        vst.tree = tree;
        vst.more_parents = parents;
        vst.epoch = vst.epoch.min(epoch);
        Ok(vst)
    }

    /// As `commit`, but if the branch has moved, what was changed since the VST's base is put upon
    /// the snapshot where it is now, as long as they merge without a conflict.
    pub fn commit_rebased(&self, vst: &mut Vst, options: &CommitOptions) -> Result<Rebased> {
        let labels = Labels { ours: "branch", theirs: "commit" };
        let mut rebases = 0;
        loop {
            // Looking first spares a snapshot that would be kept in vain.
            let head = match &vst.branch {
                Some(branch) => self.reference(branch)?,
                None => None,
            };
            let may_follow = !vst.is_new_branch && rebases < REBASES_MAX;
            let (true, Some(head)) = (head != vst.expected() && may_follow, head) else {
                match self.commit(vst, options) {
                    Err(Error::BranchMoved(moved)) if moved.actual.is_some() && may_follow => {
                        continue;
                    }
                    outcome => return outcome.map(Rebased::Committed),
                }
            };
            rebases += 1;
            let epoch = self.epoch();
            // Content is merged by id.
            match capture::store_tree(self, vst) {
                Err(Error::Outdated) => {
                    self.bring_up_to_date(vst)?;
                    continue;
                }
                stored => drop(stored?),
            }
            let ahead = self.tree(&head)?;
            let merge = match self.merge_onto(&ahead, vst, labels) {
                Err(Error::ObjectNotFound { id }) => return Err(self.missed(vst, id)?),
                merged => merged?,
            };
            if !merge.conflicts.is_empty() {
                return match self.commit(vst, options) {
                    Err(Error::BranchMoved(moved)) => match moved.yours {
                        Some(yours) => {
                            let conflicts = merge.conflicts;
                            Ok(Rebased::Conflicts { head, yours, conflicts })
                        }
                        None => Err(Error::BranchMoved(moved)),
                    },
                    // The branch has come back meanwhile.
                    outcome => outcome.map(Rebased::Committed),
                };
            }
            vst.tree = merge.tree;
            vst.epoch = vst.epoch.min(epoch);
            vst.base = Some(head);
            vst.base_tree = ahead.id();
        }
    }

    /// What was changed since the VST's base, put upon another tree.
    fn merge_onto(&self, ahead: &Tree, vst: &Vst, labels: Labels<'_>) -> Result<Merge> {
        let base = vst.base.map(|id| self.tree(&id)).transpose()?.unwrap_or_default();
        merge::trees(&base, ahead, &vst.tree, self, labels)
    }

    /// Why an object is missing: gc has dropped what the VST is based on, or there is damage.
    fn missed(&self, vst: &Vst, id: Id) -> Result<Error> {
        let base: Vec<Id> = vst.base.into_iter().collect();
        Ok(match self.gone(&base)?.into_iter().next() {
            Some(base) => Error::Collected { id: base },
            None => Error::ObjectNotFound { id },
        })
    }
}
