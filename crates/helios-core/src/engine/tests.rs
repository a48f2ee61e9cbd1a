//! The engine end to end, without Python: commits, reopening, torn and damaged journals.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::commit::CommitOptions;
use super::*;
use crate::error::BranchMoved;
use crate::journal::frame::{Operation, RefChange};
use crate::store::record::{put_splice, Base};
use crate::tree::EntryKind;

const CACHE_BYTES: usize = 1 << 20;

fn repository() -> (tempfile::TempDir, Engine) {
    let directory = tempfile::tempdir().unwrap();
    Engine::init(directory.path()).unwrap();
    let engine = open(directory.path());
    (directory, engine)
}

fn open(directory: &Path) -> Engine {
    Engine::open(directory, Durability::Process, CACHE_BYTES, None).unwrap()
}

fn branch(engine: &Engine, name: &str) -> Option<Id> {
    engine.references(refs::BRANCH_PREFIX, usize::MAX).unwrap().get(name.as_bytes()).copied()
}

fn write(vst: &mut Vst, engine: &Engine, path: &str, content: &str) {
    let bytes: Arc<[u8]> = Arc::from(content.as_bytes());
    vst.write(path.as_bytes(), bytes, EntryKind::File, engine).unwrap();
}

fn read(vst: &Vst, engine: &Engine, path: &str) -> String {
    String::from_utf8(vst.read(path.as_bytes(), engine).unwrap().to_vec()).unwrap()
}

fn commit(vst: &mut Vst, engine: &Engine, message: &str) -> Id {
    let options = CommitOptions { message: message.into(), ..CommitOptions::default() };
    engine.commit(vst, &options).unwrap().id
}

fn segment(directory: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir(directory.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    found.sort();
    found.pop().unwrap()
}

#[test]
fn commits_survive_reopening() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "src/a.txt", "one");
    let first = commit(&mut vst, &engine, "first");
    write(&mut vst, &engine, "src/a.txt", "two");
    let second = commit(&mut vst, &engine, "second");
    drop(engine);

    let engine = open(directory.path());
    assert_eq!(branch(&engine, "main"), Some(second));
    assert_eq!(engine.snapshot(&second).unwrap().parents, vec![first]);
    let old = engine.vst(Some(first), None).unwrap();
    assert_eq!(read(&old, &engine, "src/a.txt"), "one");
    assert_eq!(read(&engine.vst_of_branch("main").unwrap(), &engine, "src/a.txt"), "two");
}

#[test]
fn nothing_changed_is_nothing_written() {
    let (_directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "one");
    let first = commit(&mut vst, &engine, "");
    let size = engine.journal().size();
    write(&mut vst, &engine, "a", "two");
    write(&mut vst, &engine, "a", "one");
    let again = engine.commit(&mut vst, &CommitOptions::default()).unwrap();
    assert_eq!((again.id, again.is_new), (first, false));
    assert_eq!(engine.journal().size(), size);
    let options = CommitOptions { allow_empty: true, ..CommitOptions::default() };
    assert!(engine.commit(&mut vst, &options).unwrap().is_new);
}

#[test]
fn forks_go_their_own_ways() {
    let (_directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "base");
    write(&mut vst, &engine, "b", "not committed");
    let mut fork = vst.fork(None);
    write(&mut fork, &engine, "a", "fork");
    let forked = commit(&mut fork, &engine, "fork");
    assert_eq!(read(&vst, &engine, "a"), "base");
    let main = commit(&mut vst, &engine, "main");
    assert_eq!(read(&engine.vst(Some(forked), None).unwrap(), &engine, "b"), "not committed");
    assert_eq!(branch(&engine, "main"), Some(main));
}

#[test]
fn the_loser_of_a_race_keeps_its_snapshot() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "base");
    let base = commit(&mut vst, &engine, "base");
    let other = open(directory.path());
    let mut late = other.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "winner");
    let winner = commit(&mut vst, &engine, "winner");
    write(&mut late, &other, "a", "loser");
    match other.commit(&mut late, &CommitOptions::default()) {
        Err(Error::BranchMoved(moved)) => {
            let BranchMoved { branch, expected, actual, yours } = *moved;
            assert_eq!((branch.as_str(), expected, actual), ("main", Some(base), Some(winner)));
            let engine = open(directory.path());
            let kept = engine.vst(yours, None).unwrap();
            assert_eq!(read(&kept, &engine, "a"), "loser");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(branch(&open(directory.path()), "main"), Some(winner));
}

#[test]
fn two_engines_see_each_others_commits() {
    let (directory, engine) = repository();
    let other = open(directory.path());
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 { (&engine, &other) } else { (&other, &engine) };
        let mut vst = writer.vst_of_branch("main").unwrap();
        write(&mut vst, writer, "n", &round.to_string());
        commit(&mut vst, writer, "");
        let vst = reader.vst_of_branch("main").unwrap();
        assert_eq!(read(&vst, reader, "n"), round.to_string());
    }
}

#[test]
fn segments_rotate_and_are_read_back() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    let mut state = 1u64;
    for n in 0..40 {
        let noise: String = (0..300_000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                char::from(b'a' + ((state >> 40) % 26) as u8)
            })
            .collect();
        write(&mut vst, &engine, &format!("noise{n}"), &noise);
        commit(&mut vst, &engine, "");
    }
    assert!(engine.journal().sealed_count() >= 1);
    let again = open(directory.path());
    let other = again.vst_of_branch("main").unwrap();
    assert_eq!(read(&other, &again, "noise0"), read(&vst, &engine, "noise0"));
    assert_eq!(again.journal().size().1, engine.journal().size().1);
}

#[test]
fn a_cut_at_every_byte_of_the_last_frame_loses_that_frame_only() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "one");
    let first = commit(&mut vst, &engine, "first");
    let path = segment(directory.path());
    let before = fs::metadata(&path).unwrap().len() as usize;
    write(&mut vst, &engine, "a", "two");
    commit(&mut vst, &engine, "second");
    let whole = fs::read(&path).unwrap();
    drop(engine);
    for cut in before..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let engine = open(directory.path());
        assert_eq!(branch(&engine, "main"), Some(first), "cut at {cut}");
        let mut vst = engine.vst_of_branch("main").unwrap();
        write(&mut vst, &engine, "a", "three");
        commit(&mut vst, &engine, "third");
        let engine = open(directory.path());
        assert_eq!(read(&engine.vst_of_branch("main").unwrap(), &engine, "a"), "three");
        assert_eq!(engine.journal().damage().len(), usize::from(cut > before));
        if cut > before {
            let lost = directory.path().join("journal/lost");
            let kept = fs::read_dir(&lost).unwrap().next().unwrap().unwrap().path();
            // Trailing zeros cannot be told from space that was never written.
            let end = whole[before..cut].iter().rposition(|byte| *byte != 0).unwrap() + 1;
            assert_eq!(fs::read(kept).unwrap(), &whole[before..before + end]);
            fs::remove_dir_all(lost).unwrap();
        }
    }
}

#[test]
fn a_flipped_byte_in_a_frame_loses_that_frame_and_is_reported() {
    let (directory, engine) = repository();
    let path = segment(directory.path());
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "one");
    commit(&mut vst, &engine, "first");
    let start = fs::metadata(&path).unwrap().len() as usize;
    let mut fork = vst.fork(Some(refs::branch_ref("side").unwrap())).on_new_branch();
    write(&mut fork, &engine, "a", "two");
    commit(&mut fork, &engine, "second");
    let end = fs::metadata(&path).unwrap().len() as usize;
    write(&mut vst, &engine, "b", "three");
    let third = commit(&mut vst, &engine, "third");
    let whole = fs::read(&path).unwrap();
    drop(engine);
    for at in start..end {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        fs::write(&path, &damaged).unwrap();
        let engine = open(directory.path());
        let damage = engine.journal().damage();
        assert_eq!(damage.len(), 1, "byte {at}");
        assert_eq!((damage[0].offset, damage[0].len), (start as u64, (end - start) as u64));
        assert_eq!(branch(&engine, "main"), Some(third));
        assert_eq!(branch(&engine, "side"), None);
        assert_eq!(read(&engine.vst_of_branch("main").unwrap(), &engine, "b"), "three");
        drop(engine);
        assert_eq!(fs::read(&path).unwrap(), damaged, "damage is never overwritten");
    }
}

#[test]
fn damage_in_what_was_synced_is_reported_and_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    Engine::init(directory.path()).unwrap();
    let open_synced =
        || Engine::open(directory.path(), Durability::Disk, CACHE_BYTES, None).unwrap();
    let engine = open_synced();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "one");
    let first = commit(&mut vst, &engine, "first");
    let start = engine.journal().size().0 as usize;
    write(&mut vst, &engine, "a", "two");
    commit(&mut vst, &engine, "second");
    let end = engine.journal().size().0 as usize;
    drop(engine);
    let path = segment(directory.path());
    let whole = fs::read(&path).unwrap();
    for at in start..end {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        fs::write(&path, &damaged).unwrap();
        let engine = open_synced();
        let damage = engine.journal().damage();
        assert_eq!(damage.len(), 1, "byte {at}");
        assert_eq!((damage[0].offset, damage[0].len), (start as u64, (end - start) as u64));
        assert_eq!(branch(&engine, "main"), Some(first));
    }
    let engine = open_synced();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "three");
    let third = commit(&mut vst, &engine, "third");
    let engine = open_synced();
    assert_eq!(branch(&engine, "main"), Some(third));
    assert_eq!(engine.journal().damage().len(), 1);
    assert_ne!(fs::read(&path).unwrap()[start..end], vec![0; end - start]);
}

#[test]
fn sealed_segments_can_be_read_and_discarded() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    write(&mut vst, &engine, "a", "one");
    let first = commit(&mut vst, &engine, "first");
    engine.journal().seal().unwrap();
    engine.journal().seal().unwrap();
    assert_eq!(engine.journal().sealed_segments(), vec![1]);
    let frames = engine.journal().sealed_frames(1).unwrap();
    assert_eq!(frames.len(), 2, "the commit and the seal");
    assert!(frames[0].objects.iter().any(|(id, _)| *id == first));
    assert!(frames[0].operation.is_some());
    let other = open(directory.path());
    engine.journal().discard(1).unwrap();
    assert_eq!(engine.journal().sealed_count(), 0);
    // Who had it open goes on reading it; who opens anew finds it in L2, which is missing here.
    assert_eq!(other.snapshot(&first).unwrap().message, b"first");
    let anew = open(directory.path());
    assert!(matches!(anew.snapshot(&first), Err(Error::ObjectNotFound { .. })));
}

/// An L2 store in memory; counts the calls.
#[derive(Default)]
struct Records {
    known: HashMap<Id, Vec<u8>>,
    calls: Mutex<usize>,
}

impl RecordSource for Records {
    fn records(&self, ids: &[Id]) -> Result<Vec<Option<Vec<u8>>>> {
        *self.calls.lock() += 1;
        Ok(ids.iter().map(|id| self.known.get(id).cloned()).collect())
    }

    fn reference(&self, _name: &[u8]) -> Result<Option<Id>> {
        Ok(None)
    }

    fn references(&self, _prefix: &[u8], _limit: usize) -> Result<Vec<(Vec<u8>, Id)>> {
        Ok(Vec::new())
    }

    fn refresh(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn chains_in_l2_are_followed_side_by_side() {
    let (_directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    let mut versions = Vec::new();
    for n in 0..12 {
        let content = format!("{}version {n}\n", "line of text\n".repeat(100));
        write(&mut vst, &engine, "a", &content);
        commit(&mut vst, &engine, "");
        versions.push((Id::of_blob(content.as_bytes()), content));
    }
    engine.journal().seal().unwrap();
    let mut source = Records::default();
    for frame in engine.journal().sealed_frames(1).unwrap() {
        source.known.extend(frame.objects);
    }
    // Newest first, so that all of them want the older ones in the same batch.
    versions.reverse();
    let ids: Vec<Id> = versions.iter().map(|(id, _)| *id).collect();
    let reader = Engine::in_memory(CACHE_BYTES, Some(Arc::new(source)));
    for (object, (_, content)) in reader.objects(&ids).unwrap().iter().zip(&versions) {
        assert_eq!(&object.bytes[..], content.as_bytes());
    }
}

#[test]
fn content_that_comes_back_after_maintenance_stays_readable() {
    let directory = tempfile::tempdir().unwrap();
    Engine::init(directory.path()).unwrap();
    let texts: Vec<String> =
        (0..3).map(|n| format!("{}version {n}\n", "line of text\n".repeat(100))).collect();
    let open_with = |source: &Arc<Records>| {
        let source: Arc<dyn RecordSource> = Arc::clone(source) as Arc<dyn RecordSource>;
        let (path, durability) = (directory.path(), Durability::Process);
        Engine::open(path, durability, CACHE_BYTES, Some(source)).unwrap()
    };
    let mut source = Records::default();
    let engine = open(directory.path());
    let mut vst = engine.vst_of_branch("main").unwrap();
    let mut snapshots = Vec::new();
    for text in &texts {
        // A second file keeps the tree nodes large enough to be spliced.
        for n in 0..20 {
            write(&mut vst, &engine, &format!("other{n}"), "x");
        }
        write(&mut vst, &engine, "a", text);
        snapshots.push(commit(&mut vst, &engine, ""));
    }
    engine.journal().seal().unwrap();
    for segment in engine.journal().sealed_segments() {
        for frame in engine.journal().sealed_frames(segment).unwrap() {
            source.known.extend(frame.objects);
        }
        engine.journal().discard(segment).unwrap();
    }
    drop(engine);
    let source = Arc::new(source);
    // Back and forth, as a restore does it: everything is written again, the other way round.
    let engine = open_with(&source);
    let mut vst = engine.vst(Some(snapshots[2]), None).unwrap();
    for text in texts.iter().rev().chain(&texts) {
        read(&vst, &engine, "a");
        write(&mut vst, &engine, "a", text);
        commit(&mut vst, &engine, "again");
    }
    let engine = open_with(&source);
    for (snapshot, text) in snapshots.iter().zip(&texts) {
        let vst = engine.vst(Some(*snapshot), None).unwrap();
        assert_eq!(&read(&vst, &engine, "a"), text);
        assert_eq!(read(&vst, &engine, "other7"), "x");
    }
}

#[test]
fn a_real_cycle_is_an_error() {
    let bytes = vec![b'x'; 1000];
    let (a, b) = (Id::of_blob(b"a"), Id::of_blob(b"b"));
    let mut source = Records::default();
    for (id, base) in [(a, b), (b, a)] {
        let mut record = Vec::new();
        let base = Base { id: base, depth: 0, bytes: &bytes };
        put_splice(&mut record, Kind::Blob, &base, &bytes).unwrap();
        source.known.insert(id, record);
    }
    let engine = Engine::in_memory(CACHE_BYTES, Some(Arc::new(source)));
    assert!(matches!(engine.object(&a), Err(Error::CorruptObject { id, .. }) if id == a));
}

#[test]
fn a_missing_base_is_named() {
    let (_directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    let text = "line of text\n".repeat(100);
    write(&mut vst, &engine, "a", &text);
    commit(&mut vst, &engine, "");
    let edited = format!("{text}more\n");
    write(&mut vst, &engine, "a", &edited);
    commit(&mut vst, &engine, "");
    engine.journal().seal().unwrap();
    let mut source = Records::default();
    for frame in engine.journal().sealed_frames(1).unwrap() {
        source.known.extend(frame.objects);
    }
    let (base, id) = (Id::of_blob(text.as_bytes()), Id::of_blob(edited.as_bytes()));
    source.known.remove(&base);
    let reader = Engine::in_memory(CACHE_BYTES, Some(Arc::new(source)));
    assert!(matches!(reader.object(&base), Err(Error::ObjectNotFound { id }) if id == base));
    match reader.object(&id) {
        Err(Error::CorruptObject { id: found, reason }) => {
            assert_eq!(found, id);
            assert!(reason.contains(&base.to_hex()), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_seal_that_names_another_segment_is_refused() {
    let (directory, engine) = repository();
    drop(engine);
    let path = segment(directory.path());
    for next in [1u64, 3, 0] {
        let mut payload = vec![3];
        payload.extend_from_slice(&next.to_le_bytes());
        let mut rest = (payload.len() as u64).to_le_bytes().to_vec();
        rest.extend_from_slice(&payload);
        let mut bytes = fs::read(&path).unwrap()[..32].to_vec();
        bytes.extend_from_slice(b"HLF1");
        bytes.extend_from_slice(&crc32fast::hash(&rest).to_le_bytes());
        bytes.extend_from_slice(&rest);
        fs::write(&path, &bytes).unwrap();
        let opened = Engine::open(directory.path(), Durability::Process, CACHE_BYTES, None);
        assert!(matches!(opened, Err(Error::CorruptJournal { .. })), "{next}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let (directory, engine) = repository();
    drop(engine);
    fs::write(directory.path().join("format"), "helios 99\n").unwrap();
    let opened = Engine::open(directory.path(), Durability::Process, CACHE_BYTES, None);
    assert!(matches!(opened, Err(Error::FormatTooNew(_, 99, FORMAT))));
}

#[test]
fn long_histories_of_small_edits_stay_small_and_readable() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    for n in 0..300 {
        write(&mut vst, &engine, &format!("d/{n}"), &"line of text\n".repeat(100));
    }
    commit(&mut vst, &engine, "");
    let before = engine.journal().size().0;
    let mut ids = Vec::new();
    for n in 0..100 {
        let content = format!("{}edit {n}\n", "line of text\n".repeat(100));
        write(&mut vst, &engine, "d/7", &content);
        ids.push((commit(&mut vst, &engine, ""), content));
    }
    let each = (engine.journal().size().0 - before) / 100;
    assert!(each < 2500, "{each} bytes a commit");
    let engine = open(directory.path());
    for (id, content) in ids {
        assert_eq!(read(&engine.vst(Some(id), None).unwrap(), &engine, "d/7"), content);
    }
}

#[test]
fn large_blobs_are_chunked_and_share_chunks() {
    let (directory, engine) = repository();
    let mut state = 7u64;
    let mut noise: Vec<u8> = (0..6 << 20)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect();
    let mut vst = engine.vst_of_branch("main").unwrap();
    vst.write(b"big", Arc::from(&noise[..]), EntryKind::File, &engine).unwrap();
    commit(&mut vst, &engine, "");
    let before = engine.journal().size().0;
    noise.insert(3 << 20, 9);
    vst.write(b"big", Arc::from(&noise[..]), EntryKind::File, &engine).unwrap();
    commit(&mut vst, &engine, "");
    assert!(engine.journal().size().0 - before < 3 << 20);
    let again = open(directory.path());
    let vst = again.vst_of_branch("main").unwrap();
    assert_eq!(&vst.read(b"big", &again).unwrap()[..], &noise[..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_behind_the_journal_is_kept_aside(
        garbage in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        let (directory, engine) = repository();
        let mut vst = engine.vst_of_branch("main").unwrap();
        write(&mut vst, &engine, "a", "one");
        commit(&mut vst, &engine, "");
        drop(engine);
        let path = segment(directory.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&garbage);
        fs::write(&path, &bytes).unwrap();
        let engine = open(directory.path());
        let mut vst = engine.vst_of_branch("main").unwrap();
        write(&mut vst, &engine, "a", "two");
        commit(&mut vst, &engine, "");
        let engine = open(directory.path());
        prop_assert_eq!(read(&engine.vst_of_branch("main").unwrap(), &engine, "a"), "two");
    }
}

#[test]
fn an_operation_changes_all_of_its_refs_or_none() {
    let (directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    let first = commit(&mut vst, &engine, "first");
    write(&mut vst, &engine, "a", "two");
    let second = commit(&mut vst, &engine, "second");
    let change = |name: &str, old, new| RefChange { name: name.into(), old, new };
    let operate = |changes| {
        let (actor, command) = (b"me".to_vec(), b"test".to_vec());
        engine.operate(Operation { time_us: 1, actor, command, changes })
    };
    // A worktree's old value is what was on disk, not what the ref was.
    let made = operate(vec![
        change("tags/v1", None, Some(first)),
        change("worktrees/main", Some(second), Some(first)),
    ]);
    let lost = operate(vec![
        change("tags/v2", None, Some(first)),
        change("heads/main", Some(first), Some(second)),
    ]);
    assert!(matches!(lost, Err(Error::BranchMoved(moved)) if moved.branch == "main"));
    for engine in [&engine, &open(directory.path())] {
        let found = |name: &str| engine.reference(name.as_bytes()).unwrap();
        assert_eq!(found("tags/v1"), Some(first));
        assert_eq!(found("worktrees/main"), Some(first));
        assert_eq!(found("tags/v2"), None);
        let journal = engine.journal();
        let segments = journal.segment_numbers();
        let operations = journal.operations(segments[0]).unwrap();
        assert_eq!(operations.len(), 3);
        let (position, encoded) = &operations[2];
        assert_eq!(&refs::operation_id(*position, encoded), made.as_ref().unwrap());
    }
}

#[test]
fn references_are_cut_behind_the_limit() {
    let (_directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    let first = commit(&mut vst, &engine, "first");
    let changes = ["b", "a", "c"].map(|name| RefChange {
        name: [refs::TAG_PREFIX, name.as_bytes()].concat(),
        old: None,
        new: Some(first),
    });
    let (actor, command) = (Vec::new(), Vec::new());
    engine.operate(Operation { time_us: 1, actor, command, changes: changes.into() }).unwrap();
    let names = |limit| -> Vec<Vec<u8>> {
        engine.references(refs::TAG_PREFIX, limit).unwrap().into_keys().collect()
    };
    assert_eq!(names(2), [b"a", b"b"]);
    assert_eq!(names(3), [b"a", b"b", b"c"]);
    assert_eq!(names(usize::MAX).len(), 3);
}

#[test]
fn the_pieces_of_a_blob_are_checked() {
    let (_directory, engine) = repository();
    let mut vst = engine.vst_of_branch("main").unwrap();
    let large: Vec<u8> = (0..3_000_000u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
    let large: Arc<[u8]> = large.into();
    vst.write(b"large", Arc::clone(&large), EntryKind::File, &engine).unwrap();
    commit(&mut vst, &engine, "large");
    let mut pieces = Vec::new();
    let mut take = |piece: &[u8]| {
        pieces.push(piece.to_vec());
        Ok(())
    };
    engine.each_piece(&Id::of_blob(&large), &mut take).unwrap();
    assert!(pieces.len() > 1);
    assert_eq!(pieces.concat(), &large[..]);
    assert!(engine.each_piece(&Id::of_blob(b"nothing"), &mut |_| Ok(())).is_err());
}
