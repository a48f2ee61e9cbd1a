//! The tree against a plain map, and the promise of history independence.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::node::{seal, settle, Keep, Replaced, Sink};
use super::*;
use crate::object::Kind;
use crate::store::Object;

/// Objects in a map; counts what is loaded.
#[derive(Default)]
struct Objects {
    known: Mutex<HashMap<Id, Object>>,
    loads: Mutex<usize>,
}

impl ObjectReader for Objects {
    fn object(&self, id: &Id) -> Result<Object> {
        *self.loads.lock() += 1;
        self.known.lock().get(id).cloned().ok_or(Error::ObjectNotFound { id: *id })
    }

    fn nearby(&self, id: &Id) -> Option<Object> {
        self.known.lock().get(id).cloned()
    }
}

#[derive(Default)]
struct Collected(Vec<(Id, Object)>);

impl Sink for Collected {
    fn directory(&mut self, _entries: u64) {}

    fn blob(&mut self, id: Id, bytes: &Arc<[u8]>, _replaces: Option<Id>) -> Result<u8> {
        self.0.push((id, Object { kind: Kind::Blob, depth: 0, bytes: Arc::clone(bytes) }));
        Ok(0)
    }

    fn node(&mut self, id: Id, bytes: &[u8], _replaced: Option<&Replaced>) -> Result<u8> {
        self.0.push((id, Object { kind: Kind::Tree, depth: 0, bytes: Arc::from(bytes) }));
        Ok(0)
    }
}

struct Forget;

impl Keep for Forget {
    fn keep(&mut self, _id: Id, _object: Object, _replaced: Option<Id>) {}
}

fn store(tree: &mut Tree, objects: &Objects) -> (Id, usize) {
    let mut sink = Collected::default();
    let id = seal(tree.root_mut(), &mut sink).unwrap();
    settle(tree.root_mut(), &mut Forget);
    let count = sink.0.len();
    objects.known.lock().extend(sink.0);
    (id, count)
}

fn put(tree: &mut Tree, path: &str, content: &str, objects: &Objects) -> Result<bool> {
    let bytes: Arc<[u8]> = Arc::from(content.as_bytes());
    let size = bytes.len() as u64;
    let entry = Entry { kind: EntryKind::File, id: Id::UNSEALED, size };
    tree.set(path.as_bytes(), &entry, Kid::Pending { bytes, replaces: None, depth: 0 }, objects)
}

fn files(tree: &Tree, objects: &Objects) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    tree.walk(b"", objects, &mut |path, entry, pending| {
        if entry.kind != EntryKind::Directory {
            let bytes = match pending {
                Some(bytes) => Arc::clone(bytes),
                None => objects.object(&entry.id)?.bytes,
            };
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            found.insert(String::from_utf8(path.to_vec()).unwrap(), text);
        }
        Ok(())
    })
    .unwrap();
    found
}

fn built(content: &BTreeMap<String, String>, objects: &Objects) -> Id {
    let mut tree = Tree::default();
    for (path, text) in content {
        put(&mut tree, path, text, objects).unwrap();
    }
    store(&mut tree, objects).0
}

#[test]
fn a_million_names_are_not_needed_to_see_levels() {
    let objects = Objects::default();
    let mut tree = Tree::default();
    for n in 0..3000 {
        put(&mut tree, &format!("file{n:05}"), "x", &objects).unwrap();
    }
    assert!(tree.root().level() >= 1);
    assert_eq!(tree.root().count(), 3000);
    assert_eq!(tree.files(), 3000);
    let (id, _) = store(&mut tree, &objects);
    let again = Tree::load(&objects, &id).unwrap();
    assert_eq!(again.root().count(), 3000);
    assert_eq!(files(&again, &objects).len(), 3000);
}

#[test]
fn one_edit_rewrites_one_node_per_level() {
    let objects = Objects::default();
    let mut tree = Tree::default();
    for n in 0..20_000 {
        put(&mut tree, &format!("d/file{n:05}"), "x", &objects).unwrap();
    }
    let (id, _) = store(&mut tree, &objects);
    let mut tree = Tree::load(&objects, &id).unwrap();
    let levels = {
        let found = tree.find(b"d", &objects).unwrap().unwrap();
        usize::from(found.directory.unwrap().level()) + 1
    };
    put(&mut tree, "d/file10000", "y", &objects).unwrap();
    let loaded = *objects.loads.lock();
    let (_, written) = store(&mut tree, &objects);
    assert_eq!(written, 1 + levels + 1, "a blob, the directory's path, the root");
    assert!(loaded < 20, "{loaded} nodes loaded");
}

#[test]
fn a_name_that_begins_nodes_above_the_root_may_come_last() {
    // "xudy" begins a node on three levels, and the directory had one.
    assert_eq!(directory::boundary_level(b"xudy"), 3);
    let objects = Objects::default();
    let names: Vec<String> = (0..130).map(|number| format!("n{number}")).collect();
    let build = |names: &mut dyn Iterator<Item = &str>| {
        let mut tree = Tree::default();
        for name in names {
            put(&mut tree, name, "x", &objects).unwrap();
        }
        store(&mut tree, &objects).0
    };
    let others = || names.iter().map(String::as_str);
    let last = build(&mut others().chain(["xudy"]));
    assert_eq!(last, build(&mut ["xudy"].into_iter().chain(others())));
}

#[test]
fn a_file_is_no_directory() {
    let objects = Objects::default();
    let mut tree = Tree::default();
    put(&mut tree, "a", "x", &objects).unwrap();
    assert!(matches!(put(&mut tree, "a/b", "y", &objects), Err(Error::NotADirectory { .. })));
    assert!(tree.find(b"a/b", &objects).unwrap().is_none());
}

#[test]
fn moving_a_large_directory_moves_one_entry() {
    let objects = Objects::default();
    let mut tree = Tree::default();
    for n in 0..1000 {
        put(&mut tree, &format!("d/{n}"), "x", &objects).unwrap();
    }
    store(&mut tree, &objects);
    let (entry, kid) = tree.remove(b"d", true, &objects).unwrap().unwrap();
    assert_eq!((entry.size, tree.files()), (1000, 0));
    tree.set(b"e/f", &entry, kid, &objects).unwrap();
    let (_, written) = store(&mut tree, &objects);
    assert_eq!(written, 2, "the root and `e`");
    assert_eq!(files(&tree, &objects).len(), 1000);
}

#[test]
fn deep_paths_do_not_overflow_a_small_stack() {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(|| {
            let objects = Objects::default();
            let mut tree = Tree::default();
            let path = vec!["d"; 8000].join("/");
            put(&mut tree, &path, "x", &objects).unwrap();
            let (id, _) = store(&mut tree, &objects);
            let mut tree = Tree::load(&objects, &id).unwrap();
            assert_eq!(files(&tree, &objects).len(), 1);
            // All directories are there by now.
            let beside = format!("{path}e");
            put(&mut tree, &beside, "y", &objects).unwrap();
            tree.remove(beside.as_bytes(), true, &objects).unwrap().unwrap();
            tree.remove(path.as_bytes(), true, &objects).unwrap().unwrap();
            assert!(tree.root().is_empty());
        })
        .unwrap()
        .join()
        .unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Put(String, String),
    Remove(String),
    Store,
    Reload,
    Fork,
}

fn name() -> impl Strategy<Value = String> {
    // Few directories with many names, so that boundaries are made and removed.
    prop_oneof![
        (0..900u32).prop_map(|n| format!("n{n}")),
        (0..900u32).prop_map(|n| format!("d/n{n}")),
        (0..20u32, 0..20u32).prop_map(|(a, b)| format!("e/{a}/{b}"))
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (name(), "[a-z]{0,3}").prop_map(|(path, text)| Step::Put(path, text)),
        8 => name().prop_map(Step::Remove),
        1 => Just(Step::Store),
        1 => Just(Step::Reload),
        1 => Just(Step::Fork),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_edits_agree_with_a_map_and_with_a_fresh_build(
        bulk in 0usize..900,
        steps in proptest::collection::vec(step(), 1..400),
    ) {
        let objects = Objects::default();
        let mut tree = Tree::default();
        let mut model = BTreeMap::new();
        for n in 0..bulk {
            // Not in order, so that leaves are cut in the middle.
            let path = format!("n{}", n * 7919 % 900);
            put(&mut tree, &path, "bulk", &objects).unwrap();
            model.insert(path, "bulk".to_owned());
        }
        let mut fork: Option<(Tree, BTreeMap<String, String>)> = None;
        for step in steps {
            match step {
                Step::Put(path, text) => {
                    let is_new = put(&mut tree, &path, &text, &objects).unwrap();
                    prop_assert_eq!(is_new, model.insert(path, text).is_none());
                }
                Step::Remove(path) => {
                    let removed = tree.remove(path.as_bytes(), true, &objects).unwrap();
                    prop_assert_eq!(removed.is_some(), model.remove(&path).is_some());
                }
                Step::Store => drop(store(&mut tree, &objects)),
                Step::Reload => {
                    let (id, _) = store(&mut tree, &objects);
                    tree = Tree::load(&objects, &id).unwrap();
                }
                Step::Fork => fork = Some((tree.clone(), model.clone())),
            }
            prop_assert_eq!(tree.files(), model.len() as u64);
        }
        for (mut tree, model) in fork.into_iter().chain([(tree, model)]) {
            prop_assert_eq!(files(&tree, &objects), model.clone());
            let (id, _) = store(&mut tree, &objects);
            prop_assert_eq!(id, built(&model, &objects), "the shape depends on the history");
            let again = Tree::load(&objects, &id).unwrap();
            prop_assert_eq!(files(&again, &objects), model);
        }
    }

    #[test]
    fn decoding_a_damaged_node_fails_without_panic(bytes: Vec<u8>) {
        let object = Object { kind: Kind::Tree, depth: 0, bytes: Arc::from(bytes) };
        if let Ok(node) = Node::decode(Id::UNSEALED, &object) {
            for item in 0..node.len() {
                prop_assert!(entry::is_valid_name(node.name(item)));
            }
        }
    }
}
