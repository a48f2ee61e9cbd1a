//! One error type for the core. Each variant says what happened to which object or path, and where
//! a person can act on it, what to do next. `Error::name` is the Python exception's class name; a
//! test in `tests/test_errors.py` keeps both sides agreed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::id::Id;

pub type Result<T> = std::result::Result<T, Error>;

/// A compare-and-swap of a branch that somebody else won. `None` is "does not exist".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BranchMoved {
    pub branch: String,
    pub expected: Option<Id>,
    pub actual: Option<Id>,
    /// The snapshot that the branch was to be moved to; it is kept.
    pub yours: Option<Id>,
}

impl fmt::Display for BranchMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let describe = |id: &Option<Id>| match id {
            Some(id) => id.to_hex(),
            None => "no snapshot".to_owned(),
        };
        let (expected, actual) = (describe(&self.expected), describe(&self.actual));
        write!(f, "branch {:?} moved: expected {expected}, found {actual}", self.branch)?;
        match &self.yours {
            Some(yours) => write!(f, "; your snapshot {yours} is kept, put a branch on it"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("invalid id: {0}")]
    InvalidId(String),
    #[error("invalid path {path:?}: {reason}")]
    InvalidPath { path: String, reason: &'static str },
    #[error("invalid branch name {name:?}: {reason}")]
    InvalidName { name: String, reason: &'static str },
    #[error("{path:?}: no such file or directory in the tree")]
    PathNotFound { path: String },
    #[error("{path:?} is a directory")]
    IsADirectory { path: String },
    #[error("{path:?} is not a directory")]
    NotADirectory { path: String },
    #[error("object {id} is missing: neither the journal nor the L2 store has it")]
    ObjectNotFound { id: Id },
    #[error("{id} was dropped by gc; `log` lists what is kept")]
    Collected { id: Id },
    #[error("{0}")]
    Busy(String),
    /// Never leaves the engine, which does again what was refused.
    #[error("gc has begun to delete meanwhile; try again")]
    Outdated,
    #[error("{id} is a {found}, not a snapshot")]
    NotASnapshot { id: Id, found: &'static str },
    #[error("object {id} is corrupt: {reason}; restore it from a copy of the repository")]
    CorruptObject { id: Id, reason: String },
    #[error("journal segment {segment} is corrupt at byte {offset}: {reason}")]
    CorruptJournal { segment: u64, offset: u64, reason: String },
    #[error("malformed data: {0}")]
    Malformed(String),
    #[error("{0}")]
    BranchMoved(Box<BranchMoved>),
    #[error("the repository is read-only: {0}")]
    ReadOnly(String),
    #[error(
        "{0} is written by a newer Helios (format {1}, this one reads up to {2}); \
         upgrade Helios to open it"
    )]
    FormatTooNew(String, u64, u64),
    #[error("{path}: {reason}")]
    UnsafePath { path: String, reason: String },
    #[error("{0}")]
    Refused(String),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{}: {source}; snapshot {id} is committed, but may not survive a power cut; \
         the next commit tries again to put it on disk", path.display()
    )]
    NotOnDisk { id: Id, path: PathBuf, source: io::Error },
    #[error("L2 store: {0}")]
    Store(String),
    #[error("L2 store: {0}")]
    CorruptStore(String),
    #[error("{}: {reason}; `verify --repair` looks elsewhere for what it held", path.display())]
    CorruptPack { path: PathBuf, reason: String },
    /// Objects are derived from git's, and it is not there.
    #[error("{0}")]
    GitNotFound(String),
    #[error("{0}")]
    GitFailed(String),
    /// What the caller's own code raised while it was called back, such as `KeyboardInterrupt` in
    /// an L2 store that is written in Python. The binding raises it as it was.
    #[error("{0}")]
    Raised(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn io(path: impl AsRef<Path>, source: io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(path.display().to_string()),
            _ => Error::Io { path, source },
        }
    }

    /// Whether stored data is damaged or gone, so that another copy of it may help.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Error::ObjectNotFound { .. }
                | Error::CorruptObject { .. }
                | Error::CorruptStore(_)
                | Error::CorruptPack { .. }
                | Error::Malformed(_)
        )
    }

    pub fn malformed(what: impl Into<String>) -> Error {
        Error::Malformed(what.into())
    }

    /// Names the object in an error that was found while decoding it.
    pub fn in_object(self, id: &Id) -> Error {
        match self {
            Error::Malformed(reason) => Error::CorruptObject { id: *id, reason },
            other => other,
        }
    }

    /// Says of an error of the sync which snapshot was to be synced.
    pub fn after_commit(self, id: Id) -> Error {
        match self {
            Error::Io { path, source } => Error::NotOnDisk { id, path, source },
            other => other,
        }
    }

    /// The Python exception class that carries this error.
    pub fn name(&self) -> &'static str {
        match self {
            Error::InvalidId(_) => "InvalidId",
            Error::InvalidPath { .. } => "InvalidPath",
            Error::InvalidName { .. } => "InvalidName",
            Error::PathNotFound { .. } => "PathNotFound",
            Error::IsADirectory { .. } => "PathIsADirectory",
            Error::NotADirectory { .. } => "PathNotADirectory",
            Error::ObjectNotFound { .. } => "ObjectNotFound",
            Error::Collected { .. } => "Collected",
            Error::Busy(_) => "StoreBusy",
            Error::Outdated => "StoreBusy",
            Error::NotASnapshot { .. } => "UnknownRevision",
            Error::CorruptObject { .. }
            | Error::Malformed(_)
            | Error::CorruptStore(_)
            | Error::CorruptPack { .. } => "CorruptObject",
            Error::CorruptJournal { .. } => "CorruptJournal",
            Error::BranchMoved(_) => "BranchMoved",
            Error::ReadOnly(_) => "ReadOnlyRepository",
            Error::FormatTooNew(..) => "FormatTooNew",
            Error::UnsafePath { .. } => "UnsafePath",
            Error::Refused(_) => "Refused",
            // What was raised has a class of its own.
            Error::Io { .. } | Error::NotOnDisk { .. } | Error::Store(_) | Error::Raised(_) => {
                "StorageError"
            }
            Error::GitNotFound(_) => "GitNotFound",
            Error::GitFailed(_) => "GitFailed",
        }
    }
}
