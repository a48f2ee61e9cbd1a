//! Processes that go on when this one ends, out of reach of its terminal's signals.

use std::ffi::OsString;
use std::process::{Command, Stdio};

/// None of nothing.
pub fn command(words: &[OsString]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    Some(command)
}

/// Whether it could be started.
pub fn start(mut command: Command) -> bool {
    let Ok(mut child) = command.spawn() else { return false };
    // What it was given belongs to it alone.
    drop(command);
    // It stays in the system's table until its end is waited for.
    std::thread::spawn(move || {
        let _ = child.wait();
    });
    true
}
