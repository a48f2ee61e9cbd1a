//! Commits: git's commit objects, and the snapshots that are derived from them.

use std::collections::BTreeMap;

use super::oid::{Format, Oid};
use super::Known;
use crate::object::{Kind, Snapshot};

/// In a snapshot's metadata: the commit that it is derived from, so that no two commits share one.
pub const COMMIT_KEY: &[u8] = b"git-commit";

/// What a commit refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Links {
    pub tree: Oid,
    pub parents: Vec<Oid>,
}

/// The tree and the parents of a commit, as git reads them: from its first lines, and no others.
/// `None` if it has no tree; git does not take that for a commit.
pub fn links(bytes: &[u8], format: Format) -> Option<Links> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let tree = Oid::from_hex(lines.next()?.strip_prefix(b"tree ")?, format)?;
    let parent = |line: &[u8]| Oid::from_hex(line.strip_prefix(b"parent ")?, format);
    let parents = lines.map_while(parent).collect();
    Some(Links { tree, parents })
}

/// The snapshot of a commit. `known` gives the Helios ids of its tree and parents; a parent that it
/// does not know is left out. `None` without a tree.
pub fn derive(bytes: &[u8], oid: &Oid, format: Format, known: &mut Known<'_>) -> Option<Snapshot> {
    let links = links(bytes, format)?;
    let tree = known(&links.tree, Kind::Tree);
    // All are asked for, also without a tree: the caller takes note of what is not known.
    let parents = links.parents.iter().filter_map(|parent| known(parent, Kind::Snapshot));
    let parents = parents.map(|(id, _)| id).collect();
    let (tree, _) = tree?;
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (headers, message) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &b""[..]),
    };
    let header =
        |name: &[u8]| headers.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name));
    let author = header(b"author ").map_or(&b""[..], person);
    let time_us = header(b"committer ").map_or(0, time_us);
    let mut digits = Vec::with_capacity(2 * format.id_bytes());
    oid.put_hex(format, &mut digits);
    Some(Snapshot {
        tree,
        parents,
        time_us,
        author: author.to_vec(),
        message: message.to_vec(),
        metadata: BTreeMap::from([(COMMIT_KEY.to_vec(), digits)]),
    })
}

/// The name and address of a line that also has a date.
fn person(line: &[u8]) -> &[u8] {
    match line.iter().rposition(|byte| *byte == b'>') {
        Some(end) => &line[..=end],
        None => line,
    }
}

/// The time in a line behind name and address; 0 where git would not find one either.
fn time_us(line: &[u8]) -> i64 {
    let behind = line.iter().rposition(|byte| *byte == b'>').map_or(0, |end| end + 1);
    let digits = line[behind..].trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let seconds = std::str::from_utf8(&digits[..end]).ok().and_then(|text| text.parse().ok());
    seconds.and_then(|seconds: i64| seconds.checked_mul(1_000_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use proptest::prelude::*;

    const TREE: &str = "0123456789012345678901234567890123456789";

    fn snapshot(rest: &str) -> Snapshot {
        let bytes = format!("tree {TREE}\n{rest}");
        let oid = Oid::from_slice(&[1; 20]);
        let mut known = |_: &Oid, _: Kind| Some((Id::of_tree_node(b"\0"), 0));
        derive(bytes.as_bytes(), &oid, Format::Sha1, &mut known).unwrap()
    }

    #[test]
    fn a_commit_is_read_as_git_reads_it() {
        let text = format!(
            "tree {TREE}\nparent {0}\nauthor A <a@b> 1 +0000\nparent {1}\n\nparent {1}\n",
            "AB".repeat(20),
            "cd".repeat(20),
        );
        let links = links(text.as_bytes(), Format::Sha1).unwrap();
        assert_eq!(links.parents, [Oid::from_slice(&[0xab; 20])]);
        let made = snapshot("author A <a@b> 1 +0000\ncommitter C <c@d> 2 +0100\n\nsubject\n\nbody");
        assert_eq!(made.author, b"A <a@b>");
        assert_eq!(made.time_us, 2_000_000);
        assert_eq!(made.message, b"subject\n\nbody");
        assert_eq!(made.metadata[COMMIT_KEY], "01".repeat(20).as_bytes());
    }

    #[test]
    fn a_malformed_commit_still_is_a_snapshot() {
        for (line, time) in [
            ("committer A <a@b> yesterday +0000", 0),
            ("committer A <a@b>17 +0000", 17_000_000),
            ("committer A <a@b> -5 +0000", 0),
            ("committer A <a@b> 99999999999999999999 +0000", 0),
            ("committer A <a@b> 9223372036854775807 +0000", 0),
            ("committer", 0),
            ("", 0),
        ] {
            let made = snapshot(line);
            assert_eq!((made.time_us, made.author.as_slice()), (time, &b""[..]), "{line}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_panic(bytes: Vec<u8>) {
            links(&bytes, Format::Sha1);
            let oid = Oid::from_slice(&[1; 20]);
            derive(&bytes, &oid, Format::Sha1, &mut |_, _| Some((Id::of_blob(b""), 0)));
        }
    }
}
