//! Branches: names for snapshots, moved by compare-and-swap.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::commit::now_us;
use super::Engine;
use crate::error::{BranchMoved, Error, Result};
use crate::id::Id;
use crate::journal::frame::{FrameBuilder, Operation, RefChange};

const BRANCH_PREFIX: &[u8] = b"heads/";
const NAME_BYTES_MAX: usize = 255;

/// The ref of a branch, after checking its name: what git accepts, so that names can move both
/// ways, and nothing that reads as an id or an option.
pub fn branch_ref(name: &str) -> Result<Vec<u8>> {
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
        return Ok([BRANCH_PREFIX, name.as_bytes()].concat());
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

/// The branch that a ref names.
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

    /// All branches and their snapshots, by name.
    pub fn branches(&self) -> Result<BTreeMap<String, Id>> {
        let references = self.references(BRANCH_PREFIX)?;
        Ok(references.into_iter().map(|(name, id)| (branch_of(&name), id)).collect())
    }

    /// All refs that begin with `prefix`, and their values.
    pub fn references(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Id>> {
        self.refresh()?;
        let mut references: BTreeMap<Vec<u8>, Id> = BTreeMap::new();
        if let Some(store) = &self.store {
            references.extend(store.references(prefix)?);
        }
        for (name, value) in self.journal.references(prefix) {
            match value {
                Some(id) => drop(references.insert(name, id)),
                None => drop(references.remove(&name)),
            }
        }
        Ok(references)
    }

    /// Moves a branch from `old` to `new`; `None` is "does not exist".
    pub fn move_branch(
        &self,
        name: &str,
        old: Option<Id>,
        new: Option<Id>,
        actor: &[u8],
        command: &[u8],
    ) -> Result<()> {
        let mut frame = FrameBuilder::default();
        frame.operation(Operation {
            time_us: now_us(),
            actor: actor.to_vec(),
            command: command.to_vec(),
            changes: vec![RefChange { name: branch_ref(name)?, old, new }],
        });
        match self.append(&mut frame)? {
            None => Ok(()),
            Some((_, actual)) => Err(Error::BranchMoved(Box::new(BranchMoved {
                branch: name.to_owned(),
                expected: old,
                actual,
                yours: new,
            }))),
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
