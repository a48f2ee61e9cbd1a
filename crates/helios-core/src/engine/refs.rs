//! Refs: names for snapshots, moved by compare-and-swap. Branches are `heads/NAME`, tags
//! `tags/NAME`; `worktrees/NAME` is what the disk of a worktree held when it was last changed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::commit::Appended;
use super::Engine;
use crate::error::{BranchMoved, Error, Result};
use crate::id::Id;
use crate::journal::frame::{FrameBuilder, Operation};
use crate::journal::Position;

pub const BRANCH_PREFIX: &[u8] = b"heads/";
pub const TAG_PREFIX: &[u8] = b"tags/";
/// What an operation's id is hashed under.
const OPERATION_CONTEXT: &str = "helios 2026-11 operation v1";
const NAME_BYTES_MAX: usize = 255;

/// The ref of a branch; see `checked`.
pub fn branch_ref(name: &str) -> Result<Vec<u8>> {
    checked(BRANCH_PREFIX, name)
}

/// The ref of a tag; see `checked`.
pub fn tag_ref(name: &str) -> Result<Vec<u8>> {
    checked(TAG_PREFIX, name)
}

/// A ref, after checking its name: what git accepts, so that names can move both ways, and nothing
/// that reads as an id or an option.
fn checked(prefix: &[u8], name: &str) -> Result<Vec<u8>> {
    let bad_byte = |byte: u8| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte);
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "it is longer than 255 bytes"
    } else if name.bytes().any(bad_byte) {
        "it holds a space, a control character or one of ~^:?*[\\"
    } else if name.starts_with('-') {
        "it begins with a dash"
    } else if name == "@" || name.contains("@{") || name.contains("..") {
        "it holds `@{` or `..`, or is `@`"
    } else if name.ends_with('.')
        || name
            .split('/')
            .any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"))
    {
        "a part is empty, begins with a dot or ends in `.lock`, or it ends in a dot"
    } else if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        "it reads as a snapshot id"
    } else {
        return Ok([prefix, name.as_bytes()].concat());
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

/// What names an operation: the first 16 digits of BLAKE3 over its position in the journal and its
/// bytes. Both stay what they are when maintenance moves the operation.
pub fn operation_id(position: Position, encoded: &[u8]) -> String {
    format!("{:016x}", operation_number(position, encoded))
}

/// The number that an operation's id is the digits of.
pub fn operation_number(position: Position, encoded: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(OPERATION_CONTEXT);
    hasher.update(&position.0.to_be_bytes()).update(&position.1.to_be_bytes()).update(encoded);
    u64::from_be_bytes(hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default())
}

/// The branch that a ref names; of other refs, the ref itself.
pub fn branch_of(reference: &[u8]) -> String {
    let name = reference.strip_prefix(BRANCH_PREFIX).unwrap_or(reference);
    String::from_utf8_lossy(name).into_owned()
}

impl Engine {
    /// Takes in what others appended, so that what follows sees it.
    pub fn refresh(&self) -> Result<()> {
        self.journal.refresh()?;
        self.refresh_store(self.journal.generation())
    }

    /// Looks at L2 again if the journal was read from scratch since the last time: then something
    /// that it would have told has moved there. Reloads happen on many ways, so the journal's
    /// count of them decides, and not who noticed.
    fn refresh_store(&self, generation: u64) -> Result<()> {
        if self.store_generation.load(Ordering::Acquire) == generation {
            return Ok(());
        }
        if let Some(store) = &self.store {
            store.refresh()?;
        }
        self.store_generation.store(generation, Ordering::Release);
        Ok(())
    }

    /// The value of a ref.
    pub fn reference(&self, name: &[u8]) -> Result<Option<Id>> {
        self.journal.refresh()?;
        let generation = self.journal.generation();
        if let Some(value) = self.journal.reference(name) {
            return Ok(value);
        }
        self.refresh_store(generation)?;
        let value = match &self.store {
            Some(store) => store.reference(name)?,
            None => None,
        };
        self.journal.remember_reference(name, value, generation);
        // A frame that set it meanwhile wins.
        Ok(self.journal.reference(name).unwrap_or(value))
    }

    /// Refs whose names begin with `prefix`, and their snapshots: the first `limit` by name, which
    /// is given without the prefix.
    pub fn references(&self, prefix: &[u8], limit: usize) -> Result<BTreeMap<Vec<u8>, Id>> {
        self.refresh()?;
        let mut found: BTreeMap<Vec<u8>, Id> = BTreeMap::new();
        let rest = |mut name: Vec<u8>| name.split_off(prefix.len());
        let recent = self.journal.references(prefix);
        if let Some(store) = &self.store {
            // Some of them may be deleted since, and enough must remain.
            let wanted = limit.saturating_add(recent.len());
            let stored = store.references(prefix, wanted)?;
            found.extend(stored.into_iter().map(|(name, id)| (rest(name), id)));
        }
        for (name, value) in recent {
            match value {
                Some(id) => drop(found.insert(rest(name), id)),
                None => drop(found.remove(&rest(name))),
            }
        }
        if let Some(end) = found.keys().nth(limit).cloned() {
            found.split_off(&end);
        }
        Ok(found)
    }

    /// Changes refs, all of them or none; gives the operation's id. Fails with `BranchMoved` if
    /// one of them did not have its old value.
    pub fn operate(&self, operation: Operation) -> Result<String> {
        let mut encoded = Vec::new();
        operation.encode(&mut encoded);
        let changes = operation.changes.clone();
        let mut frame = FrameBuilder::default();
        frame.operation(operation);
        let (appended, position) = self.append(&mut frame)?;
        self.journal.sync(position)?;
        match appended {
            Appended::At(position) => Ok(operation_id(position, &encoded)),
            Appended::Moved(name, actual) => {
                let change = changes.into_iter().find(|change| change.name == name);
                let (expected, yours) =
                    change.map_or((None, None), |change| (change.old, change.new));
                Err(Error::BranchMoved(Box::new(BranchMoved {
                    branch: branch_of(&name),
                    expected,
                    actual,
                    yours,
                })))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_names_follow_git() {
        for good in ["main", "feature/x", "agent-7", "v1.2", "a@b", "ünï"] {
            assert_eq!(branch_of(&branch_ref(good).unwrap()), good);
        }
        let hex = "a".repeat(64);
        for bad in
            ["", "-x", "a b", "a..b", "@", "a@{1}", "x.lock", "a//b", "/a", "a/", ".a", "a~1", &hex]
        {
            assert!(branch_ref(bad).is_err(), "{bad:?}");
        }
    }
}
