//! Stored records: bytes from a damaged store are refused without a panic, and what is written is
//! read back as it was.
#![no_main]

use helios_core::id::Id;
use helios_core::object::Kind;
use helios_core::store::record::{self, Base, Form, Record, DEPTH_MAX};
use libfuzzer_sys::fuzz_target;

fn parse_anything(bytes: &[u8], base: &[u8]) {
    let Ok(record) = Record::parse(bytes) else {
        return;
    };
    if let Ok(content) = record.inflate() {
        assert_eq!(content.len() as u64, record.raw_len);
    }
    if let Ok(chunks) = record.chunks() {
        assert_eq!(chunks.iter().map(|chunk| chunk.len).sum::<u64>(), record.raw_len);
    }
    if let Ok(splice) = record.splice() {
        if let Ok(content) = splice.apply(base, record.raw_len) {
            assert_eq!(content.len() as u64, record.raw_len);
        }
    }
}

fn round_trip(content: &[u8], base_content: &[u8], depth: u8) {
    for put in [record::put_raw, record::put_compressed] {
        let mut stored = Vec::new();
        put(&mut stored, Kind::Blob, content);
        let record = Record::parse(&stored).expect("a record that was just written");
        assert_eq!(record.inflate().expect("its content"), content);
    }
    let base = Base { id: Id::of_blob(base_content), depth, bytes: base_content };
    let mut stored = Vec::new();
    let Some(new_depth) = record::put_splice(&mut stored, Kind::Tree, &base, content) else {
        assert!(stored.is_empty(), "a splice that was not worth it left bytes behind");
        return;
    };
    let record = Record::parse(&stored).expect("a splice that was just written");
    assert_eq!((record.form, record.depth), (Form::Splice, new_depth));
    let splice = record.splice().expect("its payload");
    assert_eq!(splice.base, base.id);
    assert_eq!(splice.apply(base_content, record.raw_len).expect("its content"), content);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((control, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let cut = rest.len() * usize::from(control[0]) / 256;
    let (first, second) = rest.split_at(cut);
    parse_anything(first, second);
    round_trip(first, second, control[1] % (DEPTH_MAX + 1));
});
