//! Reading: the records of the Helios objects that are derived from one git object.

use super::map::Map;
use super::oid::Oid;
use super::row::{Role, Row};
use super::{commit, tree, Known};
use crate::error::Result;
use crate::id::Id;
use crate::object::Kind;
use crate::store::record;

/// Ids and records.
type Records = Vec<(Id, Vec<u8>)>;

/// The records of what is derived from a git object, by id; or, second, what has to be learned
/// before that (`Map::learn`), and then there are none. A tree gives a record for each node.
/// What an object refers to may have become known, or have got another Helios object, since it was
/// derived first; so there may be several candidates, and the caller takes the one that it wants.
pub fn records(map: &Map, oid: &Oid, kind: Kind, bytes: &[u8]) -> Result<(Records, Vec<Oid>)> {
    let mut found = Vec::new();
    let mut unlearned = Vec::new();
    match kind {
        Kind::Blob => found.push((Id::of_blob(bytes), record_of(kind, bytes))),
        Kind::Tree => {
            for role in [Role::Derived, Role::Written] {
                let (nodes, is_certain) = resolved(map, role, &mut unlearned, |known| {
                    tree::derive(bytes, map.format(), known).0
                })?;
                let records = nodes.into_iter().map(|node| (node.id, record_of(kind, &node.bytes)));
                found.extend(records);
                if is_certain {
                    break;
                }
            }
        }
        Kind::Snapshot => {
            for role in [Role::Derived, Role::Written] {
                let (made, is_certain) = resolved(map, role, &mut unlearned, |known| {
                    let whole = commit::derive(bytes, oid, map.format(), known);
                    // At the end of a shallow history, when it was derived.
                    let root = commit::derive(bytes, oid, map.format(), &mut |oid, kind| {
                        (kind == Kind::Tree).then(|| known(oid, kind)).flatten()
                    });
                    [whole, root]
                })?;
                for snapshot in made.into_iter().flatten() {
                    let mut canonical = Vec::with_capacity(256);
                    snapshot.encode(&mut canonical);
                    found.push((Id::of_snapshot(&canonical), record_of(kind, &canonical)));
                }
                if is_certain {
                    break;
                }
            }
        }
    }
    if !unlearned.is_empty() {
        unlearned.sort_unstable();
        unlearned.dedup();
        return Ok((Vec::new(), unlearned));
    }
    map.learn(oid, found.iter().map(|(id, _)| *id))?;
    Ok((found, unlearned))
}

/// What `derive` makes, looking ids up in the map, and whether another role would not change it.
/// Whose ids the map does not have whole is noted.
fn resolved<T>(
    map: &Map,
    role: Role,
    unlearned: &mut Vec<Oid>,
    derive: impl FnOnce(&mut Known<'_>) -> T,
) -> Result<(T, bool)> {
    let mut failed = None;
    let mut is_certain = true;
    let made = derive(&mut |oid, kind| match map.find_preferring(oid, role) {
        Ok(row) => {
            let row: Row = row.filter(|row| row.kind == kind)?;
            is_certain &= row.role == Role::Derived && !row.is_mixed;
            match row.id.whole() {
                Some(id) => Some((id, row.size)),
                None => {
                    unlearned.push(*oid);
                    None
                }
            }
        }
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok((made, is_certain)),
    }
}

fn record_of(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    record::put_raw(&mut out, kind, bytes);
    out
}
