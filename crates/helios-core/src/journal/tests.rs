//! The journal against plain maps: what two handles append in turn is what anybody reads.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::frame::{FrameBuilder, Operation, RefChange};
use super::*;
use crate::store::record::put_raw;

#[derive(Clone, Debug)]
enum Step {
    /// Append some objects by one of two handles, and move a ref.
    Append {
        handle: bool,
        objects: Vec<Vec<u8>>,
        name: u8,
    },
    Seal {
        handle: bool,
    },
    Reopen {
        handle: bool,
    },
    /// Both handles take in what is new.
    Refresh,
}

fn step() -> impl Strategy<Value = Step> {
    let content = proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        6 => (any::<bool>(), proptest::collection::vec(content, 1..5), 0u8..3)
            .prop_map(|(handle, objects, name)| Step::Append { handle, objects, name }),
        1 => any::<bool>().prop_map(|handle| Step::Seal { handle }),
        1 => any::<bool>().prop_map(|handle| Step::Reopen { handle }),
        1 => Just(Step::Refresh),
    ]
}

fn record(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_raw(&mut out, Kind::Blob, content);
    out
}

fn check(
    journal: &Journal,
    objects: &BTreeMap<Id, Vec<u8>>,
    refs: &BTreeMap<Vec<u8>, Id>,
) -> Result<()> {
    journal.refresh()?;
    for (id, record) in objects {
        assert_eq!(journal.record(id)?.as_ref(), Some(record));
    }
    for (name, value) in refs {
        assert_eq!(journal.reference(name), Some(Some(*value)));
    }
    // An object that was appended again, to another segment, counts twice.
    assert!(journal.size().1 >= objects.len());
    assert!(journal.damage().is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replay_gives_what_was_appended(
        steps in proptest::collection::vec(step(), 1..40),
        synced: bool,
    ) {
        let directory = tempfile::tempdir().unwrap();
        Journal::init(directory.path()).unwrap();
        // One handle preallocates zeros and syncs, if the case says so; the other never does.
        let open = |first: bool| {
            let durability =
                if first && synced { Durability::Disk } else { Durability::Process };
            Journal::open(directory.path(), durability).unwrap()
        };
        let mut journals = [open(false), open(true)];
        let (mut objects, mut refs) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Append { handle, objects: contents, name } => {
                    let name = vec![b'r', name];
                    let mut frame = FrameBuilder::default();
                    for content in &contents {
                        let bytes = record(content);
                        let id = Id::of_blob(content);
                        frame.object(id, |out| out.extend_from_slice(&bytes));
                        objects.insert(id, bytes);
                    }
                    let new = Id::of_blob(&contents[0]);
                    frame.operation(Operation {
                        time_us: 0,
                        actor: Vec::new(),
                        command: Vec::new(),
                        changes: vec![RefChange {
                            name: name.clone(),
                            old: refs.get(&name).copied(),
                            new: Some(new),
                        }],
                    });
                    let journal = &journals[usize::from(handle)];
                    journal.refresh().unwrap();
                    journal.remember_reference(&name, None, journal.generation());
                    let outcome = journal.append(&mut frame).unwrap();
                    let Append::Done(position) = outcome else {
                        panic!("{outcome:?}");
                    };
                    journal.sync(position).unwrap();
                    refs.insert(name, new);
                }
                Step::Seal { handle } => journals[usize::from(handle)].seal().unwrap(),
                Step::Reopen { handle } => journals[usize::from(handle)] = open(handle),
                Step::Refresh => {
                    for journal in &journals {
                        check(journal, &objects, &refs).unwrap();
                    }
                }
            }
        }
        for journal in journals.iter().chain([&open(false)]) {
            check(journal, &objects, &refs).unwrap();
        }
    }
}

#[test]
fn a_lost_compare_and_swap_moves_nothing_and_keeps_the_objects() {
    let journal = Journal::in_memory();
    journal.remember_reference(b"r", None, journal.generation());
    let id = Id::of_blob(b"x");
    let mut frame = FrameBuilder::default();
    frame.object(id, |out| put_raw(out, Kind::Blob, b"x"));
    frame.operation(Operation {
        time_us: 0,
        actor: Vec::new(),
        command: Vec::new(),
        changes: vec![RefChange { name: b"r".to_vec(), old: Some(id), new: None }],
    });
    let outcome = journal.append(&mut frame).unwrap();
    assert!(matches!(outcome, Append::Moved(name, None, _) if name == b"r"));
    assert_eq!(journal.reference(b"r"), Some(None));
    assert!(journal.contains(&id));
}

#[test]
fn a_ref_that_only_l2_knows_must_be_looked_up_first() {
    let journal = Journal::in_memory();
    let mut frame = FrameBuilder::default();
    frame.operation(Operation {
        time_us: 0,
        actor: Vec::new(),
        command: Vec::new(),
        changes: vec![RefChange { name: b"r".to_vec(), old: None, new: Some(Id::UNSEALED) }],
    });
    assert_eq!(journal.append(&mut frame).unwrap(), Append::Unknown);
    journal.remember_reference(b"r", None, journal.generation());
    assert!(matches!(journal.append(&mut frame).unwrap(), Append::Done(_)));
}

#[test]
fn what_is_read_while_others_write_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    Journal::init(directory.path()).unwrap();
    let open = || Journal::open(directory.path(), Durability::Process).unwrap();
    let frames = 4000;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0u8..2)
            .map(|writer| {
                let journal = open();
                scope.spawn(move || {
                    for number in 0..frames {
                        // Pages that a reader may see one by one.
                        let content = [&[writer], &u64::to_le_bytes(number)[..]].concat();
                        let content = content.repeat(700);
                        let mut frame = FrameBuilder::default();
                        frame.object(Id::of_blob(&content), |out| {
                            put_raw(out, Kind::Blob, &content);
                        });
                        assert!(matches!(journal.append(&mut frame), Ok(Append::Done(_))));
                    }
                    assert_eq!(journal.damage(), []);
                })
            })
            .collect();
        let reader = open();
        while !writers.iter().all(|writer| writer.is_finished()) {
            reader.refresh().unwrap();
        }
        reader.refresh().unwrap();
        assert_eq!(reader.damage(), []);
        assert_eq!(reader.size().1, 2 * frames as usize);
    });
}

#[test]
fn what_is_opened_while_others_sync_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    Journal::init(directory.path()).unwrap();
    let open = || Journal::open(directory.path(), Durability::Disk).unwrap();
    let writer = open();
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            for number in 0u64..1500 {
                let content = number.to_le_bytes();
                let mut frame = FrameBuilder::default();
                frame.object(Id::of_blob(&content), |out| put_raw(out, Kind::Blob, &content));
                let Ok(Append::Done(position)) = writer.append(&mut frame) else { panic!() };
                writer.sync(position).unwrap();
            }
        });
        while !writing.is_finished() {
            assert_eq!(open().damage(), []);
        }
    });
}
