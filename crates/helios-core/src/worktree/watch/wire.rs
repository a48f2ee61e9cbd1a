//! Questions to a watch and its answers, in bytes. One question a connection: whoever asks closes
//! its side for writing, and reads to the end. All numbers are little-endian.

use crate::id::{Id, ID_LEN};
use crate::worktree::watch::{OuterRules, Place, Token};

pub use crate::worktree::watch::Answer;

/// The answer to a note that was taken, and of who makes way.
pub const DONE: &[u8] = b"done";
/// Another version of the protocol is answered by nothing.
const SINCE: &[u8; 4] = b"HWS1";
const NOTE: &[u8; 4] = b"HWN1";
const LEAVE: &[u8; 4] = b"HWL1";
const ANSWER: &[u8; 4] = b"HWA1";

#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// What has changed since?
    Since { place: Place, token: Option<Token> },
    /// Watch these, and report those again.
    Note { token: Token, directories: Vec<Vec<u8>>, again: Vec<Vec<u8>> },
    /// Make way.
    Leave,
}

impl Question {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Question::Since { place, token } => {
                out.extend_from_slice(SINCE);
                put_number(&mut out, place.0);
                put_number(&mut out, place.1);
                put_token(&mut out, *token);
            }
            Question::Note { token, directories, again } => {
                out.extend_from_slice(NOTE);
                put_token(&mut out, Some(*token));
                put_paths(&mut out, directories);
                put_paths(&mut out, again);
            }
            Question::Leave => out.extend_from_slice(LEAVE),
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Question> {
        let (kind, rest) = bytes.split_first_chunk::<4>()?;
        let mut rest = Rest(rest);
        let question = match kind {
            SINCE => {
                let place = (rest.number()?, rest.number()?);
                Question::Since { place, token: rest.token()? }
            }
            NOTE => {
                let token = rest.token()??;
                Question::Note { token, directories: rest.paths()?, again: rest.paths()? }
            }
            LEAVE => Question::Leave,
            _ => return None,
        };
        rest.0.is_empty().then_some(question)
    }
}

impl Answer {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = ANSWER.to_vec();
        put_token(&mut out, Some(self.token));
        out.push(u8::from(self.rules.is_some()));
        if let Some(rules) = &self.rules {
            out.extend_from_slice(rules.id.as_bytes());
            put_paths(&mut out, &rules.repositories);
        }
        out.push(u8::from(self.paths.is_some()));
        if let Some(paths) = &self.paths {
            put_paths(&mut out, paths);
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Answer> {
        let mut rest = Rest(bytes.strip_prefix(ANSWER)?);
        let token = rest.token()??;
        let rules = match rest.take(1)?[0] {
            0 => None,
            _ => {
                let id = Id::from_slice(rest.take(ID_LEN)?).ok()?;
                Some(OuterRules { id, repositories: rest.paths()? })
            }
        };
        let paths = match rest.take(1)?[0] {
            0 => None,
            _ => Some(rest.paths()?),
        };
        rest.0.is_empty().then_some(Answer { token, paths, rules })
    }
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_token(out: &mut Vec<u8>, token: Option<Token>) {
    out.extend_from_slice(&token.map_or([0; 16], |token| token.watch));
    put_number(out, token.map_or(0, |token| token.seen));
}

fn put_paths(out: &mut Vec<u8>, paths: &[Vec<u8>]) {
    put_number(out, paths.len() as u64);
    for path in paths {
        put_number(out, path.len() as u64);
        out.extend_from_slice(path);
    }
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn token(&mut self) -> Option<Option<Token>> {
        let watch: [u8; 16] = self.take(16)?.try_into().ok()?;
        let seen = self.number()?;
        Some((watch != [0; 16]).then_some(Token { watch, seen }))
    }

    fn paths(&mut self) -> Option<Vec<Vec<u8>>> {
        let count = self.number()?;
        // Not reserved: the number may be anything.
        let mut paths = Vec::new();
        for _ in 0..count {
            let len = usize::try_from(self.number()?).ok()?;
            paths.push(self.take(len)?.to_vec());
        }
        Some(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_and_nothing_that_is_cut_or_longer() {
        let token = Token { watch: [7; 16], seen: 9 };
        let paths = vec![b"a/b".to_vec(), vec![], vec![0xff; 300]];
        let questions = [
            Question::Since { place: (1, u64::MAX), token: None },
            Question::Since { place: (1, 2), token: Some(token) },
            Question::Note { token, directories: paths.clone(), again: vec![] },
            Question::Leave,
        ];
        for question in questions {
            let bytes = question.encode();
            assert!((0..bytes.len()).all(|len| Question::decode(&bytes[..len]).is_none()));
            assert_eq!(Question::decode(&[&bytes[..], b"x"].concat()), None);
            assert_eq!(Question::decode(&bytes), Some(question));
        }
        let rules = OuterRules { id: Id::of_blob(b"rules"), repositories: paths.clone() };
        let answers = [
            Answer { token, paths: None, rules: None },
            Answer { token, paths: Some(paths), rules: Some(rules) },
        ];
        for answer in answers {
            let bytes = answer.encode();
            assert!((0..bytes.len()).all(|len| Answer::decode(&bytes[..len]).is_none()));
            assert_eq!(Answer::decode(&[&bytes[..], b"x"].concat()), None);
            assert_eq!(Answer::decode(&bytes), Some(answer));
        }
    }
}
