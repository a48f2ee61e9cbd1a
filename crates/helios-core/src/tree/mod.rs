//! Directory trees: Merkle nodes with history-independent splitting.

/// What an entry of a directory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntryKind {
    File = 1,
    Executable = 2,
    Symlink = 3,
    Directory = 4,
    /// A git submodule: the id holds a git commit id, zero-padded, and names no object here.
    Submodule = 5,
}
