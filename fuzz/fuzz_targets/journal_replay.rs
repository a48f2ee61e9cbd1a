//! A journal with anything at all behind its last commit opens or is refused with an error; when
//! it opens, what was committed is there, and so is what is committed next.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use helios_core::error::Result;
use helios_core::id::Id;
use helios_core::journal::frame::{FrameBuilder, HEADER_LEN, MAGIC};
use helios_core::journal::{segment, Append, Durability, Journal};
use helios_core::object::Kind;
use helios_core::store::record;
use libfuzzer_sys::fuzz_target;

const COMMITTED: &[u8] = b"committed before the damage";
const NEXT: &[u8] = b"committed after the damage";

struct Template {
    _owner: tempfile::TempDir,
    directory: PathBuf,
    segment: Vec<u8>,
}

/// A journal with one object, and the bytes of its segment.
static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    // In memory where there is such a directory: each input opens the journal three times.
    let memory = Path::new("/dev/shm");
    let owner = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let owner = owner.expect("a directory for the journal");
    let directory = owner.path().join("journal");
    Journal::init(&directory).expect("a new journal");
    let journal = Journal::open(&directory, Durability::Process).expect("to open it");
    append(&journal, COMMITTED).expect("a first commit");
    let segment = std::fs::read(directory.join(segment::file_name(1))).expect("its segment");
    Template { _owner: owner, directory, segment }
});

fn append(journal: &Journal, content: &[u8]) -> Result<Append> {
    let mut frame = FrameBuilder::default();
    frame.object(Id::of_blob(content), |out| record::put_raw(out, Kind::Blob, content));
    journal.append(&mut frame)
}

fn assert_holds(journal: &Journal, content: &[u8]) {
    let stored = journal.record(&Id::of_blob(content)).expect("to read the journal");
    let stored = stored.expect("the journal to have the object");
    let record = record::Record::parse(&stored).expect("an intact record");
    assert_eq!(record.inflate().expect("its content"), content);
}

/// The bytes as the payload of a frame whose checksum holds.
fn sealed_in_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN];
    frame[..4].copy_from_slice(&MAGIC);
    frame[8..].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    frame.extend_from_slice(payload);
    let checksum = crc32fast::hash(&frame[8..]);
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
    frame
}

fuzz_target!(|bytes: &[u8]| {
    let Some((control, bytes)) = bytes.split_first() else {
        return;
    };
    let directory = &TEMPLATE.directory;
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir(directory).expect("an empty directory");
    let forged = control % 2 == 1;
    let mut damaged = TEMPLATE.segment.clone();
    match forged {
        true => damaged.extend_from_slice(&sealed_in_frame(bytes)),
        false => damaged.extend_from_slice(bytes),
    }
    std::fs::write(directory.join(segment::file_name(1)), &damaged).expect("to write it");

    let Ok(journal) = Journal::open(directory, Durability::Process) else {
        return;
    };
    if forged {
        // Nonsense under a checksum that holds is no accident: an error is answer enough.
        let _ = append(&journal, NEXT);
        let _ = Journal::open(directory, Durability::Process);
        return;
    }
    if may_shadow(bytes) {
        return;
    }
    assert_holds(&journal, COMMITTED);
    let appended = append(&journal, NEXT).expect("to append");
    assert!(matches!(appended, Append::Done(_)));
    assert_holds(&journal, NEXT);
    drop(journal);
    let journal = Journal::open(directory, Durability::Process).expect("to open it again");
    assert_holds(&journal, COMMITTED);
    assert_holds(&journal, NEXT);
});

/// Whether the bytes may hold a frame that gives one of the two objects another record. The
/// journal trusts frames whose checksum holds; the engine verifies the content against the id.
fn may_shadow(bytes: &[u8]) -> bool {
    [COMMITTED, NEXT].iter().any(|content| {
        let id = Id::of_blob(content);
        bytes.windows(id.as_bytes().len()).any(|window| window == id.as_bytes())
    })
}
