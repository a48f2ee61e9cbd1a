//! Large files get their holes back: a piece of nothing but zeros is skipped, not written.
//!
//! Whether a file had holes is not part of a tree, and reading it does not tell. So every long run
//! of zeros becomes one, as `cp --sparse=always` does: the content is the same, and a disk image of
//! which little is used takes little.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// Shorter pieces are written: a hole is a matter of whole blocks.
const HOLE_BYTES_MIN: usize = 64 << 10;

/// Writes a new file from its start. `finish` must be called at the end.
pub struct SparseWriter<'f> {
    file: &'f mut File,
    len: u64,
}

impl SparseWriter<'_> {
    pub fn new(file: &mut File) -> SparseWriter<'_> {
        SparseWriter { file, len: 0 }
    }

    /// Gives the file its length, also if it ends in a hole.
    pub fn finish(self) -> io::Result<()> {
        self.file.set_len(self.len)
    }
}

impl Write for SparseWriter<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let is_hole = piece.len() >= HOLE_BYTES_MIN && piece.iter().all(|byte| *byte == 0);
        let written = match is_hole {
            true => {
                self.file.seek(SeekFrom::Current(piece.len() as i64))?;
                piece.len()
            }
            false => self.file.write(piece)?,
        };
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_read_as_the_zeros_they_stand_for() {
        let zeros = vec![0; HOLE_BYTES_MIN];
        let data = vec![7; 1000];
        for pieces in
            [vec![&zeros, &data, &zeros], vec![&zeros], vec![&data, &zeros, &data], vec![]]
        {
            let mut file = tempfile::tempfile().unwrap();
            let mut writer = SparseWriter::new(&mut file);
            for piece in &pieces {
                writer.write_all(piece).unwrap();
            }
            writer.finish().unwrap();
            let mut read = Vec::new();
            file.rewind().unwrap();
            io::Read::read_to_end(&mut file, &mut read).unwrap();
            assert!(read == pieces.into_iter().flatten().copied().collect::<Vec<u8>>());
        }
    }
}
