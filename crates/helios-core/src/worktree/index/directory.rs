//! The directory of a base block: its pages, with the path that each begins with.

use std::sync::OnceLock;

use crate::worktree::index::record::{self, Known};

/// Bytes of a page after which another one begins.
const PAGE_BYTES: usize = 16 << 10;
/// Bytes of a page in the directory before its first path: length, checksum, flags, and the length
/// of that path.
const FIXED_LEN: usize = 4 + 4 + 1 + 4;
const FLAG_DOUBTFUL: u8 = 1;

/// Records that are read and checked together.
pub struct Page {
    pub first: Box<[u8]>,
    /// Where its records begin, in the file or in memory.
    pub offset: usize,
    pub len: usize,
    pub checksum: u32,
    pub has_doubtful: bool,
    pub read: OnceLock<Records>,
}

/// The records of a page, as far as they are known to be good.
#[derive(Default)]
pub struct Records {
    /// None of a page in memory.
    pub bytes: Option<Vec<u8>>,
    /// Where each begins.
    pub offsets: Vec<u32>,
}

/// Invariant: the first paths of the pages are in strictly rising order.
#[derive(Default)]
pub struct Directory {
    pub pages: Vec<Page>,
    pub entry_count: usize,
    /// Where the last page ends.
    pub end: usize,
}

impl Directory {
    /// The pages begin at `start` of the file. None of bytes that are no directory.
    pub fn decode(bytes: &[u8], start: usize) -> Option<Directory> {
        let (count, mut rest) = bytes.split_first_chunk::<8>()?;
        let entry_count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let mut directory = Directory { pages: Vec::new(), entry_count, end: start };
        while !rest.is_empty() {
            let (page, tail) = Page::split_first(rest, directory.end)?;
            if directory.pages.last().is_some_and(|before| before.first >= page.first) {
                return None;
            }
            directory.end = directory.end.checked_add(page.len)?;
            directory.pages.push(page);
            rest = tail;
        }
        Some(directory)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.entry_count as u64).to_le_bytes());
        for page in &self.pages {
            // A page has little more than `PAGE_BYTES`: one path more.
            out.extend_from_slice(&(page.len as u32).to_le_bytes());
            out.extend_from_slice(&page.checksum.to_le_bytes());
            out.push(if page.has_doubtful { FLAG_DOUBTFUL } else { 0 });
            out.extend_from_slice(&(page.first.len() as u32).to_le_bytes());
            out.extend_from_slice(&page.first);
        }
    }
}

impl Page {
    fn new(first: &[u8], offset: usize) -> Page {
        Page {
            first: first.into(),
            offset,
            len: 0,
            checksum: 0,
            has_doubtful: false,
            read: OnceLock::new(),
        }
    }

    fn split_first(bytes: &[u8], offset: usize) -> Option<(Page, &[u8])> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_LEN>()?;
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| fixed[at + byte]));
        let (first, rest) = rest.split_at_checked(usize::try_from(number(9)).ok()?)?;
        let page = Page {
            len: usize::try_from(number(0)).ok()?,
            checksum: number(4),
            has_doubtful: fixed[8] & FLAG_DOUBTFUL != 0,
            ..Page::new(first, offset)
        };
        Some((page, rest))
    }
}

/// Pages in memory, and what they hold.
#[derive(Default)]
pub struct Builder {
    directory: Directory,
    records: Vec<u8>,
}

impl Builder {
    /// Adds an entry, whose path is greater than those before it.
    pub fn add(&mut self, path: &[u8], known: &Known) {
        let offset = self.records.len();
        let pages = &mut self.directory.pages;
        if pages.last().is_none_or(|page| page.len >= PAGE_BYTES) {
            pages.push(Page::new(path, offset));
        }
        record::encode(&mut self.records, path, Some(known));
        if let Some(page) = pages.last_mut() {
            page.len = self.records.len() - page.offset;
            page.has_doubtful |= known.is_doubtful();
        }
        self.directory.entry_count += 1;
    }

    pub fn finish(mut self) -> (Directory, Vec<u8>) {
        for page in &mut self.directory.pages {
            page.checksum = crc32fast::hash(&self.records[page.offset..page.offset + page.len]);
        }
        self.directory.end = self.records.len();
        (self.directory, self.records)
    }
}
