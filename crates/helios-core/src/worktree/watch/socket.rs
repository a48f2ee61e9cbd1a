//! Asking a watch in another process, over its socket.

use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::platform;
use crate::worktree::watch::wire::Question;

/// The socket's name in the watch's directory.
pub const NAME: &str = "socket";
/// A watch that takes longer between two steps is as good as none.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// Longer messages than this are not read to their end.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// The watch's answer; none if there is no watch, or it is not this user's, or it is too slow.
pub fn ask(directory: &Path, question: &Question) -> Option<Vec<u8>> {
    let stream = connect(directory)?;
    if !is_of_this_user(&stream) {
        return None;
    }
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    send(&stream, &question.encode()).ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut answer = Vec::new();
    stream.take(MESSAGE_BYTES_MAX).read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// Sends all bytes. No signal comes of it if the other side has gone, whatever the process has set
/// for pipes.
pub fn send(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(stream, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Never waits: a queue that is full of askers is no watch, either.
fn connect(directory: &Path) -> Option<UnixStream> {
    let opened = File::open(directory).ok()?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    let address = SocketAddrUnix::new(place(&opened, directory)).ok()?;
    rustix::net::connect(&socket, &address).ok()?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).ok()?;
    Some(stream)
}

/// The path of the socket in an opened directory, whose own path may be too long: the address of a
/// socket holds 108 bytes at most.
pub fn place(opened: &File, directory: &Path) -> PathBuf {
    platform::opened_directory(opened, directory).join(NAME)
}

pub fn is_of_this_user(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|other| other.uid == rustix::process::geteuid())
}
