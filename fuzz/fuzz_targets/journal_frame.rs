//! Frames and operations: arbitrary bytes are refused without a panic, and an operation has one
//! encoding.
#![no_main]

use helios_core::journal::frame::{self, Item, Operation, HEADER_LEN};
use libfuzzer_sys::fuzz_target;

fn check_operation(bytes: &[u8]) {
    if let Ok(operation) = Operation::decode(bytes) {
        let mut encoded = Vec::new();
        operation.encode(&mut encoded);
        assert_eq!(encoded, bytes);
    }
}

fn check_items(frame: &[u8]) {
    for item in frame::items(frame) {
        match item {
            Ok(Item::Object { offset, record, .. }) => {
                assert_eq!(&frame[offset..offset + record.len()], record);
            }
            Ok(Item::Operation { bytes }) => check_operation(bytes),
            Ok(Item::Seal { .. }) | Err(_) => {}
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    check_operation(bytes);
    if let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
        let _ = frame::payload_len(header);
    }
    let _ = frame::is_intact(bytes);
    // Without regard to the checksum: a fuzzer would hardly ever get past it.
    check_items(bytes);
});
