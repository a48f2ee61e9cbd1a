//! A block of the index file: a checksummed frame around records.

use crate::id::{Id, ID_LEN};
use crate::worktree::watch::Token;

pub const VERSION: u32 = 2;
/// Blocks of this version have no token.
const VERSION_WITHOUT_TOKEN: u32 = 1;
/// Bytes before the records: magic, version, length, checksum, the tree, and the token.
pub const HEADER_LEN: usize = 20 + TREE_LEN + TOKEN_LEN;
const TREE_LEN: usize = 1 + ID_LEN;
const TOKEN_LEN: usize = 16 + 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockKind {
    Base,
    Log,
}

impl BlockKind {
    fn magic(self) -> [u8; 4] {
        match self {
            BlockKind::Base => *b"HIXB",
            BlockKind::Log => *b"HIXL",
        }
    }
}

/// A block under construction: records are appended to `bytes`, then `seal` fills in the header.
pub struct BlockBuilder {
    pub bytes: Vec<u8>,
}

impl BlockBuilder {
    pub fn with_capacity(records_len: usize) -> BlockBuilder {
        let mut bytes = Vec::with_capacity(HEADER_LEN + records_len);
        bytes.resize(HEADER_LEN, 0);
        BlockBuilder { bytes }
    }

    pub fn seal(mut self, kind: BlockKind, tree: Option<Id>, token: Option<Token>) -> Vec<u8> {
        let payload_len = (self.bytes.len() - 20) as u64;
        self.bytes[..4].copy_from_slice(&kind.magic());
        self.bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&payload_len.to_le_bytes());
        self.bytes[20] = u8::from(tree.is_some());
        self.bytes[21..53].copy_from_slice(tree.unwrap_or(Id::UNSEALED).as_bytes());
        if let Some(Token { watch, seen }) = token {
            self.bytes[53..69].copy_from_slice(&watch);
            self.bytes[69..HEADER_LEN].copy_from_slice(&seen.to_le_bytes());
        }
        let checksum = checksum(&self.bytes[..16], &self.bytes[20..]);
        self.bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// A whole block as it was read.
pub struct Block<'a> {
    pub tree: Option<Id>,
    pub token: Option<Token>,
    pub records: &'a [u8],
    /// Bytes of the whole block.
    pub len: usize,
}

impl<'a> Block<'a> {
    /// Reads the block at the front of `bytes`; none if it is torn, damaged, of another kind or of
    /// another version.
    pub fn read(bytes: &'a [u8], kind: BlockKind) -> Option<Block<'a>> {
        let (header, rest) = bytes.split_first_chunk::<20>()?;
        let payload_len = u64::from_le_bytes(header[8..16].try_into().ok()?);
        let (payload, _) = rest.split_at_checked(usize::try_from(payload_len).ok()?)?;
        let version = u32::from_le_bytes(header[4..8].try_into().ok()?);
        if header[..4] != kind.magic()
            || !(VERSION_WITHOUT_TOKEN..=VERSION).contains(&version)
            || header[16..] != checksum(&header[..16], payload).to_le_bytes()
        {
            return None;
        }
        let (tree, records) = payload.split_at_checked(TREE_LEN)?;
        let tree = match tree[0] {
            0 => None,
            _ => Some(Id::from_slice(&tree[1..]).ok()?),
        };
        let (token, records) = match version {
            VERSION_WITHOUT_TOKEN => (None, records),
            _ => {
                let (watch, rest) = records.split_first_chunk::<16>()?;
                let (seen, records) = rest.split_first_chunk::<8>()?;
                let token = Token { watch: *watch, seen: u64::from_le_bytes(*seen) };
                ((*watch != [0; 16]).then_some(token), records)
            }
        };
        Some(Block { tree, token, records, len: 20 + payload.len() })
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}
