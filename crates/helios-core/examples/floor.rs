//! The floors that `make bench` prints beside Helios: what the machine itself takes for the same
//! work, with nothing around it. Each line of the output is one duration in nanoseconds.
//!
//! - `floor commit FILE COUNT`: hash one buffer of 1 KiB and three of 4 KiB, append 1 KiB to FILE.
//! - `floor scan DIRECTORY THREADS COUNT`: readdir and lstat of everything below DIRECTORY.
//! - `floor create SOURCE TARGET THREADS`: create and write the files and directories of SOURCE,
//!   which are read before the clock starts and hold nothing else, in TARGET, which must not exist.
//! - `floor blake3 BYTES THREADS COUNT`: hash BYTES that are in memory, in pieces of 256 KiB, which
//!   the threads share.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const APPENDED_BYTES: usize = 1 << 10;
/// The average chunk of a large file.
const HASHED_PIECE_BYTES: usize = 256 << 10;
const HASHED_BYTES: [usize; 4] = [1 << 10, 4 << 10, 4 << 10, 4 << 10];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let durations = match arguments[..] {
        ["commit", file, count] => commit(Path::new(file), number(count)?)?,
        ["scan", directory, threads, count] => {
            let (threads, count) = (number(threads)?, number(count)?);
            (0..count).map(|_| scan(Path::new(directory), threads)).collect::<io::Result<_>>()?
        }
        ["create", source, target, threads] => {
            vec![create(Path::new(source), Path::new(target), number(threads)?)?]
        }
        ["blake3", bytes, threads, count] => {
            let (bytes, threads, count) = (number(bytes)?, number(threads)?, number(count)?);
            hash(bytes, threads, count)?
        }
        _ => return Err(invalid("usage: floor commit|scan|create|blake3 ARGUMENTS, see source")),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for duration in durations {
        writeln!(out, "{}", duration.as_nanos())?;
    }
    out.flush()
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.to_owned())
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(|_| invalid("not a number"))
}

fn commit(path: &Path, count: usize) -> io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut buffers = HASHED_BYTES.map(|len| vec![0x5a_u8; len]);
    let mut durations = Vec::with_capacity(count);
    for turn in 0..count as u64 {
        for buffer in &mut buffers {
            buffer[..8].copy_from_slice(&turn.to_le_bytes());
        }
        let start = Instant::now();
        for buffer in &buffers {
            black_box(blake3::hash(buffer));
        }
        file.write_all(&buffers[1][..APPENDED_BYTES])?;
        durations.push(start.elapsed());
    }
    Ok(durations)
}

/// Directories that wait to be read, and how many are being read: work ends when both are none.
#[derive(Default)]
struct Queue {
    waiting: Mutex<(Vec<PathBuf>, usize)>,
    changed: Condvar,
}

impl Queue {
    fn take(&self) -> Option<PathBuf> {
        let mut state = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(directory) = state.0.pop() {
                state.1 += 1;
                return Some(directory);
            }
            if state.1 == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, found: Vec<PathBuf>) {
        let mut state = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.extend(found);
        state.1 -= 1;
        self.changed.notify_all();
    }
}

fn scan(directory: &Path, threads: usize) -> io::Result<Duration> {
    let start = Instant::now();
    let queue = Queue::default();
    queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).0.push(directory.to_owned());
    in_threads(threads, || {
        while let Some(directory) = queue.take() {
            let mut found = Vec::new();
            let result = scan_one(&directory, &mut found);
            queue.done(found);
            result?;
        }
        Ok(())
    })?;
    Ok(start.elapsed())
}

fn scan_one(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Does not follow symlinks, and is relative to the open directory.
        if black_box(entry.metadata()?).is_dir() {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// The files of one directory: its path below the root, their names and contents.
struct Folder {
    path: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn create(source: &Path, target: &Path, threads: usize) -> io::Result<Duration> {
    let mut folders = Vec::new();
    read_folders(source, PathBuf::new(), &mut folders)?;
    let start = Instant::now();
    // Parents come before their children.
    for folder in &folders {
        fs::create_dir(target.join(&folder.path))?;
    }
    let next = AtomicUsize::new(0);
    in_threads(threads, || {
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            let directory = target.join(&folder.path);
            for (name, content) in &folder.files {
                File::create_new(directory.join(name))?.write_all(content)?;
            }
        }
        Ok(())
    })?;
    Ok(start.elapsed())
}

fn read_folders(root: &Path, path: PathBuf, folders: &mut Vec<Folder>) -> io::Result<()> {
    let mut folder = Folder { path: path.clone(), files: Vec::new() };
    let mut below = Vec::new();
    for entry in fs::read_dir(root.join(&path))? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => below.push(path.join(entry.file_name())),
            false => folder.files.push((entry.file_name().into(), fs::read(entry.path())?)),
        }
    }
    folders.push(folder);
    below.into_iter().try_for_each(|path| read_folders(root, path, folders))
}

fn hash(bytes: usize, threads: usize, count: usize) -> io::Result<Vec<Duration>> {
    let pieces: Vec<Vec<u8>> = (0..bytes.div_ceil(HASHED_PIECE_BYTES))
        .map(|number| vec![number as u8; HASHED_PIECE_BYTES])
        .collect();
    (0..count)
        .map(|_| {
            let start = Instant::now();
            let next = AtomicUsize::new(0);
            in_threads(threads, || {
                while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    black_box(blake3::hash(piece));
                }
                Ok(())
            })?;
            Ok(start.elapsed())
        })
        .collect()
}

fn in_threads(count: usize, work: impl Fn() -> io::Result<()> + Sync) -> io::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })
}
