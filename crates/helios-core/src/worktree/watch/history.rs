//! Which paths something was reported of, and in what order.

use std::collections::HashMap;
use std::io::Read;

use crate::worktree::watch::Token;

/// Paths that are remembered. Of more, nothing is known of any.
const PATHS_MAX: usize = 1 << 16;
/// More paths than these take about as long as a scan of everything.
const ANSWERED_MAX: usize = 1 << 14;

pub struct History {
    watch: [u8; 16],
    /// How much was reported.
    seen: u64,
    /// Of what came before this one nothing is known.
    since: u64,
    /// By path, the number of its last report.
    last: HashMap<Vec<u8>, u64>,
}

impl History {
    pub fn new() -> std::io::Result<History> {
        let mut watch = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut watch)?;
        Ok(History { watch, seen: 1, since: 1, last: HashMap::new() })
    }

    pub fn token(&self) -> Token {
        Token { watch: self.watch, seen: self.seen }
    }

    /// Numbers something that is no report.
    pub fn tick(&mut self) -> u64 {
        self.seen += 1;
        self.seen
    }

    /// Something was reported of a path; all below it counts, too.
    pub fn touch(&mut self, path: &[u8]) {
        self.tick();
        if let Some(number) = self.last.get_mut(path) {
            *number = self.seen;
        } else if self.last.len() < PATHS_MAX {
            self.last.insert(path.to_vec(), self.seen);
        } else {
            self.forget();
        }
    }

    /// Something went unnoticed: what anybody knew until now is worth nothing.
    pub fn forget(&mut self) {
        self.since = self.tick();
        self.last.clear();
    }

    /// What was reported after a token; none if that is not known.
    pub fn after(&self, token: Token) -> Option<Vec<Vec<u8>>> {
        if token.watch != self.watch || token.seen < self.since || token.seen > self.seen {
            return None;
        }
        let paths: Vec<Vec<u8>> = (self.last.iter())
            .filter(|(_, number)| **number > token.seen)
            .map(|(path, _)| path.clone())
            .take(ANSWERED_MAX + 1)
            .collect();
        (paths.len() <= ANSWERED_MAX).then_some(paths)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_a_token_is_told_and_nothing_else() {
        let mut history = History::new().unwrap();
        history.touch(b"a");
        let first = history.token();
        assert_eq!(history.after(first), Some(vec![]));
        history.touch(b"b");
        history.touch(b"b");
        let second = history.token();
        history.touch(b"a");
        assert_eq!(history.after(second), Some(vec![b"a".to_vec()]));
        let mut both = history.after(first).unwrap();
        both.sort();
        assert_eq!(both, [b"a", b"b"]);
    }

    #[test]
    fn nothing_is_known_of_what_was_before_something_was_lost() {
        let mut history = History::new().unwrap();
        let before = history.token();
        history.touch(b"a");
        history.forget();
        assert_eq!(history.after(before), None);
        let after = history.token();
        history.touch(b"b");
        assert_eq!(history.after(after), Some(vec![b"b".to_vec()]));
    }

    #[test]
    fn a_token_of_another_watch_or_of_the_future_is_not_known() {
        let history = History::new().unwrap();
        assert_eq!(history.after(History::new().unwrap().token()), None);
        let Token { watch, seen } = history.token();
        assert_eq!(history.after(Token { watch, seen: seen + 1 }), None);
        assert_eq!(history.after(Token { watch, seen: 0 }), None);
    }

    #[test]
    fn more_paths_than_are_remembered_are_as_if_they_were_lost() {
        let mut history = History::new().unwrap();
        let before = history.token();
        for number in 0..=ANSWERED_MAX {
            history.touch(number.to_string().as_bytes());
        }
        assert_eq!(history.after(before), None);
        let between = history.token();
        for number in 0..=PATHS_MAX {
            history.touch(number.to_string().as_bytes());
        }
        assert_eq!(history.after(between), None);
        assert!(history.last.len() <= PATHS_MAX);
    }
}
