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
    torn: usize,
) -> std::result::Result<(), TestCaseError> {
    let read = |id| journal.record(id).map_err(|error| TestCaseError::fail(error.to_string()));
    journal.refresh().map_err(|error| TestCaseError::fail(error.to_string()))?;
    for (id, record) in objects {
        let found = read(id)?;
        prop_assert_eq!(found.as_ref(), Some(record));
    }
    for (name, value) in refs {
        prop_assert_eq!(journal.reference(name), Some(Some(*value)));
    }
    // An object that was appended again, to another segment, counts twice.
    prop_assert!(journal.size().1 >= objects.len());
    // Half frames that were kept aside, and nothing else.
    let damage = journal.damage();
    prop_assert!(damage.len() <= torn, "{:?}", damage);
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
                        check(journal, &objects, &refs, 0)?;
                    }
                }
            }
        }
        for journal in journals.iter().chain([&open(false)]) {
            check(journal, &objects, &refs, 0)?;
        }
    }
}

/// What may happen between appends that do not look at each other.
#[derive(Clone, Debug)]
enum Event {
    /// One of three handles appends an object and moves a ref of its own.
    Append {
        handle: usize,
        content: Vec<u8>,
        name: u8,
    },
    /// It moves a ref that all move.
    AppendShared {
        handle: usize,
        content: Vec<u8>,
    },
    Seal {
        handle: usize,
    },
    Reopen {
        handle: usize,
    },
    Refresh {
        handle: usize,
    },
    /// A writer dies within its frame.
    Tear,
    /// A writer moves the ref that all move, and dies before it has written the ledger.
    Unnoted {
        content: Vec<u8>,
    },
    /// What the lock's file says is lost, or nonsense.
    Ledger {
        bytes: Vec<u8>,
        offset: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let content = || proptest::collection::vec(0u8..4, 0..6);
    prop_oneof![
        12 => (0usize..3, content(), 0u8..3)
            .prop_map(|(handle, content, name)| Event::Append { handle, content, name }),
        3 => (0usize..3, content())
            .prop_map(|(handle, content)| Event::AppendShared { handle, content }),
        1 => (0usize..3).prop_map(|handle| Event::Seal { handle }),
        1 => (0usize..3).prop_map(|handle| Event::Reopen { handle }),
        1 => (0usize..3).prop_map(|handle| Event::Refresh { handle }),
        1 => Just(Event::Tear),
        1 => content().prop_map(|content| Event::Unnoted { content }),
        1 => (proptest::collection::vec(any::<u8>(), 0..40), 8usize..2100)
            .prop_map(|(bytes, offset)| Event::Ledger { bytes, offset }),
    ]
}

/// Another opening, which knows that L2 has none of these refs.
fn opened(directory: &Path, names: &[&[u8]]) -> Journal {
    let journal = Journal::open(directory, Durability::Process).unwrap();
    for name in names {
        journal.remember_reference(name, None, journal.generation());
    }
    journal
}

fn frame_of(content: &[u8], name: &[u8], old: Option<Id>) -> FrameBuilder {
    let mut frame = FrameBuilder::default();
    frame.object(Id::of_blob(content), |out| out.extend_from_slice(&record(content)));
    frame.operation(Operation {
        time_us: 0,
        actor: Vec::new(),
        command: Vec::new(),
        changes: vec![RefChange { name: name.to_vec(), old, new: Some(Id::of_blob(content)) }],
    });
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn appends_that_have_not_read_each_other_lose_nothing(
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let directory = tempfile::tempdir().unwrap();
        Journal::init(directory.path()).unwrap();
        let open = || Journal::open(directory.path(), Durability::Process).unwrap();
        let mut journals = [open(), open(), open()];
        let (mut objects, mut refs) = (BTreeMap::new(), BTreeMap::new());
        let mut torn = 0;
        for event in events {
            match event {
                Event::Append { handle, content, name } => {
                    let name = vec![handle as u8, name];
                    let journal = &journals[handle];
                    journal.remember_reference(&name, None, journal.generation());
                    if journal.reference(&name) != Some(refs.get(&name).copied()) {
                        // It was reopened, and has not looked since.
                        journal.refresh().unwrap();
                    }
                    let old = refs.get(&name).copied();
                    let outcome = journal.append(&mut frame_of(&content, &name, old)).unwrap();
                    prop_assert!(matches!(outcome, Append::Done(_)), "{:?}", outcome);
                    objects.insert(Id::of_blob(&content), record(&content));
                    refs.insert(name, Id::of_blob(&content));
                }
                Event::AppendShared { handle, content } => {
                    let name = b"shared".to_vec();
                    let journal = &journals[handle];
                    journal.remember_reference(&name, None, journal.generation());
                    let believed = journal.reference(&name).flatten();
                    let actual = refs.get(&name).copied();
                    let outcome = journal.append(&mut frame_of(&content, &name, believed)).unwrap();
                    objects.insert(Id::of_blob(&content), record(&content));
                    match outcome {
                        Append::Done(_) => {
                            prop_assert_eq!(believed, actual);
                            refs.insert(name, Id::of_blob(&content));
                        }
                        Append::Moved(_, found, _) => {
                            prop_assert_ne!(believed, actual);
                            prop_assert_eq!(found, actual);
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                Event::Seal { handle } => journals[handle].seal().unwrap(),
                Event::Reopen { handle } => journals[handle] = open(),
                Event::Refresh { handle } => check(&journals[handle], &objects, &refs, torn)?,
                Event::Tear => {
                    let last = open().segment_numbers().pop().unwrap();
                    let path = directory.path().join(segment::file_name(last));
                    let mut frame = frame_of(&[7; 500], b"torn", None);
                    frame.finish();
                    let half = &frame.bytes()[..frame.len() - 3];
                    let bytes = std::fs::read(&path).unwrap();
                    // Over what another writer has left, which nobody has looked at yet.
                    let journal = open();
                    let (_, tail) = journal.end();
                    let mut bytes = bytes[..tail as usize].to_vec();
                    bytes.extend_from_slice(half);
                    std::fs::write(&path, &bytes).unwrap();
                    torn += 1;
                }
                Event::Unnoted { content } => {
                    let path = directory.path().join("lock");
                    let before = std::fs::read(&path).unwrap();
                    let name = b"shared".to_vec();
                    let journal = open();
                    journal.remember_reference(&name, None, journal.generation());
                    let old = refs.get(&name).copied();
                    let outcome = journal.append(&mut frame_of(&content, &name, old)).unwrap();
                    prop_assert!(matches!(outcome, Append::Done(_)), "{:?}", outcome);
                    objects.insert(Id::of_blob(&content), record(&content));
                    refs.insert(name, Id::of_blob(&content));
                    std::fs::write(&path, before).unwrap();
                }
                Event::Ledger { bytes, offset } => {
                    let path = directory.path().join("lock");
                    let mut all = std::fs::read(&path).unwrap();
                    all.resize(all.len().max(offset + bytes.len()), 0);
                    all[offset..offset + bytes.len()].copy_from_slice(&bytes);
                    std::fs::write(&path, &all).unwrap();
                }
            }
        }
        for journal in journals.iter().chain([&open()]) {
            check(journal, &objects, &refs, torn)?;
        }
    }
}

#[test]
fn an_append_reads_nothing_of_others() {
    let directory = tempfile::tempdir().unwrap();
    Journal::init(directory.path()).unwrap();
    let open = || opened(directory.path(), &[b"one", b"other"]);
    let (one, other) = (open(), open());
    let mut old = [None, None];
    for number in 0u64..20_000 {
        let content = number.to_le_bytes().repeat(40);
        let which = usize::from(number % 2 == 1);
        let (journal, name): (_, &[u8]) = [(&one, &b"one"[..]), (&other, b"other")][which];
        let mut frame = frame_of(&content, name, old[which]);
        assert!(matches!(journal.append(&mut frame), Ok(Append::Done(_))));
        old[which] = Some(Id::of_blob(&content));
    }
    // Its own first frames, and up to there those of the other; then it read no more, although
    // segments have become full meanwhile.
    assert!(other.end() < (1, 2000));
    assert!(other.newest_segment() > 1);
    assert!(!other.contains(&Id::of_blob(&19_998u64.to_le_bytes().repeat(40))));
    other.refresh().unwrap();
    assert_eq!(other.reference(b"one"), Some(old[0]));
    assert_eq!(other.size().1, 20_000);
    assert_eq!(other.end(), open().end());
}

#[test]
fn a_ledger_that_survived_a_crash_of_the_machine_leads_nobody_astray() {
    let directory = tempfile::tempdir().unwrap();
    Journal::init(directory.path()).unwrap();
    let open = || opened(directory.path(), &[b"r"]);
    let append_to = |name: &[u8], journal: &Journal, content: &[u8], old: Option<&[u8]>| {
        let mut frame = frame_of(content, name, old.map(Id::of_blob));
        assert!(matches!(journal.append(&mut frame), Ok(Append::Done(_))));
    };
    let append = |journal: &Journal, content: &[u8], old| append_to(b"r", journal, content, old);
    append(&open(), b"first", None);
    let path = directory.path().join(segment::file_name(1));
    let on_disk = std::fs::read(&path).unwrap();
    let journal = open();
    append(&journal, b"second", Some(b"first"));
    append(&journal, b"third", Some(b"second"));
    drop(journal);
    std::fs::write(&path, on_disk).unwrap();
    let journal = open();
    // Of this ref the ledger says nothing.
    journal.remember_reference(b"s", None, journal.generation());
    append_to(b"s", &journal, b"another", None);
    append(&journal, b"fourth", Some(b"first"));
    append(&journal, b"fifth", Some(b"fourth"));
    let journal = open();
    assert_eq!(journal.reference(b"r"), Some(Some(Id::of_blob(b"fifth"))));
    assert_eq!(journal.size().1, 4);
    assert_eq!(journal.damage(), []);
}

#[test]
fn a_writer_that_died_between_two_words_of_the_ledger_leads_nobody_astray() {
    // The place's value, its check, the end's value, its check.
    for stored in 0..=4 {
        let directory = tempfile::tempdir().unwrap();
        Journal::init(directory.path()).unwrap();
        let open = || opened(directory.path(), &[b"r", b"s"]);
        let append = |journal: &Journal, content: &[u8], name: &[u8], old: Option<&[u8]>| {
            journal.append(&mut frame_of(content, name, old.map(Id::of_blob))).unwrap()
        };
        let (victim, other) = (open(), open());
        append(&victim, b"1", b"r", None);
        append(&other, b"2", b"s", None);
        append(&victim, b"3", b"r", Some(b"1"));
        let lock = directory.path().join("lock");
        let before = std::fs::read(&lock).unwrap();
        append(&victim, b"4", b"r", Some(b"3"));
        let after = std::fs::read(&lock).unwrap();
        let place = 16 + 16 * ledger::place_of(b"r");
        let words = [place, place + 8, 16, 24];
        let mut mixed = before.clone();
        for at in &words[..stored] {
            mixed[*at..at + 8].copy_from_slice(&after[*at..at + 8]);
        }
        assert_eq!(mixed == after, stored == words.len());
        std::fs::write(&lock, &mixed).unwrap();
        // It knows the ref as it was before that.
        assert!(matches!(append(&other, b"5", b"s", Some(b"2")), Append::Done(_)));
        let outcome = append(&other, b"6", b"r", Some(b"3"));
        assert!(matches!(outcome, Append::Moved(_, found, _) if found == Some(Id::of_blob(b"4"))));
        assert!(matches!(append(&other, b"7", b"r", Some(b"4")), Append::Done(_)));
        let journal = open();
        assert_eq!(journal.reference(b"r"), Some(Some(Id::of_blob(b"7"))), "{stored}");
        assert_eq!(journal.reference(b"s"), Some(Some(Id::of_blob(b"5"))), "{stored}");
        assert_eq!((journal.size().1, journal.damage()), (7, Vec::new()), "{stored}");
    }
}

#[test]
fn an_own_frame_that_a_thread_has_read_with_later_ones_sets_no_ref_back() {
    let directory = tempfile::tempdir().unwrap();
    Journal::init(directory.path()).unwrap();
    let open = || opened(directory.path(), &[b"r"]);
    let (one, other) = (open(), open());
    let mut frame = frame_of(b"own", b"r", None);
    let Append::Done(position) = one.append(&mut frame).unwrap() else { panic!() };
    let later = &mut frame_of(b"later", b"r", Some(Id::of_blob(b"own")));
    other.refresh().unwrap();
    assert!(matches!(other.append(later), Ok(Append::Done(_))));
    one.refresh().unwrap();
    // As if it came to that only now, behind the lock.
    let segment = Arc::clone(&one.state.read().segments[&position.0]);
    one.take_in_own(&frame, &segment, position).unwrap();
    assert_eq!(one.reference(b"r"), Some(Some(Id::of_blob(b"later"))));
    assert_eq!((one.end(), one.size().1), (other.end(), 2));
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
