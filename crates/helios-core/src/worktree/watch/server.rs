//! The watch's own thread: it takes in reports as they come, and answers who asks.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags};

use crate::error::{Error, Result};
use crate::worktree::watch::socket::{self, MESSAGE_BYTES_MAX, PATIENCE};
use crate::worktree::watch::wire::{Question, DONE};
use crate::worktree::watch::{Reports, State};

/// Reports of the system that something in a worktree may have changed.
pub struct Watcher {
    state: Arc<Mutex<State>>,
    woken: Arc<OwnedFd>,
    stop: Arc<OwnedFd>,
    /// Whether somebody wants this watch to end.
    is_unwanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    socket: PathBuf,
}

impl Watcher {
    /// Watches the root alone, at first, and listens in `directory`, which is this watch's alone.
    /// Whether it makes way for who asks it to is up to it. Fails where the system has no inotify,
    /// or no more of it.
    pub fn new(root: &Path, directory: &Path, makes_way: bool) -> Result<Watcher> {
        let fail = |error: std::io::Error| Error::io(root, error);
        let event = || -> Result<Arc<OwnedFd>> {
            let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
            Ok(Arc::new(event.map_err(|error| fail(error.into()))?))
        };
        let state = Arc::new(Mutex::new(State::new(root)?));
        let (woken, stop) = (event()?, event()?);
        let reports = state.lock().descriptor().map_err(fail)?;
        let is_unwanted = Arc::new(AtomicBool::new(false));
        let server = Server {
            reports,
            // The watch is of use without: then those who ask scan.
            listener: listen(directory).ok(),
            state: Arc::clone(&state),
            woken: Arc::clone(&woken),
            stop: Arc::clone(&stop),
            is_unwanted: makes_way.then(|| Arc::clone(&is_unwanted)),
        };
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let thread = Some(thread.spawn(move || server.run()).map_err(fail)?);
        let socket = directory.join(socket::NAME);
        Ok(Watcher { state, woken, stop, is_unwanted, thread, socket })
    }

    pub fn state(&self) -> &Arc<Mutex<State>> {
        &self.state
    }

    pub fn reports(&self) -> Reports {
        Reports::Own(Arc::clone(&self.state))
    }

    /// Whether somebody has asked it to make way.
    pub fn is_unwanted(&self) -> bool {
        self.is_unwanted.load(Ordering::Acquire)
    }

    /// Becomes readable when something that may matter was reported.
    pub fn descriptor(&self) -> i32 {
        self.woken.as_raw_fd()
    }

    /// Whether something that may matter was reported since this was last asked.
    pub fn take(&self) -> bool {
        let mut count = [0; 8];
        // It may not have been set.
        let _ = rustix::io::read(&*self.woken, &mut count);
        self.state.lock().take()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        set(&self.stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn set(event: &OwnedFd) {
    // It can only fail where it is set already.
    let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
}

/// What a watch that was killed has left is in the way, and nobody's.
fn listen(directory: &Path) -> std::io::Result<UnixListener> {
    let opened = File::open(directory)?;
    let place = socket::place(&opened, directory);
    let _ = std::fs::remove_file(&place);
    let listener = UnixListener::bind(&place)?;
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

struct Server {
    reports: OwnedFd,
    listener: Option<UnixListener>,
    state: Arc<Mutex<State>>,
    woken: Arc<OwnedFd>,
    stop: Arc<OwnedFd>,
    /// None: it makes way for nobody.
    is_unwanted: Option<Arc<AtomicBool>>,
}

impl Server {
    fn run(self) {
        loop {
            let events = [&*self.stop, &self.reports];
            let mut waiting = events.map(|event| PollFd::new(event, PollFlags::IN)).to_vec();
            if let Some(listener) = &self.listener {
                waiting.push(PollFd::new(listener, PollFlags::IN));
            }
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            let is_ready = |at: usize| {
                let found: Option<&PollFd<'_>> = waiting.get(at);
                found.is_some_and(|found| !found.revents().is_empty())
            };
            if is_ready(0) {
                return;
            }
            if is_ready(1) {
                self.state.lock().take_in();
            }
            if let (true, Some(listener)) = (is_ready(2), &self.listener) {
                if let Ok((stream, _)) = listener.accept() {
                    let _ = self.answer(stream);
                }
            }
            if self.state.lock().is_woken() {
                set(&self.woken);
            }
        }
    }

    fn answer(&self, stream: UnixStream) -> std::io::Result<()> {
        if !socket::is_of_this_user(&stream) {
            return Ok(());
        }
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut question = Vec::new();
        (&stream).take(MESSAGE_BYTES_MAX).read_to_end(&mut question)?;
        let answer = match Question::decode(&question) {
            Some(Question::Since { place, token }) => {
                let answer = self.state.lock().since(place, token);
                answer.map(|answer| answer.encode()).unwrap_or_default()
            }
            Some(Question::Note { token, directories, again }) => {
                match self.state.lock().note(token, &directories, &again) {
                    true => DONE.to_vec(),
                    false => Vec::new(),
                }
            }
            Some(Question::Leave) => match &self.is_unwanted {
                Some(is_unwanted) => {
                    is_unwanted.store(true, Ordering::Release);
                    set(&self.woken);
                    DONE.to_vec()
                }
                None => Vec::new(),
            },
            None => Vec::new(),
        };
        socket::send(&stream, &answer)
    }
}
