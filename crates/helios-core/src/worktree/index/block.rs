//! A block of the index file: a checksummed frame around records, or around a directory of them.

use crate::id::{Id, ID_LEN};
use crate::worktree::watch::Token;

/// Blocks of this version have no token.
const VERSION_WITHOUT_TOKEN: u32 = 1;
/// Of log blocks, and of base blocks whose records are in the payload.
const VERSION_WITH_TOKEN: u32 = 2;
/// Of base blocks that have a directory in the payload, and pages of records behind it.
const VERSION_WITH_PAGES: u32 = 3;
/// Bytes before the payload: magic, version, length, checksum.
const PREFIX_LEN: usize = 20;
/// Bytes before the records: those, the tree, and the token.
pub const HEADER_LEN: usize = PREFIX_LEN + TREE_LEN + TOKEN_LEN;
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

    /// The version that is written; those before it are read, too.
    fn version(self) -> u32 {
        match self {
            BlockKind::Base => VERSION_WITH_PAGES,
            BlockKind::Log => VERSION_WITH_TOKEN,
        }
    }
}

/// A block under construction: what follows the token is appended to `bytes`, then `seal` fills in
/// the header.
pub struct BlockBuilder {
    pub bytes: Vec<u8>,
}

impl BlockBuilder {
    pub fn new() -> BlockBuilder {
        BlockBuilder { bytes: vec![0; HEADER_LEN] }
    }

    pub fn seal(mut self, kind: BlockKind, tree: Option<Id>, token: Option<Token>) -> Vec<u8> {
        let payload_len = (self.bytes.len() - PREFIX_LEN) as u64;
        self.bytes[..4].copy_from_slice(&kind.magic());
        self.bytes[4..8].copy_from_slice(&kind.version().to_le_bytes());
        self.bytes[8..16].copy_from_slice(&payload_len.to_le_bytes());
        self.bytes[20] = u8::from(tree.is_some());
        self.bytes[21..53].copy_from_slice(tree.unwrap_or(Id::UNSEALED).as_bytes());
        if let Some(Token { watch, seen }) = token {
            self.bytes[53..69].copy_from_slice(&watch);
            self.bytes[69..HEADER_LEN].copy_from_slice(&seen.to_le_bytes());
        }
        let checksum = checksum(&self.bytes[..16], &self.bytes[PREFIX_LEN..]);
        self.bytes[16..PREFIX_LEN].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// A whole block as it was read.
pub struct Block<'a> {
    pub tree: Option<Id>,
    pub token: Option<Token>,
    pub content: Content<'a>,
    /// Bytes up to the end of the payload.
    pub len: usize,
}

/// What follows the token.
pub enum Content<'a> {
    Records(&'a [u8]),
    Directory(&'a [u8]),
}

impl<'a> Block<'a> {
    /// Reads the block at the front of `bytes`; none if it is torn, damaged, of another kind or of
    /// another version.
    pub fn read(bytes: &'a [u8], kind: BlockKind) -> Option<Block<'a>> {
        let (header, rest) = bytes.split_first_chunk::<PREFIX_LEN>()?;
        let payload_len = u64::from_le_bytes(header[8..16].try_into().ok()?);
        let (payload, _) = rest.split_at_checked(usize::try_from(payload_len).ok()?)?;
        let version = u32::from_le_bytes(header[4..8].try_into().ok()?);
        if header[..4] != kind.magic()
            || !(VERSION_WITHOUT_TOKEN..=kind.version()).contains(&version)
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
        let content = match version {
            VERSION_WITH_PAGES => Content::Directory(records),
            _ => Content::Records(records),
        };
        Some(Block { tree, token, content, len: PREFIX_LEN + payload.len() })
    }
}

/// How many bytes a block has up to the end of its payload, as its first bytes say.
pub fn len_of(bytes: &[u8]) -> Option<u64> {
    let (header, _) = bytes.split_first_chunk::<PREFIX_LEN>()?;
    let payload_len = u64::from_le_bytes(header[8..16].try_into().ok()?);
    payload_len.checked_add(PREFIX_LEN as u64)
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}
