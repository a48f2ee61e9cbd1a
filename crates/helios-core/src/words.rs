//! Numbers in a file that every process maps: to read or write one takes nanoseconds, there is
//! nothing to flush, and nothing is lost at `kill -9`.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapMut, MmapOptions};

use crate::platform;

/// The first words of a file, eight bytes each. What order their bytes are in is the user's affair.
pub struct SharedWords {
    // The atomics are views of it.
    map: MmapMut,
    count: usize,
}

impl SharedWords {
    /// Maps them; a file that is shorter is filled up with zeros.
    pub fn map(file: &File, count: usize) -> io::Result<SharedWords> {
        let bytes = count * size_of::<AtomicU64>();
        let len = file.metadata()?.len();
        if len < bytes as u64 {
            // Written, not only extended: a hole in a mapping is a SIGBUS when the disk is full.
            platform::write_all_at(file, &vec![0; bytes - len as usize], len)?;
        }
        // SAFETY: the mapping is only ever read and written through `AtomicU64`, for which any bit
        // pattern is valid, so other processes that write to it cannot cause undefined behaviour.
        // The file is as long as the mapping, and nothing in Helios ever shortens it.
        let map = unsafe { MmapOptions::new().len(bytes).map_mut(file) }?;
        Ok(SharedWords { map, count })
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: a mapping starts at a page boundary, so it is aligned for u64; it is `count`
        // words long and lives as long as `self`; AtomicU64 has the layout of u64 and allows shared
        // mutation.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_one_stores_others_load_and_the_file_holds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("words");
        std::fs::write(&path, 7u64.to_ne_bytes()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (one, other) = (open(), open());
        let (one, other) =
            (SharedWords::map(&one, 600).unwrap(), SharedWords::map(&other, 2).unwrap());
        assert_eq!((one.len(), other.len()), (600, 2));
        assert_eq!(one[0].load(Ordering::Relaxed), 7);
        other[1].store(9, Ordering::Relaxed);
        assert_eq!(one[1].load(Ordering::Relaxed), 9);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 4800);
        assert_eq!(bytes[8..16], 9u64.to_ne_bytes());
        assert!(bytes[16..].iter().all(|byte| *byte == 0));
    }
}
