//! Merges of small trees: what must hold whatever they hold, and the rules one by one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::engine::commit::CommitOptions;
use crate::engine::Engine;
use crate::tree::Kid;
use crate::vst::Vst;

type Files = BTreeMap<String, String>;

const LABELS: Labels<'_> = Labels { ours: "ours", theirs: "theirs" };

fn engine() -> Engine {
    Engine::in_memory(1 << 20, None)
}

fn snapshot_of(engine: &Engine, files: &Files) -> Id {
    let mut vst = Vst::default();
    for (path, content) in files {
        let (path, bytes) = (path.as_bytes(), Arc::from(content.as_bytes()));
        vst.write(path, bytes, EntryKind::File, engine).unwrap();
    }
    engine.commit(&mut vst, &CommitOptions::default()).unwrap().id
}

fn merge(engine: &Engine, base: &Files, ours: &Files, theirs: &Files) -> Merge {
    let ids = [base, ours, theirs].map(|files| snapshot_of(engine, files));
    engine.merge_trees(Some(&ids[0]), &ids[1], &ids[2], LABELS).unwrap()
}

fn content(merge: &Merge, engine: &Engine) -> Files {
    let vst = Vst::new(merge.tree.clone(), None, None);
    let mut files = Files::new();
    let mut visit = |path: &[u8], entry: &Entry, _: Option<&Arc<[u8]>>| {
        if entry.kind != EntryKind::Directory {
            let bytes = vst.read(path, engine).unwrap().to_vec();
            let path = String::from_utf8(path.to_vec()).unwrap();
            files.insert(path, String::from_utf8(bytes).unwrap());
        }
        Ok(())
    };
    merge.tree.walk(b"", engine, &mut visit).unwrap();
    files
}

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

fn reasons(merge: &Merge) -> Vec<(&str, Reason)> {
    let path = |conflict: &'_ Conflict| conflict.path.clone();
    merge
        .conflicts
        .iter()
        .map(|conflict| {
            (String::from_utf8(path(conflict)).unwrap().leak() as &str, conflict.reason)
        })
        .collect()
}

/// Files and directories may have the same names, so that they get into each other's way.
fn some_files() -> impl Strategy<Value = Files> {
    let path = prop::sample::select(vec!["a", "a/b", "b", "c/a", "c/b/a", "c", "d/x/y"]);
    let line = prop::sample::select(vec!["1\n", "2\n", "3\n", "4\n"]);
    let text = prop::collection::vec(line, 0..6).prop_map(|lines| lines.concat());
    prop::collection::vec((path, text), 0..5).prop_map(|list| {
        let mut files = Files::new();
        for (path, text) in list {
            let in_the_way = |other: &String| {
                other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"))
            };
            files.retain(|other, _| !in_the_way(other));
            files.insert(path.to_owned(), text);
        }
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_one_side_did_alone_is_the_result(base in some_files(), side in some_files()) {
        let engine = engine();
        for merged in [
            merge(&engine, &base, &side, &base),
            merge(&engine, &base, &base, &side),
            merge(&engine, &base, &side, &side),
        ] {
            prop_assert_eq!(merged.conflicts, vec![]);
            prop_assert_eq!(merged.tree.id(), Some(engine.tree(&snapshot_of(&engine, &side))
                .unwrap().id().unwrap()));
        }
    }

    #[test]
    fn the_sides_may_be_exchanged(
        base in some_files(), ours in some_files(), theirs in some_files()
    ) {
        let engine = engine();
        let (one, other) =
            (merge(&engine, &base, &ours, &theirs), merge(&engine, &base, &theirs, &ours));
        let plain = |conflict: &Conflict| {
            let path = String::from_utf8(conflict.path.clone()).unwrap();
            (path.split('~').next().unwrap().to_owned(), conflict.reason)
        };
        let set = |merge: &Merge| merge.conflicts.iter().map(plain).collect::<BTreeSet<_>>();
        prop_assert_eq!(set(&one), set(&other));
        if one.conflicts.is_empty() {
            prop_assert_eq!(content(&one, &engine), content(&other, &engine));
        }
    }

    /// A merge is its own proof: merged with either side by that side it changes nothing.
    #[test]
    fn a_clean_merge_holds_both_sides(
        base in some_files(), ours in some_files(), theirs in some_files()
    ) {
        let engine = engine();
        let merged = merge(&engine, &base, &ours, &theirs);
        if merged.conflicts.is_empty() {
            let files = content(&merged, &engine);
            let again = merge(&engine, &ours, &files, &ours);
            prop_assert_eq!(content(&again, &engine), files);
        }
    }

    #[test]
    fn texts_lose_nothing_that_is_in_no_conflict(
        base: Vec<u8>, ours: Vec<u8>, theirs: Vec<u8>
    ) {
        let clean = |base: &[u8], ours: &[u8], theirs: &[u8]| {
            text::merge(base, ours, theirs, LABELS, MARKER_LEN)
        };
        prop_assert_eq!(clean(&base, &ours, &base).bytes, ours.clone());
        prop_assert_eq!(clean(&base, &base, &theirs).bytes, theirs.clone());
        prop_assert_eq!(clean(&base, &ours, &ours).bytes, ours.clone());
        let forth = clean(&base, &ours, &theirs);
        let back = clean(&base, &theirs, &ours);
        prop_assert_eq!(forth.conflicts == 0, back.conflicts == 0);
    }
}

const TEXT: &str = "one\ntwo\nthree\nfour\nfive\n";

#[test]
fn edits_of_different_lines_go_together() {
    let engine = engine();
    let merged = merge(
        &engine,
        &files(&[("a", TEXT), ("b", "same\n")]),
        &files(&[("a", "ONE\ntwo\nthree\nfour\nfive\n"), ("b", "same\n")]),
        &files(&[("a", "one\ntwo\nthree\nfour\nFIVE\n"), ("b", "same\n"), ("c", "new\n")]),
    );
    let expected =
        files(&[("a", "ONE\ntwo\nthree\nfour\nFIVE\n"), ("b", "same\n"), ("c", "new\n")]);
    assert_eq!((content(&merged, &engine), merged.conflicts), (expected, vec![]));
}

#[test]
fn a_conflict_is_marked_only_where_the_sides_differ() {
    let engine = engine();
    let merged = merge(
        &engine,
        &files(&[("a", "x\n")]),
        &files(&[("a", "both\nours\n")]),
        &files(&[("a", "both\ntheirs\n")]),
    );
    assert_eq!(reasons(&merged), [("a", Reason::Content)]);
    let marked = "both\n<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\n";
    assert_eq!(content(&merged, &engine), files(&[("a", marked)]));
}

#[test]
fn an_edit_follows_a_rename() {
    let engine = engine();
    let edited = "one\ntwo\nTHREE\nfour\nfive\n";
    let merged = merge(
        &engine,
        &files(&[("old", TEXT)]),
        &files(&[("new/name", TEXT)]),
        &files(&[("old", edited)]),
    );
    assert_eq!(
        (content(&merged, &engine), merged.conflicts),
        (files(&[("new/name", edited)]), vec![])
    );
}

#[test]
fn conflicts_say_why() {
    let engine = engine();
    let check = |base: &[_], ours: &[_], theirs: &[_], expected: &[(&str, Reason)]| {
        let merged = merge(&engine, &files(base), &files(ours), &files(theirs));
        assert_eq!(reasons(&merged), expected);
    };
    check(&[("a", TEXT)], &[("a", "x\n")], &[], &[("a", Reason::ModifyDelete)]);
    check(&[], &[("a", "x\n")], &[("a", "y\n")], &[("a", Reason::AddAdd)]);
    check(&[("a", "\0")], &[("a", "\x001")], &[("a", "\x002")], &[("a", Reason::Binary)]);
    check(&[], &[("a", "x\n")], &[("a/b", "y\n")], &[("a~ours", Reason::DirectoryFile)]);
    check(&[("a", TEXT)], &[("b", TEXT)], &[], &[("b", Reason::RenameDelete)]);
    check(&[("a", TEXT)], &[("b", TEXT)], &[("c", TEXT)], &[("a", Reason::RenameRename)]);
    let large = "x".repeat(17 << 20);
    check(
        &[("a", "1")],
        &[("a", &format!("{large}1"))],
        &[("a", &format!("{large}2"))],
        &[("a", Reason::TooLarge)],
    );
}

#[test]
fn the_mode_is_merged_apart_from_the_content() {
    let engine = engine();
    let ids =
        [("one\n", EntryKind::File), ("one\n", EntryKind::Executable), ("two\n", EntryKind::File)]
            .map(|(text, kind)| {
                let mut vst = Vst::default();
                vst.write(b"a", Arc::from(text.as_bytes()), kind, &engine).unwrap();
                engine.commit(&mut vst, &CommitOptions::default()).unwrap().id
            });
    let merged = engine.merge_trees(Some(&ids[0]), &ids[1], &ids[2], LABELS).unwrap();
    let found = merged.tree.find(b"a", &engine).unwrap().unwrap().entry;
    assert_eq!((found.kind, found.id), (EntryKind::Executable, Id::of_blob(b"two\n")));
    let unrelated = engine.merge_trees(None, &ids[0], &ids[1], LABELS).unwrap();
    assert_eq!(reasons(&unrelated), [("a", Reason::AddAdd)]);
}

#[test]
fn empty_directories_are_merged_as_directories() {
    let engine = engine();
    let tree = |made: &[&str], files: &[&str]| {
        let mut vst = Vst::default();
        made.iter().for_each(|path| vst.create_directory(path.as_bytes(), &engine).unwrap());
        for path in files {
            vst.write(path.as_bytes(), Arc::from(&b"x"[..]), EntryKind::File, &engine).unwrap();
        }
        engine.commit(&mut vst, &CommitOptions::default()).unwrap().id
    };
    let paths = |base: Id, ours: Id, theirs: Id| {
        let merged = engine.merge_trees(Some(&base), &ours, &theirs, LABELS).unwrap();
        let mut paths = Vec::new();
        let mut visit = |path: &[u8], _: &Entry, _: Option<&Arc<[u8]>>| {
            paths.push(String::from_utf8(path.to_vec()).unwrap());
            Ok(())
        };
        merged.tree.walk(b"", &engine, &mut visit).unwrap();
        assert!(merged.conflicts.is_empty());
        paths
    };
    let base = tree(&[], &["d/a", "d/b", "e"]);
    let halves = (tree(&[], &["d/a", "e"]), tree(&[], &["d/b", "e"]));
    assert_eq!(paths(base, halves.0, halves.1), ["e"]);
    let emptied = tree(&["d"], &["e"]);
    assert_eq!(paths(base, halves.0, emptied), ["d", "e"]);
    assert_eq!(paths(base, emptied, halves.0), ["d", "e"]);
    let added = tree(&["f/g"], &["d/a", "d/b", "e"]);
    assert_eq!(paths(base, halves.0, added), ["d", "d/a", "e", "f", "f/g"]);
}

#[test]
fn a_tangled_history_ends() {
    let engine = engine();
    let mut sides = [("x", 0), ("y", 0)].map(|(path, _)| {
        let mut vst = Vst::default();
        vst.write(path.as_bytes(), Arc::from(&b"0\n"[..]), EntryKind::File, &engine).unwrap();
        engine.commit(&mut vst, &CommitOptions::default()).unwrap().id
    });
    for level in 1..200 {
        sides = [0, 1].map(|side| {
            let merge = Merge { tree: engine.tree(&sides[side]).unwrap(), conflicts: Vec::new() };
            let parents = vec![sides[1 - side]];
            let epoch = engine.epoch();
            let mut vst =
                engine.vst_of_merge(&merge, epoch, sides[side], None, parents, true).unwrap();
            let text = format!("{level} of {side}\n");
            let entry = Entry { kind: EntryKind::File, id: Id::UNSEALED, size: text.len() as u64 };
            let kid = Kid::Pending { bytes: Arc::from(text.as_bytes()), replaces: None, depth: 0 };
            vst.tree.set(format!("f{side}").as_bytes(), &entry, kid, &engine).unwrap();
            let time_us = Some(level);
            let options = CommitOptions { time_us, ..CommitOptions::default() };
            engine.commit(&mut vst, &options).unwrap().id
        });
    }
    assert_eq!(bases::of(&sides[..1], &sides[1..], &engine).unwrap().len(), 2);
    let outcome = engine.merge(&sides[0], &sides[1], LABELS).unwrap();
    assert!(matches!(outcome, Outcome::Merged(_)));
}

#[test]
fn deep_trees_do_not_overflow_a_small_stack() {
    let engine = engine();
    let path = |end: &str| format!("{}{end}", "d/".repeat(5000));
    let deep = |end: &str| files(&[(&path("base"), "x\n"), (&path(end), "y\n")]);
    let run = || {
        let merged = merge(&engine, &files(&[(&path("base"), "x\n")]), &deep("a"), &deep("b"));
        assert!(merged.conflicts.is_empty());
        assert_eq!(merged.tree.files(), 3);
    };
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(2 << 20).spawn_scoped(scope, run).unwrap();
    });
}

#[test]
fn a_damaged_object_is_named() {
    let engine = engine();
    let missing = Id::of_blob(b"never stored");
    let base = snapshot_of(&engine, &files(&[("a", "1\n")]));
    let sides = [b"2", b"3"].map(|_| missing);
    let error = engine.merge(&sides[0], &base, LABELS).unwrap_err();
    assert!(matches!(error, Error::ObjectNotFound { id } if id == missing));
}
