//! A scan of some paths only: the way to each of them from the root, and what is below it.
//!
//! A few paths are looked at on the thread that asks: starting others takes longer.

use std::collections::BTreeMap;
use std::fs;

use super::{is_suspect, Directory, Look, Walk};
use crate::tree::EntryKind;
use crate::worktree::ignore::Rules;
use crate::worktree::scan::Found;

/// Paths as a tree of their names.
#[derive(Default)]
pub struct Chosen<'p> {
    /// Whether this very path is chosen, and with it all that is below.
    is_whole: bool,
    below: BTreeMap<&'p [u8], Chosen<'p>>,
}

impl<'p> Chosen<'p> {
    pub fn new(paths: &'p [Vec<u8>]) -> Chosen<'p> {
        let mut root = Chosen::default();
        for path in paths {
            let mut at = &mut root;
            for name in path.split(|byte| *byte == b'/') {
                at = at.below.entry(name).or_default();
            }
            at.is_whole = true;
        }
        root
    }
}

impl Walk<'_, '_> {
    /// Examines what is chosen in a directory, which is on disk and not ignored. Directories to be
    /// walked are put with the others.
    pub fn examine_chosen(
        &self,
        prefix: &[u8],
        chosen: &Chosen<'_>,
        mut rules: Rules,
        to_walk: &mut Vec<(Directory, Rules)>,
    ) {
        let shown = |name: &[u8]| {
            let metadata = fs::symlink_metadata(self.on_disk(&[prefix, name].concat())).ok()?;
            Some(metadata.is_file())
        };
        self.add_rules(prefix, &shown, &mut rules);
        for (name, chosen) in &chosen.below {
            self.examine_one([prefix, name].concat(), name, chosen, &rules, to_walk);
        }
    }

    fn examine_one(
        &self,
        path: Vec<u8>,
        name: &[u8],
        chosen: &Chosen<'_>,
        rules: &Rules,
        to_walk: &mut Vec<(Directory, Rules)>,
    ) {
        let metadata = fs::symlink_metadata(self.on_disk(&path));
        let file_type = metadata.as_ref().ok().map(fs::Metadata::file_type);
        let known = self.index.get(&path);
        match self.look(&path, name, file_type, || metadata, rules) {
            Look::At(EntryKind::Directory, stat) => {
                let kind = EntryKind::Directory;
                let is_suspect = is_suspect(kind, &stat, known.as_ref());
                if chosen.is_whole || is_suspect {
                    let directory = Directory { found: Found { path, kind, stat }, is_suspect };
                    to_walk.push((directory, rules.clone()));
                } else {
                    let prefix = [&path[..], b"/"].concat();
                    self.examine_chosen(&prefix, chosen, rules.clone(), to_walk);
                }
            }
            Look::At(kind, stat) => {
                let below = self.known_below(&path);
                let mut results = self.results.lock();
                results.missing.extend(below);
                if is_suspect(kind, &stat, known.as_ref()) {
                    results.suspects.push(Found { path, kind, stat });
                }
            }
            Look::Past => {
                let itself = self.index.from(&path).take(1).filter(|(known, _)| *known == path);
                self.results.lock().missing.extend(itself.chain(self.known_below(&path)));
            }
            Look::Unreadable => {}
        }
    }
}
