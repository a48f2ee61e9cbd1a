//! Which paths may be written under a root, and which names no tree may hold on disk.
//!
//! The rules are those of git's `verify_path`, on every platform, so that a tree that is harmless
//! here is harmless on a case-insensitive disk too.

use crate::error::{Error, Result};

/// Names that belong to version control, never to a tree.
const RESERVED: [&[u8]; 2] = [b".git", b".helios"];
/// Their short names on NTFS.
const RESERVED_SHORT: [&[u8]; 2] = [b"git~1", b"helios~1"];

/// How the temporaries of `Disk` are called. A scan passes over them.
pub const TEMPORARY_PREFIX: &[u8] = b".helios-tmp-";

/// A path for an error message.
pub fn display(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Whether a scan passes over an entry of this name without a word.
pub fn is_private(name: &[u8]) -> bool {
    RESERVED.contains(&name) || name.starts_with(TEMPORARY_PREFIX)
}

/// Whether some file system could take this name for `.git` or `.helios`: other case, trailing dots
/// and spaces or a stream (`.git::$INDEX_ALLOCATION`) on NTFS, invisible code points on HFS+.
pub fn is_reserved(name: &[u8]) -> bool {
    // Every spelling starts with a dot, an `h` or `g` of a short name, or an invisible code point.
    if !matches!(name.first(), Some(b'.' | b'g' | b'G' | b'h' | b'H' | 0xe2 | 0xef)) {
        return false;
    }
    let visible = without_invisible(name);
    RESERVED.iter().any(|reserved| visible.eq_ignore_ascii_case(reserved))
        || RESERVED.iter().chain(&RESERVED_SHORT).any(|reserved| is_same_on_ntfs(name, reserved))
}

fn is_same_on_ntfs(name: &[u8], reserved: &[u8]) -> bool {
    let Some((start, rest)) = name.split_at_checked(reserved.len()) else { return false };
    let ending = rest.iter().find(|byte| !matches!(byte, b' ' | b'.'));
    start.eq_ignore_ascii_case(reserved) && matches!(ending, None | Some(b':' | b'\\'))
}

/// Leaves out the code points that HFS+ ignores in names.
fn without_invisible(name: &[u8]) -> Vec<u8> {
    let mut visible = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match rest {
            [0xe2, 0x80, 0x8c..=0x8f | 0xaa..=0xae, tail @ ..]
            | [0xe2, 0x81, 0xaa..=0xaf, tail @ ..]
            | [0xef, 0xbb, 0xbf, tail @ ..] => tail,
            _ => {
                visible.push(byte);
                tail
            }
        };
    }
    visible
}

/// Refuses a path that could name anything but an entry of a tree under the root.
pub fn check(path: &[u8]) -> Result<()> {
    let reason = path.split(|byte| *byte == b'/').find_map(|name| match name {
        b"" => Some("a path component is empty"),
        b"." | b".." => Some("'.' and '..' are not names"),
        _ if name.contains(&0) => Some("a name holds a NUL byte"),
        _ if cfg!(windows) && name.iter().any(|byte| matches!(byte, b'\\' | b':')) => {
            Some("a name holds '\\' or ':'")
        }
        _ if is_reserved(name) => Some("the name stands for .git or .helios"),
        _ => None,
    });
    match reason {
        Some(reason) => Err(refusal(path, reason)),
        None => Ok(()),
    }
}

pub fn refusal(path: &[u8], reason: &str) -> Error {
    Error::UnsafePath { path: display(path), reason: reason.to_owned() }
}

/// The directory that holds the path; empty for the root.
pub fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(b"", |slash| &path[..slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for path in [
            "a",
            "a/b.c",
            "..a",
            "...",
            ".gitignore",
            "git",
            ".heliosignore",
            "héé",
            "a\nb",
            "git~2",
        ] {
            assert!(check(path.as_bytes()).is_ok(), "{path}");
        }
        assert!(check(b"\xff\xfe").is_ok());
    }

    #[test]
    fn hostile_paths_are_refused() {
        for path in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/.",
            "a\0b",
            ".git",
            ".git/config",
            "a/.git/hooks/x",
            ".GIT",
            ".gIt/x",
            ".git.",
            ".git ",
            ".git . .",
            "git~1",
            "GIT~1/x",
            ".git::$INDEX_ALLOCATION/x",
            ".git\\x",
            ".helios",
            "a/.HELIOS/x",
            ".helios.",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{206a}t/x",
        ] {
            let refused = check(path.as_bytes());
            assert!(matches!(refused, Err(Error::UnsafePath { .. })), "{path:?}");
        }
    }
}
