//! Writing: snapshots that were born in Helios become git commits, in git's canonical form.
//!
//! What the map knows is not visited, so it costs what has changed. Left out is what git has no
//! notion of (empty directories), or takes for a danger (`.git`). A directory of which something
//! was left out cannot be derived again: its row in the map says so.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::map::Map;
use super::oid::{Format, Oid};
use super::pack::{GitKind, PackWriter, Packed};
use super::row::{Role, Row, RowId, SIZE_MAX};
use crate::error::{Error, Result};
use crate::id::{Id, IdMap};
use crate::object::{Kind, Snapshot};
use crate::store::ObjectReader;
use crate::tree::deeper;
use crate::tree::entry::{Entry, EntryKind};
use crate::tree::node::Node;

/// Of what was written, so many bytes are kept as bases of what replaces it.
const BASES_BYTES_MAX: usize = 64 << 20;

/// A tree or blob that git has.
#[derive(Clone, Copy)]
struct Written {
    oid: Oid,
    /// Whether the Helios object is derived from it.
    is_whole: bool,
}

struct Directory {
    entries: Vec<(Vec<u8>, Entry)>,
    /// Its nodes but for the root.
    inner: Vec<Id>,
    files: u64,
}

/// Of a parent that gc has dropped, where history goes on: the parent itself, if it ends there.
/// `None` of one that gc has not dropped.
pub type Dropped<'d> = dyn Fn(&Id) -> Result<Option<Id>> + Sync + 'd;

pub struct Writer<'w> {
    reader: &'w dyn ObjectReader,
    map: &'w Map,
    format: Format,
    pack: PackWriter,
    written: IdMap<Option<Written>>,
    commits: IdMap<Oid>,
    rows: Vec<Row>,
    bases: HashMap<Oid, Packed>,
    bases_bytes: usize,
    directories: IdMap<Arc<Directory>>,
}

impl<'w> Writer<'w> {
    /// Writes into `packs`, the directory `objects/pack` of the view.
    pub fn new(reader: &'w dyn ObjectReader, map: &'w Map, packs: &Path) -> Result<Writer<'w>> {
        let format = map.format();
        Ok(Writer {
            reader,
            map,
            format,
            pack: PackWriter::new(packs, format)?,
            written: IdMap::default(),
            commits: IdMap::default(),
            rows: Vec::new(),
            bases: HashMap::new(),
            bases_bytes: 0,
            directories: IdMap::default(),
        })
    }

    /// Makes everything durable, and known to the map.
    pub fn finish(self) -> Result<()> {
        self.pack.finish()?;
        self.map.add(self.rows)
    }

    /// The commit of a snapshot, written with all that it reaches if git does not have it.
    pub fn commit(&mut self, snapshot: Id, dropped: &Dropped<'_>) -> Result<Oid> {
        // Parents first; with a list of its own, because a history may be a million long.
        let mut waiting = vec![(snapshot, false)];
        while let Some((id, parents_are_done)) = waiting.pop() {
            if self.known_commit(&id)?.is_some() {
                continue;
            }
            let found = self.snapshot(&id)?;
            let parents = self.parents(&found, dropped)?;
            if parents_are_done {
                self.write_commit(id, &found, &parents)?;
                continue;
            }
            waiting.push((id, true));
            waiting.extend(parents.into_iter().rev().map(|parent| (parent, false)));
        }
        self.known_commit(&snapshot)?.ok_or(Error::ObjectNotFound { id: snapshot })
    }

    fn known_commit(&mut self, id: &Id) -> Result<Option<Oid>> {
        if let Some(oid) = self.commits.get(id) {
            return Ok(Some(*oid));
        }
        let rows = self.map.origins(id, false)?;
        let found = rows.iter().find(|row| row.kind == Kind::Snapshot).map(|row| row.oid);
        if let Some(oid) = found {
            self.commits.insert(*id, oid);
        }
        Ok(found)
    }

    fn snapshot(&self, id: &Id) -> Result<Snapshot> {
        let object = self.reader.object(id)?;
        match object.kind {
            Kind::Snapshot => Snapshot::decode(&object.bytes).map_err(|error| error.in_object(id)),
            kind => Err(Error::NotASnapshot { id: *id, found: kind.name() }),
        }
    }

    /// The parents, past those that gc has dropped.
    fn parents(&self, snapshot: &Snapshot, dropped: &Dropped<'_>) -> Result<Vec<Id>> {
        let mut parents = Vec::with_capacity(snapshot.parents.len());
        for parent in &snapshot.parents {
            let is_there = self.commits.contains_key(parent)
                || !self.map.origins(parent, false)?.is_empty()
                || !matches!(self.snapshot(parent), Err(Error::ObjectNotFound { .. }));
            match is_there {
                true => parents.push(*parent),
                // One that nobody knows of is missing, which its own turn will tell.
                false => match dropped(parent)? {
                    None => parents.push(*parent),
                    Some(next) if next != *parent => parents.push(next),
                    Some(_) => {}
                },
            }
        }
        parents.dedup();
        Ok(parents)
    }

    fn write_commit(&mut self, id: Id, snapshot: &Snapshot, parents: &[Id]) -> Result<()> {
        let base = match parents.first() {
            Some(parent) => self.snapshot(parent).ok().map(|parent| parent.tree),
            None => None,
        };
        let tree = match self.tree(snapshot.tree, base)? {
            Some(tree) => tree.oid,
            None => self.add(GitKind::Tree, Vec::new(), None)?,
        };
        let mut bytes = b"tree ".to_vec();
        tree.put_hex(self.format, &mut bytes);
        for parent in parents {
            let parent = self.known_commit(parent)?.ok_or(Error::ObjectNotFound { id: *parent })?;
            bytes.extend_from_slice(b"\nparent ");
            parent.put_hex(self.format, &mut bytes);
        }
        let who = person(&snapshot.author);
        let seconds = snapshot.time_us.div_euclid(1_000_000).max(0);
        for role in ["author", "committer"] {
            bytes.extend_from_slice(format!("\n{role} ").as_bytes());
            bytes.extend_from_slice(&who);
            bytes.extend_from_slice(format!(" {seconds} +0000").as_bytes());
        }
        bytes.extend_from_slice(b"\n\n");
        bytes.extend(snapshot.message.iter().filter(|byte| **byte != 0));
        if !snapshot.message.is_empty() && bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        let oid = self.add(GitKind::Commit, bytes, None)?;
        self.commits.insert(id, oid);
        let kind = Kind::Snapshot;
        self.rows.push(Row {
            oid,
            role: Role::Written,
            kind,
            is_mixed: false,
            size: 0,
            id: RowId::Whole(id),
        });
        Ok(())
    }

    /// What git has for a tree or blob; `None` if it is not known.
    fn known(&mut self, id: &Id, kind: Kind) -> Result<Option<Option<Written>>> {
        if let Some(written) = self.written.get(id) {
            return Ok(Some(*written));
        }
        let rows = self.map.origins(id, false)?;
        let Some(row) = rows.iter().filter(|row| row.kind == kind).min_by_key(|row| row.role)
        else {
            return Ok(None);
        };
        let is_whole = row.role == Role::Derived && !row.is_mixed;
        let written = Some(Written { oid: row.oid, is_whole });
        self.written.insert(*id, written);
        Ok(Some(written))
    }

    fn add(&mut self, kind: GitKind, bytes: Vec<u8>, base: Option<Oid>) -> Result<Oid> {
        let base = base.and_then(|oid| self.bases.get(&oid).cloned());
        let packed = self.pack.add(kind, Arc::from(bytes), base.as_ref())?;
        let oid = packed.oid;
        if kind != GitKind::Commit {
            if self.bases_bytes > BASES_BYTES_MAX {
                self.bases.clear();
                self.bases_bytes = 0;
            }
            self.bases_bytes += packed.bytes.len();
            self.bases.insert(oid, packed);
        }
        Ok(oid)
    }

    /// The git id of what an object replaces, if it was written here.
    fn base_of(&self, replaced: Option<Id>) -> Option<Oid> {
        self.written.get(&replaced?).copied().flatten().map(|written| written.oid)
    }

    fn blob(&mut self, id: Id, replaced: Option<Id>) -> Result<Written> {
        if let Some(Some(written)) = self.known(&id, Kind::Blob)? {
            return Ok(written);
        }
        let object = self.reader.object(&id)?;
        if object.kind != Kind::Blob {
            let reason = format!("it is a {}, not a blob", object.kind.name());
            return Err(Error::CorruptObject { id, reason });
        }
        let size = object.bytes.len() as u64;
        let base = self.base_of(replaced);
        let oid = self.add(GitKind::Blob, object.bytes.to_vec(), base)?;
        let kind = Kind::Blob;
        self.rows.push(Row {
            oid,
            role: Role::Derived,
            kind,
            is_mixed: false,
            size,
            id: RowId::Whole(id),
        });
        let written = Written { oid, is_whole: true };
        self.written.insert(id, Some(written));
        Ok(written)
    }

    /// A directory; `None` if nothing is left of it for git. `replaced` is the directory at this
    /// place before.
    fn tree(&mut self, id: Id, replaced: Option<Id>) -> Result<Option<Written>> {
        if let Some(written) = self.known(&id, Kind::Tree)? {
            return Ok(written);
        }
        let directory = self.directory(id)?;
        let before = match replaced {
            Some(id) if self.written.contains_key(&id) => Some(self.directory(id)?),
            _ => None,
        };
        let mut is_whole = true;
        let mut listed: Vec<(&[u8], &[u8], Oid)> = Vec::with_capacity(directory.entries.len());
        let mut earlier = before.iter().flat_map(|before| before.entries.iter()).peekable();
        for (name, entry) in &directory.entries {
            while earlier.next_if(|(other, _)| other < name).is_some() {}
            let replaced = earlier.next_if(|(other, _)| other == name);
            let replaced = replaced.map(|(_, entry)| entry.id);
            if name.eq_ignore_ascii_case(b".git") {
                is_whole = false;
                continue;
            }
            let written = match entry.kind {
                EntryKind::Directory => deeper(|| self.tree(entry.id, replaced))?,
                EntryKind::Submodule => {
                    let oid = Oid::from_slice(&entry.id.as_bytes()[..self.format.id_bytes()]);
                    let fits = oid.padded() == entry.id.as_bytes() && !oid.is_null();
                    fits.then_some(Written { oid, is_whole: true })
                }
                _ => Some(self.blob(entry.id, replaced)?),
            };
            let Some(written) = written else {
                is_whole = false;
                continue;
            };
            is_whole &= written.is_whole;
            listed.push((mode(entry.kind), name, written.oid));
        }
        if listed.is_empty() {
            self.written.insert(id, None);
            return Ok(None);
        }
        // git sorts a directory as if its name ended in a slash.
        let key = |(mode, name, _): &(&[u8], &[u8], Oid)| {
            let slash = (*mode == mode_of_directories()).then_some(b'/');
            name.iter().copied().chain(slash).collect::<Vec<u8>>()
        };
        if listed.iter().any(|(mode, ..)| *mode == mode_of_directories()) {
            listed.sort_by_cached_key(key);
        }
        let mut bytes = Vec::with_capacity(directory.entries.len() * 48);
        for (mode, name, oid) in listed {
            bytes.extend_from_slice(mode);
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(oid.bytes(self.format));
        }
        let base = self.base_of(replaced);
        let oid = self.add(GitKind::Tree, bytes, base)?;
        self.note_tree(id, oid, is_whole, &directory);
        let written = Some(Written { oid, is_whole });
        self.written.insert(id, written);
        Ok(written)
    }

    fn note_tree(&mut self, id: Id, oid: Oid, is_whole: bool, directory: &Directory) {
        let (kind, is_mixed) = (Kind::Tree, false);
        let role = if is_whole { Role::Derived } else { Role::Written };
        let size = directory.files.min(SIZE_MAX);
        self.rows.push(Row { oid, role, kind, is_mixed, size, id: RowId::Whole(id) });
        if is_whole {
            let role = Role::Inner;
            let inner = directory.inner.iter();
            self.rows.extend(inner.map(|id| Row {
                oid,
                role,
                kind,
                is_mixed,
                size: 0,
                id: RowId::Whole(*id),
            }));
        }
    }

    /// The entries of a directory, of one or of several nodes. Kept for what replaces it.
    fn directory(&mut self, id: Id) -> Result<Arc<Directory>> {
        if let Some(directory) = self.directories.get(&id) {
            return Ok(Arc::clone(directory));
        }
        let root = Node::load(self.reader, &id)?;
        let files = root.files();
        let mut directory = Directory { entries: Vec::new(), inner: Vec::new(), files };
        self.collect(&root, &mut directory)?;
        if self.directories.len() >= DIRECTORIES_MAX {
            self.directories.clear();
        }
        let directory = Arc::new(directory);
        self.directories.insert(id, Arc::clone(&directory));
        Ok(directory)
    }

    fn collect(&self, node: &Node, directory: &mut Directory) -> Result<()> {
        for item in 0..node.len() {
            if node.is_leaf() {
                directory.entries.push((node.name(item).to_vec(), node.entry(item)?));
                continue;
            }
            let id = node.reference(item)?.id;
            directory.inner.push(id);
            self.collect(&Node::load(self.reader, &id)?, directory)?;
        }
        Ok(())
    }
}

/// Directories whose entries are kept.
const DIRECTORIES_MAX: usize = 1024;

fn mode_of_directories() -> &'static [u8] {
    b"40000"
}

fn mode(kind: EntryKind) -> &'static [u8] {
    match kind {
        EntryKind::File => b"100644",
        EntryKind::Executable => b"100755",
        EntryKind::Symlink => b"120000",
        EntryKind::Directory => mode_of_directories(),
        EntryKind::Submodule => b"160000",
    }
}

/// An author as git writes one: `name <address>`, without what would end either of them.
fn person(author: &[u8]) -> Vec<u8> {
    let clean = |bytes: &[u8]| -> Vec<u8> {
        let kept = bytes.iter().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0 | b'<' | b'>'));
        kept.copied().collect::<Vec<u8>>().trim_ascii().to_vec()
    };
    let (name, address) = match author.iter().position(|byte| *byte == b'<') {
        Some(at) => (clean(&author[..at]), clean(&author[at..])),
        // `user@host`, as Helios names who has no name.
        None if author.contains(&b'@') => (clean(author), clean(author)),
        None => (clean(author), Vec::new()),
    };
    let name = if name.is_empty() { b"unknown".to_vec() } else { name };
    [&name[..], b" <", &address, b">"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_written_as_git_takes_it() {
        for (given, wanted) in [
            ("A U Thor <a@b>", "A U Thor <a@b>"),
            ("root@vm", "root@vm <root@vm>"),
            ("agent", "agent <>"),
            ("", "unknown <>"),
            ("<a@b>", "unknown <a@b>"),
            ("evil\nparent x <a\0@b> <c>", "evilparent x <a@b c>"),
        ] {
            assert_eq!(String::from_utf8(person(given.as_bytes())).unwrap(), wanted);
        }
    }
}
