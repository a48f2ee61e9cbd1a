//! What a running watch knows of a worktree, and how others ask it.
//!
//! A watch numbers what the system reports to it. An index notes which watch it could ask, and the
//! number of the last report from before its scan: its token. With it, it learns later which paths
//! something has been reported of since, and only those need a look.
//!
//! What makes that sound:
//!
//! - The system queues a report before the call that changes something returns. The watch takes in
//!   all that is queued after it was asked and before it answers, and the asker looks at the disk
//!   after that.
//! - Each directory that an index knows has a watch since before the token, or was reported itself
//!   after it: the asker names those that are new to it (`note`). Then all below counts as changed.
//! - Whoever leaves a difference between disk and index behind names it, and hears of it again.
//! - Where reports were lost, or a watch, the tokens from before mean nothing. Another watch than
//!   the one that gave a token does not know it.
//! - Rules from outside of the tree have no watch: the asker compares what they say.
//! - No answer, for whatever reason, means that everything is scanned.

mod history;
mod monitor;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod socket;
mod state;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::id::Id;
use crate::worktree::listing::outer_rules_id;
use crate::worktree::ScanOptions;
pub use monitor::Monitor;
pub use state::State;

#[cfg(target_os = "linux")]
pub use server::Watcher;

/// Where the system has no inotify there is none.
#[cfg(not(target_os = "linux"))]
pub struct Watcher {
    state: Arc<Mutex<State>>,
}

#[cfg(not(target_os = "linux"))]
impl Watcher {
    pub fn new(root: &Path, _directory: &Path, _makes_way: bool) -> crate::error::Result<Watcher> {
        Ok(Watcher { state: Arc::new(Mutex::new(State::new(root)?)) })
    }

    pub fn state(&self) -> &Arc<Mutex<State>> {
        &self.state
    }

    pub fn reports(&self) -> Reports {
        Reports::Own(Arc::clone(&self.state))
    }

    pub fn is_unwanted(&self) -> bool {
        false
    }

    pub fn descriptor(&self) -> i32 {
        -1
    }

    pub fn take(&self) -> bool {
        self.state.lock().take()
    }
}

/// Of more paths than these that differ, a watch is not told each by itself.
pub const DIFFERING_MAX: usize = 4096;

/// A moment in the life of one watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// Which watch; never zero.
    pub watch: [u8; 16],
    /// How much was reported to it until then.
    pub seen: u64,
}

/// The rules from outside of the tree, as the watch's last scan of everything found them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OuterRules {
    id: Id,
    /// Directories with a repository of git around them.
    repositories: Vec<Vec<u8>>,
}

impl OuterRules {
    pub fn new(root: &Path, options: &ScanOptions, repositories: Vec<Vec<u8>>) -> OuterRules {
        OuterRules { id: outer_rules_id(root, options, &repositories), repositories }
    }

    /// Whether they hold those of the repository around a directory.
    fn include(&self, directory: &[u8]) -> bool {
        self.repositories.iter().any(|known| known == directory)
    }

    /// Whether they say the same now, and to this asker.
    pub fn hold(&self, root: &Path, options: &ScanOptions) -> bool {
        self.id == outer_rules_id(root, options, &self.repositories)
    }
}

/// What a watch says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The moment of the answer.
    pub token: Token,
    /// To these paths, and whatever is below them, something may have happened since the token of
    /// the question. None: to any.
    pub paths: Option<Vec<Vec<u8>>>,
    /// None if the watch has not scanned everything yet.
    pub rules: Option<OuterRules>,
}

/// Whom to ask.
#[derive(Clone)]
pub enum Reports {
    /// Another process, by its socket in this directory.
    Socket(PathBuf),
    /// The watch in this process.
    Own(Arc<Mutex<State>>),
}

impl Reports {
    /// Asks what has changed since a token, if there is one. None if nobody answers who knows this
    /// very directory.
    pub fn since(
        &self,
        root: &Path,
        options: &ScanOptions,
        token: Option<Token>,
    ) -> Option<Answer> {
        match self {
            Reports::Socket(directory) => {
                let answer = ask(directory, &wire::Question::Since { place: place(root)?, token })?;
                let answer = wire::Answer::decode(&answer)?;
                answer.rules.as_ref().filter(|rules| rules.hold(root, options))?;
                Some(answer)
            }
            Reports::Own(state) => {
                let mut answer = state.lock().begin_look(token)?;
                if !answer.rules.as_ref().is_some_and(|rules| rules.hold(root, options)) {
                    answer.paths = None;
                }
                Some(answer)
            }
        }
    }

    /// Has the directories watched from now on, and the paths reported again, for whoever goes on
    /// from `token`. Whether that was done.
    pub fn note(&self, token: Token, directories: &[Vec<u8>], again: &[Vec<u8>]) -> bool {
        if directories.is_empty() && again.is_empty() {
            return true;
        }
        match self {
            Reports::Socket(directory) => {
                let (directories, again) = (directories.to_vec(), again.to_vec());
                ask(directory, &wire::Question::Note { token, directories, again })
                    .is_some_and(|answer| answer == wire::DONE)
            }
            Reports::Own(state) => state.lock().note(token, directories, again),
        }
    }

    /// Whether this process watches: then others will ask, and go by what it has found.
    pub fn are_own(&self) -> bool {
        matches!(self, Reports::Own(_))
    }

    /// Says which rules a scan of everything has just found.
    pub fn learn_rules(&self, rules: OuterRules) {
        if let Reports::Own(state) = self {
            state.lock().learn_rules(rules);
        }
    }
}

/// Asks whoever watches, by the socket in a directory, to make way; whether it will. None if nobody
/// listens.
pub fn ask_to_leave(directory: &Path) -> Option<bool> {
    ask(directory, &wire::Question::Leave).map(|answer| answer == wire::DONE)
}

#[cfg(target_os = "linux")]
use socket::ask;

/// There is no inotify elsewhere, so no watch has anything to say.
#[cfg(not(target_os = "linux"))]
fn ask(_directory: &Path, _question: &wire::Question) -> Option<Vec<u8>> {
    None
}

/// Device and inode of a directory: by whatever path it is reached, it is the same.
type Place = (u64, u64);

#[cfg(unix)]
fn place(root: &Path) -> Option<Place> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(root).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn place(_root: &Path) -> Option<Place> {
    None
}
