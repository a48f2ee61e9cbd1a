//! One entry of the index, and its bytes.

use crate::id::{Id, ID_LEN};
use crate::platform::Stat;
use crate::tree::EntryKind;

/// Bytes of a record before its path.
pub const FIXED_LEN: usize = 38 + ID_LEN;

/// The kind of a record that says that the path is gone.
const REMOVED: u8 = 0;
const FLAG_RACY: u8 = 1;
const FLAG_EXECUTABLE: u8 = 2;
const FLAG_LINKED: u8 = 4;

/// File systems stamp times from a clock that advances in ticks, of 10 ms at most on Linux.
pub const CLOCK_TICK_NS: i64 = 20_000_000;

/// What is known about one path: with this stat data it had the content of this id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    pub kind: EntryKind,
    pub stat: Stat,
    /// `Id::UNSEALED` for a directory.
    pub id: Id,
    /// The same stat data later does not prove the same content: the entry must be read again.
    pub racy: bool,
}

impl Known {
    /// `started_ns` is when the scan that saw `stat` began. A file that changed no earlier than a
    /// clock tick before may change again without a new time stamp, so it is racy. So is every file
    /// that Helios has just written, unless it is looked at again later.
    pub fn new(kind: EntryKind, stat: Stat, id: Id, started_ns: i64) -> Known {
        let racy = kind != EntryKind::Directory
            && stat.mtime_ns.max(stat.ctime_ns) >= started_ns.saturating_sub(CLOCK_TICK_NS);
        Known { kind, stat, id, racy }
    }
}

impl Known {
    /// Whether it must be looked at also where nothing was reported of it: it is racy, or may have
    /// been changed by a name that lies elsewhere.
    pub fn is_doubtful(&self) -> bool {
        self.racy || self.stat.linked
    }
}

/// Appends a record; nothing known means that the path is gone.
pub fn encode(out: &mut Vec<u8>, path: &[u8], known: Option<&Known>) {
    // No system has paths of 4 GiB.
    out.extend_from_slice(&(path.len() as u32).to_le_bytes());
    match known {
        None => out.extend_from_slice(&[REMOVED; FIXED_LEN - 4]),
        Some(known) => {
            let executable = if known.stat.executable { FLAG_EXECUTABLE } else { 0 };
            let racy = if known.racy { FLAG_RACY } else { 0 };
            let linked = if known.stat.linked { FLAG_LINKED } else { 0 };
            out.extend_from_slice(&[known.kind as u8, executable | racy | linked]);
            out.extend_from_slice(&known.stat.size.to_le_bytes());
            out.extend_from_slice(&known.stat.mtime_ns.to_le_bytes());
            out.extend_from_slice(&known.stat.ctime_ns.to_le_bytes());
            out.extend_from_slice(&known.stat.inode.to_le_bytes());
            out.extend_from_slice(known.id.as_bytes());
        }
    }
    out.extend_from_slice(path);
}

/// The bytes of one whole record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    fixed: &'a [u8; FIXED_LEN],
    pub path: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes the record off the front of `bytes`; none if they hold no valid one.
    pub fn split_first(bytes: &'a [u8]) -> Option<(Record<'a>, &'a [u8])> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_LEN>()?;
        let path_len = u32::from_le_bytes(array(fixed, 0));
        let (path, rest) = rest.split_at_checked(usize::try_from(path_len).ok()?)?;
        let record = Record { fixed, path };
        (record.is_removal() || record.kind().is_some()).then_some((record, rest))
    }

    pub fn is_removal(&self) -> bool {
        self.fixed[4] == REMOVED
    }

    fn has(&self, flag: u8) -> bool {
        self.fixed[5] & flag != 0
    }

    /// Whether no watch can vouch for it: see `Known::is_doubtful`.
    pub fn is_doubtful(&self) -> bool {
        self.has(FLAG_RACY | FLAG_LINKED)
    }

    fn kind(&self) -> Option<EntryKind> {
        [
            EntryKind::File,
            EntryKind::Executable,
            EntryKind::Symlink,
            EntryKind::Directory,
            EntryKind::Submodule,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == self.fixed[4])
    }

    /// What the record says; none for a removal.
    pub fn known(&self) -> Option<Known> {
        Some(Known {
            kind: self.kind()?,
            stat: Stat {
                size: u64::from_le_bytes(array(self.fixed, 6)),
                mtime_ns: i64::from_le_bytes(array(self.fixed, 14)),
                ctime_ns: i64::from_le_bytes(array(self.fixed, 22)),
                inode: u64::from_le_bytes(array(self.fixed, 30)),
                executable: self.has(FLAG_EXECUTABLE),
                linked: self.has(FLAG_LINKED),
            },
            id: Id::from_bytes(array(self.fixed, 38)),
            racy: self.has(FLAG_RACY),
        })
    }
}

fn array<const N: usize>(fixed: &[u8; FIXED_LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|offset| fixed[at + offset])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_as_young_as_the_scan_is_racy() {
        let at = |mtime_ns, ctime_ns| {
            let stat = Stat { mtime_ns, ctime_ns, ..Stat::default() };
            Known::new(EntryKind::File, stat, Id::UNSEALED, 1_000_000_000).racy
        };
        assert!(!at(900_000_000, 979_999_999));
        assert!(at(980_000_000, 0));
        assert!(at(0, 980_000_000));
        assert!(at(2_000_000_000, 0));
    }
}
