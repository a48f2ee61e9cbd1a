//! Ingesting: takes in what `git cat-file --batch` prints, and derives it.
//!
//! Objects may come in any order. A tree or a commit waits, with its bytes, until all that it
//! refers to is known; the caller asks for blobs first, and for trees and commits oldest first, so
//! few wait. What is never met is missing: at the end it is left out of what refers to it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::map::{files, Map, OidSet};
use super::oid::{Format, Oid};
use super::pack::GitKind;
use super::pack_index::PackIndex;
use super::row::{Role, Row, RowId, SIZE_MAX};
use super::{commit, tree};
use crate::error::{Error, Result};
use crate::id::{Id, IdBuildHasher, IdSet};
use crate::object::Kind;

/// Git ids are as random as ids of Helios.
type OidMap<V> = HashMap<Oid, V, IdBuildHasher>;

#[derive(Clone, Copy)]
struct Found {
    kind: Kind,
    size: u64,
    id: Id,
    /// Whether it is, or leads to, what only Helios has.
    is_mixed: bool,
    /// How many objects have to be read for its id if its row has the beginning alone; 0 if the
    /// row is to have it whole.
    cost: u16,
}

/// A blob of more bytes has its id whole: to derive it is work.
const SHORT_BLOB_BYTES_MAX: u64 = 4096;
/// A tree of which the id is derived from more reads has it whole, and a commit always: a history
/// is read from one to the next.
const TREE_COST_MAX: u16 = 16;
/// What a tree names costs at most so many reads.
const ENTRIES_COST_MAX: u32 = 64;

impl Found {
    /// `None` if the row's id is not whole.
    fn of(row: &Row) -> Option<Found> {
        let is_mixed = row.is_mixed || row.role == Role::Written;
        let (kind, size, id) = (row.kind, row.size, row.id.whole()?);
        Some(Found { kind, size, id, is_mixed, cost: 0 })
    }

    fn row(&self, oid: Oid) -> Row {
        let Found { kind, size, id, is_mixed, .. } = *self;
        Row { oid, role: Role::Derived, kind, is_mixed, size, id: RowId::Whole(id) }
    }

    fn may_be_short(&self) -> bool {
        self.cost > 0 && !self.is_mixed
    }
}

/// What an object was derived to.
#[derive(Default)]
struct Made {
    found: Option<Found>,
    inner: Vec<Row>,
    /// Of what it names: what has to have its id whole.
    whole: Vec<Oid>,
}

/// A tree or a commit that waits for something to come.
struct Waiting {
    oid: Oid,
    kind: Kind,
    bytes: Vec<u8>,
    missing: usize,
}

/// What the stream is at.
enum State {
    Header,
    /// A blob is hashed as it comes; other objects are kept, and tags are passed over.
    Blob {
        oid: Oid,
        size: u64,
        left: u64,
        hasher: Box<blake3::Hasher>,
    },
    Object {
        oid: Oid,
        kind: Kind,
        left: usize,
        bytes: Vec<u8>,
    },
    Skipped {
        left: u64,
    },
    /// The newline behind an object.
    End,
}

pub struct Ingest {
    map: Arc<Map>,
    format: Format,
    /// Further nodes of large directories, each once.
    inner: Vec<Row>,
    inner_ids: IdSet,
    found: OidMap<Found>,
    /// Objects that are not in the map yet, by what git says they are, in the order they came.
    listed: [Vec<Oid>; 3],
    waiting: Vec<Option<Waiting>>,
    waits_for: OidMap<Vec<usize>>,
    state: State,
    line: Vec<u8>,
}

impl Ingest {
    pub fn new(map: Arc<Map>) -> Ingest {
        let format = map.format();
        Ingest {
            map,
            format,
            inner: Vec::new(),
            inner_ids: IdSet::default(),
            found: OidMap::default(),
            listed: Default::default(),
            waiting: Vec::new(),
            waits_for: OidMap::default(),
            state: State::Header,
            line: Vec::new(),
        }
    }

    fn known(&self, oid: &Oid) -> Result<Option<Found>> {
        if let Some(found) = self.found.get(oid) {
            return Ok(Some(*found));
        }
        Ok(self.map.find(oid)?.and_then(|row| Found::of(&row)))
    }

    /// Objects that were derived so far.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Takes in lines `<id> <type>` of whole objects that there are, as `cat-file --batch-check`
    /// prints them, and notes which are not in the map.
    pub fn list(&mut self, lines: &[u8]) -> Result<()> {
        for line in lines.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b' ');
            let (Some(digits), Some(name)) = (fields.next(), fields.next()) else {
                continue;
            };
            let (Some(kind), Some(oid)) = (kind_named(name), Oid::from_hex(digits, self.format))
            else {
                continue;
            };
            if self.map.find(&oid)?.is_none() {
                self.listed[kind as usize - 1].push(oid);
            }
        }
        Ok(())
    }

    /// As `list`, of all that packs hold; false, and nothing is noted, if that is not all that git
    /// has, or cannot be told from the packs' heads. `objects` is the directory.
    pub fn list_packs(&mut self, objects: &Path) -> Result<bool> {
        if objects.join("info").join("alternates").exists() {
            return Ok(false);
        }
        for path in files(objects)? {
            // Objects that are in no pack are in directories of two digits.
            if path.file_name().is_some_and(|name| name.len() == 2) {
                return Ok(false);
            }
        }
        let mut packs = Vec::new();
        for path in files(&objects.join("pack"))? {
            if path.extension().is_some_and(|suffix| suffix == "idx") {
                match PackIndex::open(&path, self.format).and_then(|index| index.listed()) {
                    Ok(Some(listed)) => packs.push(listed),
                    // git knows what to say of it.
                    _ => return Ok(false),
                }
            }
        }
        for (oid, kind) in packs.into_iter().flatten() {
            if self.map.find(&oid)?.is_none() {
                let kind = match kind {
                    GitKind::Blob => Kind::Blob,
                    GitKind::Tree => Kind::Tree,
                    GitKind::Commit => Kind::Snapshot,
                };
                self.listed[kind as usize - 1].push(oid);
            }
        }
        self.found.reserve(self.listed.iter().map(Vec::len).sum());
        Ok(true)
    }

    /// What was listed and is of this kind, as lines for `cat-file`; the last first if `reversed`.
    pub fn wanted(&mut self, kind: Kind, reversed: bool) -> Vec<u8> {
        let mut listed = std::mem::take(&mut self.listed[kind as usize - 1]);
        if reversed {
            listed.reverse();
        }
        let mut lines = Vec::with_capacity(listed.len() * (2 * self.format.id_bytes() + 1));
        for oid in listed {
            oid.put_hex(self.format, &mut lines);
            lines.push(b'\n');
        }
        lines
    }

    /// Takes in a piece of what `cat-file --batch` prints.
    pub fn feed(&mut self, piece: &[u8]) -> Result<()> {
        let mut rest = piece;
        while !rest.is_empty() {
            match &mut self.state {
                State::Header => {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        self.line.extend_from_slice(rest);
                        return Ok(());
                    };
                    self.line.extend_from_slice(&rest[..end]);
                    rest = &rest[end + 1..];
                    let line = std::mem::take(&mut self.line);
                    self.state = self.begin(&line)?;
                }
                State::Blob { left, hasher, .. } => {
                    let len = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    hasher.update(&rest[..len]);
                    *left -= len as u64;
                    rest = &rest[len..];
                }
                State::Object { left, bytes, .. } => {
                    let len = rest.len().min(*left);
                    bytes.extend_from_slice(&rest[..len]);
                    *left -= len;
                    rest = &rest[len..];
                }
                State::Skipped { left } => {
                    let len = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= len as u64;
                    rest = &rest[len..];
                }
                State::End => {
                    rest = &rest[1..];
                    self.state = State::Header;
                }
            }
            self.complete()?;
        }
        Ok(())
    }

    /// What a header line announces: `<id> <type> <size>`, or `<id> missing`.
    fn begin(&self, line: &[u8]) -> Result<State> {
        let strange = || Error::malformed("`git cat-file` printed a line that it should not");
        let mut fields = line.split(|byte| *byte == b' ');
        let digits = fields.next().ok_or_else(strange)?;
        let name = fields.next().ok_or_else(strange)?;
        let Some(size) = fields.next() else {
            return Ok(State::Header);
        };
        let size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
        let size: u64 = size.ok_or_else(strange)?;
        let oid = Oid::from_hex(digits, self.format).ok_or_else(strange)?;
        Ok(match kind_named(name) {
            Some(Kind::Blob) => State::Blob { oid, size, left: size, hasher: Box::default() },
            Some(kind) => {
                let left = usize::try_from(size).map_err(|_| strange())?;
                State::Object { oid, kind, left, bytes: Vec::with_capacity(left.min(1 << 24)) }
            }
            None => State::Skipped { left: size },
        })
    }

    /// Takes in the object that has come to its end, if it has.
    fn complete(&mut self) -> Result<()> {
        let is_whole = match &self.state {
            State::Blob { left, .. } | State::Skipped { left } => *left == 0,
            State::Object { left, .. } => *left == 0,
            State::Header | State::End => false,
        };
        if !is_whole {
            return Ok(());
        }
        match std::mem::replace(&mut self.state, State::End) {
            State::Blob { oid, size, hasher, .. } if size <= SIZE_MAX => {
                let (kind, id) = (Kind::Blob, Id::from_bytes(*hasher.finalize().as_bytes()));
                let cost = u16::from(size <= SHORT_BLOB_BYTES_MAX);
                self.settle(oid, Some(Found { kind, size, id, is_mixed: false, cost }))
            }
            State::Object { oid, kind, bytes, .. } => self.take(oid, kind, bytes),
            _ => Ok(()),
        }
    }

    fn take(&mut self, oid: Oid, kind: Kind, bytes: Vec<u8>) -> Result<()> {
        let (made, mut missing) = self.derive(oid, kind, &bytes)?;
        if missing.is_empty() {
            let found = self.note(made);
            return self.settle(oid, found);
        }
        missing.sort_unstable();
        missing.dedup();
        let at = self.waiting.len();
        self.waiting.push(Some(Waiting { oid, kind, bytes, missing: missing.len() }));
        for need in missing {
            self.waits_for.entry(need).or_default().push(at);
        }
        Ok(())
    }

    /// Derives an object from what is known by now, and says what it refers to that is not.
    fn derive(&self, oid: Oid, kind: Kind, bytes: &[u8]) -> Result<(Made, Vec<Oid>)> {
        let mut is_mixed = false;
        let mut failed = None;
        let mut missing = Vec::new();
        let mut named: Vec<(u16, Oid)> = Vec::new();
        let mut made = Made::default();
        let mut known = |oid: &Oid, wanted: Kind| match self.known(oid) {
            Ok(Some(found)) => {
                is_mixed |= found.is_mixed;
                if found.cost > 0 {
                    named.push((found.cost, *oid));
                }
                (found.kind == wanted).then_some((found.id, found.size))
            }
            Ok(None) => {
                missing.push(*oid);
                None
            }
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        let mut nodes = Vec::new();
        let (mut id, mut size, mut cost_max) = (None, 0, 0);
        if kind == Kind::Tree {
            let (derived, files) = tree::derive(bytes, self.format, &mut known);
            (nodes, size, cost_max) = (derived, files.min(SIZE_MAX), TREE_COST_MAX);
            id = nodes.pop().map(|root| root.id);
        } else if let Some(snapshot) = commit::derive(bytes, &oid, self.format, &mut known) {
            let mut canonical = Vec::with_capacity(256);
            snapshot.encode(&mut canonical);
            id = Some(Id::of_snapshot(&canonical));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let mut cost = named.iter().map(|(cost, _)| u32::from(*cost)).sum::<u32>();
        if kind == Kind::Tree && cost > ENTRIES_COST_MAX {
            // The dearest first: the fewest ids are stored.
            named.sort_unstable();
            while cost > ENTRIES_COST_MAX {
                let Some((dearest, oid)) = named.pop() else { break };
                cost -= u32::from(dearest);
                made.whole.push(oid);
            }
        }
        let cost = u16::try_from(cost + 1).ok().filter(|cost| *cost <= cost_max).unwrap_or(0);
        made.found = id.map(|id| Found { kind, size, id, is_mixed, cost });
        let role = Role::Inner;
        made.inner.extend(nodes.into_iter().map(|node| {
            let id = RowId::Whole(node.id);
            Row { oid, role, kind, is_mixed, size: 0, id }
        }));
        Ok((made, missing))
    }

    /// Takes note of what comes with a derived object, and gives that itself.
    fn note(&mut self, made: Made) -> Option<Found> {
        for row in made.inner {
            // Directories that are much alike share most nodes: one origin is enough. Of one that
            // is mixed a node need not be, so it may have a row for each.
            if row.is_mixed || row.id.whole().is_some_and(|id| self.inner_ids.insert(id)) {
                self.inner.push(row);
            }
        }
        for oid in made.whole {
            if let Some(found) = self.found.get_mut(&oid) {
                found.cost = 0;
            }
        }
        made.found
    }

    /// Notes what an object is, or that it is nothing, and derives all that has waited for it
    /// alone; with a list of its own, because a history may be a million commits long.
    fn settle(&mut self, oid: Oid, found: Option<Found>) -> Result<()> {
        let mut settled = vec![(oid, found)];
        while let Some((oid, found)) = settled.pop() {
            if let Some(found) = found {
                self.found.entry(oid).or_insert(found);
            }
            if self.waits_for.is_empty() {
                continue;
            }
            for at in self.waits_for.remove(&oid).unwrap_or_default() {
                let Some(waiting) = &mut self.waiting[at] else {
                    continue;
                };
                waiting.missing -= 1;
                if waiting.missing > 0 {
                    continue;
                }
                if let Some(Waiting { oid, kind, bytes, .. }) = self.waiting[at].take() {
                    // What is missing by now is missing for good.
                    let (made, _) = self.derive(oid, kind, &bytes)?;
                    let found = self.note(made);
                    settled.push((oid, found));
                }
            }
        }
        Ok(())
    }

    /// What is waited for and in the map, but with no more than the beginning of its id: to be
    /// learned before `retry`.
    pub fn unlearned(&self) -> Result<Vec<Oid>> {
        let mut found = Vec::new();
        for oid in self.waits_for.keys() {
            if self.map.find(oid)?.is_some_and(|row| row.id.whole().is_none()) {
                found.push(*oid);
            }
        }
        Ok(found)
    }

    /// Goes on with what waited for objects that have been learned meanwhile.
    pub fn retry(&mut self, learned: Vec<Oid>) -> Result<()> {
        learned.into_iter().try_for_each(|oid| self.settle(oid, None))
    }

    /// Takes over the blobs that another has found beside this one.
    pub fn absorb(&mut self, other: Ingest) -> Result<()> {
        other.require_end()?;
        self.found.extend(other.found);
        Ok(())
    }

    fn require_end(&self) -> Result<()> {
        match matches!(self.state, State::Header) && self.line.is_empty() {
            true => Ok(()),
            false => Err(Error::malformed("`git cat-file` ended in the middle of an object")),
        }
    }

    /// Says that nothing more will come, and gives what was found, for the map, and which of it
    /// may be stored with the beginning of its id alone.
    pub fn finish(mut self) -> Result<(Vec<Row>, OidSet)> {
        self.require_end()?;
        if !self.unlearned()?.is_empty() {
            return Err(Error::malformed("git objects wait for what has to be learned first"));
        }
        while !self.waits_for.is_empty() {
            let waiting: OidSet =
                self.waiting.iter().flatten().map(|waiting| waiting.oid).collect();
            let mut missing: Vec<Oid> = self.waits_for.keys().copied().collect();
            missing.retain(|oid| !waiting.contains(oid));
            if missing.is_empty() {
                return Err(Error::malformed("git objects refer to each other in a circle"));
            }
            for oid in missing {
                self.settle(oid, None)?;
            }
        }
        let short = self.found.iter().filter(|(_, found)| found.may_be_short());
        let short = short.map(|(oid, _)| *oid).collect();
        let mut rows = self.inner;
        rows.extend(self.found.into_iter().map(|(oid, found)| found.row(oid)));
        Ok((rows, short))
    }
}

/// A kind by git's name for it; tags are in git alone.
fn kind_named(name: &[u8]) -> Option<Kind> {
    match name {
        b"blob" => Some(Kind::Blob),
        b"tree" => Some(Kind::Tree),
        b"commit" => Some(Kind::Snapshot),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(oid: u8, name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut digits = Vec::new();
        Oid::from_slice(&[oid; 20]).put_hex(Format::Sha1, &mut digits);
        let header = format!("{} {name} {}\n", String::from_utf8_lossy(&digits), bytes.len());
        [header.as_bytes(), bytes, b"\n"].concat()
    }

    fn tree(oid: u8) -> Vec<u8> {
        [b"100644 file\0".as_slice(), &[oid; 20]].concat()
    }

    fn commit(tree: u8, parent: Option<u8>) -> Vec<u8> {
        let hex = |byte: u8| format!("{byte:02x}").repeat(20);
        let parent = parent.map(|parent| format!("parent {}\n", hex(parent)));
        let author = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nmessage\n";
        format!("tree {}\n{}{author}", hex(tree), parent.unwrap_or_default()).into_bytes()
    }

    fn rows(stream: &[u8], piece: usize) -> Vec<Row> {
        let directory = tempfile::tempdir().unwrap();
        let map = Arc::new(Map::open(directory.path(), directory.path(), Format::Sha1).unwrap());
        let mut ingest = Ingest::new(Arc::clone(&map));
        for piece in stream.chunks(piece) {
            ingest.feed(piece).unwrap();
        }
        let mut rows = ingest.finish().unwrap().0;
        rows.sort_unstable();
        rows
    }

    #[test]
    fn the_order_and_the_pieces_do_not_matter() {
        let objects = [
            object(5, "tag", b"object"),
            object(1, "blob", b"content\n"),
            object(6, "blob", b""),
            object(2, "tree", &tree(1)),
            object(3, "commit", &commit(2, None)),
            object(4, "commit", &commit(2, Some(3))),
        ];
        let forward = objects.concat();
        let mut reversed = objects;
        reversed.reverse();
        let reversed = reversed.concat();
        let wanted = rows(&forward, usize::MAX);
        assert_eq!(wanted.len(), 5);
        for piece in [1, 7, 4096] {
            assert_eq!(rows(&forward, piece), wanted);
            assert_eq!(rows(&reversed, piece), wanted);
        }
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let whole = [object(2, "tree", &tree(9)), object(3, "commit", &commit(2, Some(8)))];
        let found = rows(&whole.concat(), usize::MAX);
        let tree = found.iter().find(|row| row.kind == Kind::Tree).unwrap();
        assert_eq!((tree.id, tree.size), (RowId::Whole(Id::of_tree_node(b"\0")), 0));
        assert_eq!(found.len(), 2);
        // A commit without a tree is none.
        assert!(rows(&object(3, "commit", &commit(7, None)), usize::MAX).is_empty());
    }

    #[test]
    fn a_stream_that_is_cut_off_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let map = Arc::new(Map::open(directory.path(), directory.path(), Format::Sha1).unwrap());
        for cut in [3, 45, 50] {
            let mut ingest = Ingest::new(Arc::clone(&map));
            ingest.feed(&object(1, "blob", b"content\n")[..cut]).unwrap();
            assert!(ingest.finish().is_err(), "{cut}");
        }
        let mut ingest = Ingest::new(Arc::clone(&map));
        assert!(ingest.feed(b"fatal: not a line\n").is_err());
    }
}
