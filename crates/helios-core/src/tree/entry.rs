//! Entries of a directory: names, kinds, and the rules for paths.

use crate::error::{Error, Result};
use crate::id::Id;

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

impl EntryKind {
    pub fn from_byte(byte: u8) -> Result<EntryKind> {
        match byte {
            1 => Ok(EntryKind::File),
            2 => Ok(EntryKind::Executable),
            3 => Ok(EntryKind::Symlink),
            4 => Ok(EntryKind::Directory),
            5 => Ok(EntryKind::Submodule),
            other => Err(Error::malformed(format!("unknown entry kind {other}"))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            EntryKind::File => "file",
            EntryKind::Executable => "executable",
            EntryKind::Symlink => "symlink",
            EntryKind::Directory => "directory",
            EntryKind::Submodule => "submodule",
        }
    }

    pub fn has_content(self) -> bool {
        matches!(self, EntryKind::File | EntryKind::Executable | EntryKind::Symlink)
    }
}

/// An entry without its name. `size` is the content's bytes, or for a directory the number of
/// entries below it that are not directories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub kind: EntryKind,
    pub id: Id,
    pub size: u64,
}

impl Entry {
    /// How many files this entry stands for.
    pub fn files(&self) -> u64 {
        match self.kind {
            EntryKind::Directory => self.size,
            _ => 1,
        }
    }
}

/// The longest path: more than any file system takes, little enough to bound recursion.
pub const PATH_BYTES_MAX: usize = 16 << 10;

/// Whether bytes may name an entry.
pub fn is_valid_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|b| matches!(b, 0 | b'/'))
}

/// Checks a path from a caller: relative, components separated by single slashes.
pub fn check_path(path: &[u8]) -> Result<()> {
    let reason = if path.is_empty() {
        "it is empty"
    } else if path.len() > PATH_BYTES_MAX {
        "it is longer than 16,384 bytes"
    } else if path[0] == b'/' {
        "it is absolute; paths are relative to the root of the tree"
    } else if !path.split(|byte| *byte == b'/').all(is_valid_name) {
        "a component is empty, `.`, `..` or holds a NUL byte"
    } else {
        return Ok(());
    };
    let mut shown = String::from_utf8_lossy(path).into_owned();
    if let Some((cut, _)) = shown.char_indices().nth(120) {
        shown.truncate(cut);
        shown.push('…');
    }
    Err(Error::InvalidPath { path: shown, reason })
}

/// The first component, and the rest if there is one.
pub fn split_first(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (&path[..at], Some(&path[at + 1..])),
        None => (path, None),
    }
}

/// A path for a message.
pub fn show(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_escape_are_refused() {
        for bad in [&b""[..], b"/etc", b"a//b", b"a/", b"./a", b"a/../b", b"a\0b"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
        assert!(check_path(&b"x".repeat(PATH_BYTES_MAX + 1)).is_err());
        for good in [&b"a"[..], b"a/b.c", b"...", b"\xff\xfe", b"new\nline"] {
            check_path(good).unwrap();
        }
        check_path(&b"x".repeat(10_000)).unwrap();
        check_path(&b"a/".repeat(5000)[..9999]).unwrap();
    }
}
