//! What becomes of one path: the rules for three versions of it.

use super::text;
use super::{Merger, Reason, Slot, BASE, MARKER_LEN, OURS, THEIRS};
use crate::error::Result;
use crate::tree::{Entry, EntryKind};

/// Two versions merged into one.
pub(super) struct Content {
    pub entry: Entry,
    pub conflict: Option<Reason>,
}

/// What stands at a path in the merged tree.
#[derive(Default)]
pub(super) struct Resolved {
    pub entry: Option<Entry>,
    /// Theirs, if it cannot stand at the same path.
    pub beside: Option<Entry>,
    pub conflict: Option<Reason>,
}

fn same(a: &Entry, b: &Entry) -> bool {
    a.kind == b.kind && a.id == b.id
}

/// Executable or not, a file is a file.
pub(super) fn type_of(entry: &Entry) -> EntryKind {
    match entry.kind {
        EntryKind::Executable => EntryKind::File,
        other => other,
    }
}

impl Merger<'_, '_> {
    fn is_virtual(&self) -> bool {
        self.depth > 0
    }

    pub(super) fn resolve(&self, slot: &Slot) -> Result<Resolved> {
        let [base, ours, theirs] =
            [BASE, OURS, THEIRS].map(|side| slot.versions[side].as_ref().map(|v| v.entry));
        let unchanged = |side: &Entry| base.is_some_and(|base| same(&base, side));
        let clean = |entry| Ok(Resolved { entry, ..Resolved::default() });
        match (ours, theirs) {
            (None, None) => clean(None),
            (Some(a), Some(b)) if same(&a, &b) => clean(Some(a)),
            (Some(a), _) if unchanged(&a) && !slot.is_rename_delete => clean(theirs),
            (_, Some(b)) if unchanged(&b) && !slot.is_rename_delete => clean(ours),
            (Some(a), Some(b)) if type_of(&a) != type_of(&b) => {
                let conflict = Some(Reason::Type);
                Ok(match self.is_virtual() {
                    true => Resolved { entry: base, conflict, ..Resolved::default() },
                    false => Resolved { entry: ours, beside: theirs, conflict },
                })
            }
            (Some(a), Some(b)) => {
                let Content { entry, conflict } = self.merge_content(base.as_ref(), &a, &b)?;
                Ok(Resolved { entry: Some(entry), conflict, ..Resolved::default() })
            }
            (None, Some(_)) | (Some(_), None) if base.is_none() => clean(ours.or(theirs)),
            (None, Some(_)) | (Some(_), None) => {
                let reason = match slot.is_rename_delete {
                    true => Reason::RenameDelete,
                    false => Reason::ModifyDelete,
                };
                let entry = if self.is_virtual() { base } else { ours.or(theirs) };
                Ok(Resolved { entry, conflict: Some(reason), ..Resolved::default() })
            }
        }
    }

    /// Merges two versions of one type: the executable bit by itself, and the content.
    pub(super) fn merge_content(
        &self,
        base: Option<&Entry>,
        ours: &Entry,
        theirs: &Entry,
    ) -> Result<Content> {
        let base_kind = base.map(|base| base.kind);
        let (kind, mode_is_clean) = match (ours.kind, theirs.kind) {
            (a, b) if a == b || base_kind == Some(a) => (b, true),
            (a, b) => (a, base_kind == Some(b)),
        };
        let unchanged = |side: &Entry| base.is_some_and(|base| base.id == side.id);
        let mut content = if ours.id == theirs.id || unchanged(theirs) {
            Content { entry: *ours, conflict: None }
        } else if unchanged(ours) {
            Content { entry: *theirs, conflict: None }
        } else if type_of(ours) == EntryKind::File {
            self.merge_files(base.filter(|base| type_of(base) == EntryKind::File), ours, theirs)?
        } else {
            let entry = base.filter(|_| self.is_virtual()).unwrap_or(ours);
            Content { entry: *entry, conflict: Some(Reason::Content) }
        };
        content.entry.kind = kind;
        if content.conflict.is_none() && !mode_is_clean {
            content.conflict = Some(Reason::Mode);
        }
        if content.conflict.is_some() && base.is_none() {
            content.conflict = Some(Reason::AddAdd);
        }
        Ok(content)
    }

    fn merge_files(&self, base: Option<&Entry>, ours: &Entry, theirs: &Entry) -> Result<Content> {
        let as_a_whole = |reason| {
            let entry = match (self.is_virtual(), base) {
                (false, _) => *ours,
                (true, Some(base)) => *base,
                // No side of it may pass for what both began with.
                (true, None) => self.contents.make(ours.kind, Vec::new()),
            };
            Ok(Content { entry, conflict: Some(reason) })
        };
        let entries = [base, Some(ours), Some(theirs)];
        if entries.iter().flatten().any(|entry| !text::is_mergeable_size(entry.size)) {
            return as_a_whole(Reason::TooLarge);
        }
        let read = |entry: Option<&Entry>| match entry {
            Some(entry) => self.contents.read(entry),
            None => Ok([].into()),
        };
        let texts = [read(base)?, read(Some(ours))?, read(Some(theirs))?];
        if texts.iter().any(|bytes| text::is_binary(bytes)) {
            return as_a_whole(Reason::Binary);
        }
        if texts.iter().any(|bytes| text::has_too_many_lines(bytes)) {
            return as_a_whole(Reason::TooLarge);
        }
        let [base, a, b] = &texts;
        // Nested markers must not be taken for the outer ones.
        let marker_len = MARKER_LEN + 2 * self.depth;
        let merged = text::merge(base, a, b, self.labels, marker_len);
        let entry = self.contents.make(ours.kind, merged.bytes);
        Ok(Content { entry, conflict: (merged.conflicts > 0).then_some(Reason::Content) })
    }
}
