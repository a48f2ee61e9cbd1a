//! A snapshot has one encoding: whatever decodes, encodes to the same bytes. Otherwise two ids
//! could name one snapshot.
#![no_main]

use helios_core::object::Snapshot;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::decode(bytes) else {
        return;
    };
    let mut encoded = Vec::new();
    snapshot.encode(&mut encoded);
    assert_eq!(encoded, bytes);
});
