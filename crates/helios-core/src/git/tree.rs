//! Directories: git's tree objects, and the tree nodes that are derived from them.

use super::oid::{Format, Oid};
use super::Known;
use crate::id::Id;
use crate::object::{put_bytes, put_varint, Kind};
use crate::tree::directory::{boundary_level, LEAF_ENTRIES_MAX};
use crate::tree::entry::{is_valid_name, Entry, EntryKind, PATH_BYTES_MAX};

/// An entry as git has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GitEntry<'a> {
    pub kind: EntryKind,
    pub name: &'a [u8],
    pub oid: Oid,
}

/// The entries of a tree object, as far as they can be read: git itself reads no further.
pub fn entries(bytes: &[u8], format: Format) -> impl Iterator<Item = GitEntry<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let end = space + 1 + rest[space + 1..].iter().position(|byte| *byte == 0)?;
        let oid = rest.get(end + 1..end + 1 + format.id_bytes())?;
        let mut mode = 0u32;
        for digit in &rest[..space] {
            if !(b'0'..=b'7').contains(digit) {
                return None;
            }
            mode = mode << 3 | u32::from(digit - b'0');
        }
        let name = &rest[space + 1..end];
        let oid = Oid::from_slice(oid);
        rest = &rest[end + 1 + format.id_bytes()..];
        Some(GitEntry { kind: kind_of(mode), name, oid })
    })
}

/// As git takes a mode, also one that it would not write.
fn kind_of(mode: u32) -> EntryKind {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o100 != 0 => EntryKind::Executable,
        0o100_000 => EntryKind::File,
        0o120_000 => EntryKind::Symlink,
        0o040_000 => EntryKind::Directory,
        _ => EntryKind::Submodule,
    }
}

/// What an entry refers to must be of this kind; nothing is asked of a submodule.
pub fn wants(kind: EntryKind) -> Option<Kind> {
    match kind {
        EntryKind::Directory => Some(Kind::Tree),
        EntryKind::Submodule => None,
        _ => Some(Kind::Blob),
    }
}

fn is_kept(name: &[u8]) -> bool {
    is_valid_name(name) && name != b".git" && name.len() <= PATH_BYTES_MAX
}

/// A node that was derived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Derived {
    pub id: Id,
    pub bytes: Vec<u8>,
    count: u64,
    files: u64,
}

/// The nodes of a directory, the root last, and the files in and below it. `known` gives Helios id
/// and size of what an entry refers to; what it does not know is left out.
pub fn derive(bytes: &[u8], format: Format, known: &mut Known<'_>) -> (Vec<Derived>, u64) {
    let mut found: Vec<(&[u8], Entry)> = Vec::with_capacity(bytes.len() / 32);
    let mut is_sorted = true;
    for entry in entries(bytes, format) {
        let resolved = match wants(entry.kind) {
            _ if !is_kept(entry.name) => continue,
            None if entry.oid.is_null() => continue,
            None => (Id::from_bytes(*entry.oid.padded()), 0),
            Some(kind) => match known(&entry.oid, kind) {
                Some(resolved) => resolved,
                None => continue,
            },
        };
        is_sorted &= found.last().is_none_or(|(last, _)| *last < entry.name);
        let (id, size) = resolved;
        found.push((entry.name, Entry { kind: entry.kind, id, size }));
    }
    if !is_sorted {
        // Of several entries of one name the first counts: the sort keeps their order.
        found.sort_by(|left, right| left.0.cmp(right.0));
        found.dedup_by(|later, first| later.0 == first.0);
    }
    build(&found)
}

/// Cuts a directory into nodes: docs/FORMAT.md, Shape.
fn build(entries: &[(&[u8], Entry)]) -> (Vec<Derived>, u64) {
    let mut done = Vec::with_capacity(1);
    let is_large = entries.len() as u64 > LEAF_ENTRIES_MAX;
    let levels: Vec<u32> = match is_large {
        true => entries.iter().map(|(name, _)| boundary_level(name)).collect(),
        false => Vec::new(),
    };
    // Of each node of the level that was built last: where its first name is, and the node.
    let mut nodes: Vec<(usize, Derived)> = Vec::new();
    let mut from = 0;
    while from < entries.len() || nodes.is_empty() {
        let boundary = (from + 1..entries.len()).find(|at| is_large && levels[*at] > 0);
        let to = boundary.unwrap_or(entries.len());
        nodes.push((from, leaf(&entries[from..to])));
        from = to;
    }
    let mut level = 0u8;
    while nodes.len() > 1 {
        level += 1;
        let mut above = Vec::new();
        let mut from = 0;
        while from < nodes.len() {
            let ends = |at: &usize| levels[nodes[*at].0] > u32::from(level);
            let to = (from + 1..nodes.len()).find(ends).unwrap_or(nodes.len());
            above.push((nodes[from].0, inner(level, &nodes[from..to], entries)));
            from = to;
        }
        done.extend(nodes.drain(..).map(|(_, node)| node));
        nodes = above;
    }
    done.extend(nodes.into_iter().map(|(_, node)| node));
    let files = done.last().map_or(0, |root| root.files);
    (done, files)
}

fn leaf(entries: &[(&[u8], Entry)]) -> Derived {
    let names: usize = entries.iter().map(|(name, _)| name.len()).sum();
    let mut bytes = Vec::with_capacity(1 + entries.len() * 40 + names);
    bytes.push(0);
    let mut files = 0;
    for (name, entry) in entries {
        bytes.push(entry.kind as u8);
        put_bytes(&mut bytes, name);
        bytes.extend_from_slice(entry.id.as_bytes());
        put_varint(&mut bytes, entry.size);
        files += entry.files();
    }
    Derived { id: Id::of_tree_node(&bytes), bytes, count: entries.len() as u64, files }
}

fn inner(level: u8, children: &[(usize, Derived)], entries: &[(&[u8], Entry)]) -> Derived {
    let mut bytes = vec![level];
    let (mut count, mut files) = (0, 0);
    for (first, child) in children {
        put_bytes(&mut bytes, entries[*first].0);
        bytes.extend_from_slice(child.id.as_bytes());
        put_varint(&mut bytes, child.count);
        put_varint(&mut bytes, child.files);
        count += child.count;
        files += child.files;
    }
    Derived { id: Id::of_tree_node(&bytes), bytes, count, files }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Kid, Tree};
    use proptest::prelude::*;

    struct Nowhere;

    impl crate::store::ObjectReader for Nowhere {
        fn object(&self, id: &Id) -> crate::error::Result<crate::store::Object> {
            Err(crate::error::Error::ObjectNotFound { id: *id })
        }
        fn nearby(&self, _id: &Id) -> Option<crate::store::Object> {
            None
        }
    }

    struct Sealed;

    impl crate::tree::node::Sink for Sealed {
        fn directory(&mut self, _entries: u64) {}
        fn blob(
            &mut self,
            _id: Id,
            _bytes: &std::sync::Arc<[u8]>,
            _replaces: Option<Id>,
        ) -> crate::error::Result<u8> {
            Ok(0)
        }
        fn node(
            &mut self,
            _id: Id,
            _bytes: &[u8],
            _replaced: Option<&crate::tree::node::Replaced>,
        ) -> crate::error::Result<u8> {
            Ok(0)
        }
    }

    fn git_tree(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (mode, name) in entries {
            bytes.extend_from_slice(mode);
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(&[7; 20]);
        }
        bytes
    }

    fn derived(bytes: &[u8]) -> Derived {
        let mut known = |oid: &Oid, _: Kind| Some((Id::of_blob(oid.padded()), 3));
        derive(bytes, Format::Sha1, &mut known).0.pop().unwrap()
    }

    #[test]
    fn what_helios_has_no_notion_of_is_left_out() {
        let odd: &[(&[u8], &[u8])] = &[
            (b"100644", b"."),
            (b"40000", b".."),
            (b"100644", b".git"),
            (b"100644", b""),
            (b"100644", b"a/b"),
            (b"100644", b"b"),
            (b"100755", b"b"),
            (b"0100664", b"a"),
        ];
        let plain: &[(&[u8], &[u8])] = &[(b"100644", b"a"), (b"100644", b"b")];
        assert_eq!(derived(&git_tree(odd)), derived(&git_tree(plain)));
    }

    proptest! {
        #[test]
        fn the_shape_is_that_of_a_tree_edited_in_memory(
            names in proptest::collection::btree_set("[a-z]{1,4}", 0..1500)
        ) {
            let listed: Vec<(&[u8], &[u8])> =
                names.iter().map(|name| (&b"100644"[..], name.as_bytes())).collect();
            let root = derived(&git_tree(&listed));
            let mut tree = Tree::default();
            let mut oid = [0; 32];
            oid[..20].copy_from_slice(&[7; 20]);
            let entry = Entry { kind: EntryKind::File, id: Id::of_blob(&oid), size: 3 };
            for name in &names {
                tree.set(name.as_bytes(), &entry, Kid::clean(), &Nowhere).unwrap();
            }
            let sealed = crate::tree::node::seal(tree.root_mut(), &mut Sealed).unwrap();
            prop_assert_eq!(root.id, sealed);
            prop_assert_eq!(root.files, names.len() as u64);
        }

        #[test]
        fn garbage_is_a_directory_too(bytes: Vec<u8>) {
            derived(&bytes);
        }
    }
}
