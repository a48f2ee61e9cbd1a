//! A tree node that decodes can be searched, edited and emptied, and writing its own entries back
//! changes nothing: an entry has one encoding.
#![no_main]

use std::sync::Arc;

use helios_core::id::Id;
use helios_core::object::Kind;
use helios_core::store::Object;
use helios_core::tree::{Kid, Node};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let object = Object { kind: Kind::Tree, depth: 0, bytes: Arc::from(bytes) };
    let Ok(node) = Node::decode(Id::of_tree_node(bytes), &object) else {
        return;
    };
    for item in 0..node.len() {
        assert_eq!(node.find(node.name(item)), Ok(item));
    }
    if !node.is_leaf() {
        for item in 0..node.len() {
            node.reference(item).expect("a reference that was decoded");
        }
        return;
    }
    let mut copy = node.clone();
    for item in 0..node.len() {
        let entry = node.entry(item).expect("an entry that was decoded");
        copy.put_entry(Ok(item), node.name(item), &entry, Kid::clean()).expect("an edit in memory");
    }
    assert_eq!(copy.bytes(), bytes);
    assert_eq!((copy.count(), copy.files()), (node.count(), node.files()));
    while !copy.is_empty() {
        copy.remove(copy.len() / 2).expect("an edit in memory");
    }
    assert_eq!((copy.count(), copy.files()), (0, 0));
});
