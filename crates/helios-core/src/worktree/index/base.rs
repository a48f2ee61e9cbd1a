//! The sorted records of an index file's base block, in pages that are read when somebody asks.
//!
//! Who looks at a few paths of a large tree reads a few pages. A page that cannot be read, or is
//! not as it was written, is empty, and the base is damaged from then on: what it says has gaps.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform;
use crate::worktree::index::directory::{Directory, Page, Records};
use crate::worktree::index::record::{Known, Record};

/// Where the pages are.
pub enum Source {
    /// The file as it was opened: nobody writes to a base, a new one takes the place of its file.
    File(File),
    Memory(Vec<u8>),
}

pub struct Base {
    source: Source,
    directory: Directory,
    /// Bytes of the base block; what follows in the file is the log.
    len: usize,
    is_damaged: AtomicBool,
}

/// A place among the entries: in which page, and which of its records.
#[derive(Clone, Copy)]
pub struct Position(usize, usize);

impl Position {
    pub fn step(&mut self) {
        self.1 += 1;
    }
}

impl Default for Base {
    fn default() -> Base {
        Base::new(Source::Memory(Vec::new()), Directory::default(), 0)
    }
}

impl Base {
    /// `len` is that of the block in the file.
    pub fn new(source: Source, directory: Directory, len: usize) -> Base {
        Base { source, directory, len, is_damaged: AtomicBool::new(false) }
    }

    /// Bytes of the base block.
    pub fn block_len(&self) -> usize {
        self.len
    }

    pub fn entry_count(&self) -> usize {
        self.directory.entry_count
    }

    /// Whether a page that was asked for until now is damaged.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    pub fn get(&self, path: &[u8]) -> Option<Known> {
        let Position(page, number) = self.lower_bound(path);
        self.record(page, number).filter(|record| record.path == path)?.known()
    }

    /// The position of the first entry whose path is not less.
    pub fn lower_bound(&self, path: &[u8]) -> Position {
        let after = self.directory.pages.partition_point(|page| &*page.first <= path);
        let Some(page) = after.checked_sub(1) else {
            return Position(0, 0);
        };
        let is_less = |offset: &u32| {
            record_at(self.bytes(page), *offset).is_some_and(|record| record.path < path)
        };
        Position(page, self.offsets(page).partition_point(is_less))
    }

    /// The entry at a position, which is moved on where it is behind the last of a page. None
    /// behind the last of all.
    pub fn at(&self, position: &mut Position) -> Option<(&[u8], Known)> {
        while position.0 < self.directory.pages.len() {
            if let Some(record) = self.record(position.0, position.1) {
                return Some((record.path, record.known()?));
            }
            *position = Position(position.0 + 1, 0);
        }
        None
    }

    /// The paths of doubtful entries.
    pub fn doubtful(&self) -> impl Iterator<Item = &[u8]> {
        let pages = self.directory.pages.iter().enumerate().filter(|(_, page)| page.has_doubtful);
        pages.flat_map(move |(page, _)| {
            let records = (0..self.offsets(page).len()).filter_map(move |at| self.record(page, at));
            records.filter(Record::is_doubtful).map(|record| record.path)
        })
    }

    #[cfg(test)]
    pub fn pages_read(&self) -> usize {
        self.directory.pages.iter().filter(|page| page.read.get().is_some()).count()
    }

    fn record(&self, page: usize, number: usize) -> Option<Record<'_>> {
        record_at(self.bytes(page), *self.offsets(page).get(number)?)
    }

    fn offsets(&self, page: usize) -> &[u32] {
        self.records(page).map_or(&[], |records| &records.offsets)
    }

    fn bytes(&self, page: usize) -> &[u8] {
        match (self.records(page), &self.source) {
            (Some(Records { bytes: Some(bytes), .. }), _) => bytes,
            (Some(_), Source::Memory(bytes)) => self.in_memory(page, bytes).unwrap_or_default(),
            _ => &[],
        }
    }

    fn in_memory<'b>(&self, page: usize, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let page = self.directory.pages.get(page)?;
        bytes.get(page.offset..)?.get(..page.len)
    }

    fn records(&self, number: usize) -> Option<&Records> {
        let page = self.directory.pages.get(number)?;
        Some(page.read.get_or_init(|| {
            self.read(number, page).unwrap_or_else(|| {
                self.is_damaged.store(true, Ordering::Relaxed);
                Records::default()
            })
        }))
    }

    fn read(&self, number: usize, page: &Page) -> Option<Records> {
        let until = self.directory.pages.get(number + 1).map(|next| &*next.first);
        match &self.source {
            Source::Memory(bytes) => {
                let offsets = offsets(self.in_memory(number, bytes)?, &page.first, until)?;
                Some(Records { bytes: None, offsets })
            }
            Source::File(file) => {
                let mut bytes = vec![0; page.len];
                platform::read_exact_at(file, &mut bytes, page.offset as u64).ok()?;
                if crc32fast::hash(&bytes) != page.checksum {
                    return None;
                }
                let offsets = offsets(&bytes, &page.first, until)?;
                Some(Records { bytes: Some(bytes), offsets })
            }
        }
    }
}

/// Where each record of a page begins. None if they are not all valid, with paths in strictly
/// rising order from `first` on and less than `until`.
fn offsets(bytes: &[u8], first: &[u8], until: Option<&[u8]>) -> Option<Vec<u32>> {
    let mut offsets = Vec::with_capacity(bytes.len() / 80);
    let mut rest = bytes;
    let mut previous: Option<&[u8]> = None;
    while !rest.is_empty() {
        let (record, tail) = Record::split_first(rest)?;
        let is_next = previous.map_or(record.path == first, |path| path < record.path);
        if record.is_removal() || !is_next {
            return None;
        }
        offsets.push(u32::try_from(bytes.len() - rest.len()).ok()?);
        previous = Some(record.path);
        rest = tail;
    }
    let is_before = |until: &[u8]| previous.is_some_and(|path| path < until);
    until.is_none_or(is_before).then_some(offsets)
}

fn record_at(bytes: &[u8], offset: u32) -> Option<Record<'_>> {
    Record::split_first(bytes.get(offset as usize..)?).map(|(record, _)| record)
}
