//! Every call that differs between operating systems, with a portable fallback.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// What tells that a file on disk may have changed since it was last read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stat {
    pub size: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub inode: u64,
    pub executable: bool,
    /// It has several names, so that what watches the directory of one need not notice a change.
    pub linked: bool,
}

#[cfg(unix)]
pub fn stat_of(metadata: &Metadata) -> Stat {
    use std::os::unix::fs::MetadataExt;
    let ns = |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
    Stat {
        size: metadata.size(),
        mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
        executable: metadata.mode() & 0o100 != 0,
        linked: metadata.nlink() > 1 && !metadata.is_dir(),
    }
}

#[cfg(not(unix))]
pub fn stat_of(metadata: &Metadata) -> Stat {
    let mtime_ns = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |age| age.as_nanos() as i64);
    Stat { size: metadata.len(), mtime_ns, ..Stat::default() }
}

#[cfg(unix)]
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
#[cfg(unix)]
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match std::os::unix::fs::FileExt::read_at(file, &mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(unix)]
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match std::os::windows::fs::FileExt::seek_read(
            file,
            &mut buffer[done..],
            offset + done as u64,
        )? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

#[cfg(windows)]
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    match read_at(file, buffer, offset)? == buffer.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(windows)]
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done +=
            std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], offset + done as u64)?;
    }
    Ok(())
}

/// Waits for a file's lock, whatever signals come meanwhile: who handles them looks at them when
/// the core returns.
pub fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Whether a file system refuses one entry for what it is (its name, its kind, its place), and may
/// well take others. A full, failing or read-only one takes none.
pub fn refuses_entry(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound,
        Unsupported,
    };
    #[cfg(unix)]
    let refused = matches!(error.raw_os_error(), Some(libc::EILSEQ | libc::EPERM | libc::ELOOP));
    #[cfg(not(unix))]
    let refused = false;
    refused
        || matches!(
            error.kind(),
            AlreadyExists
                | InvalidFilename
                | InvalidInput
                | IsADirectory
                | NotADirectory
                | NotFound
                | Unsupported
        )
}

/// Makes a rename or a new file in `directory` durable.
#[cfg(unix)]
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
pub fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
pub fn set_executable(file: &File, executable: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    // As git does: whoever may read may also execute.
    let wanted = match executable {
        true => mode | ((mode & 0o444) >> 2),
        false => mode & !0o111,
    };
    if wanted == mode {
        return Ok(());
    }
    file.set_permissions(std::fs::Permissions::from_mode(wanted))
}

#[cfg(not(unix))]
pub fn set_executable(_file: &File, _executable: bool) -> io::Result<()> {
    Ok(())
}

/// Makes `target`, which is empty, share the whole content of `source` until one of them is
/// written to. Most file systems cannot.
#[cfg(target_os = "linux")]
pub fn clone_content(source: &File, target: &File) -> io::Result<()> {
    rustix::fs::ioctl_ficlone(target, source).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
pub fn clone_content(_source: &File, _target: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives a file the permissions of another; never more than those to read, write and execute.
#[cfg(unix)]
pub fn copy_permissions(from: &Metadata, to: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = from.permissions().mode() & 0o777;
    to.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub fn copy_permissions(_from: &Metadata, _to: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
pub fn symlink(target: &[u8], link: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), link)
}

#[cfg(windows)]
pub fn symlink(target: &[u8], link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(String::from_utf8_lossy(target).as_ref(), link)
}

/// The bytes of a path as the operating system holds them.
#[cfg(unix)]
pub fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(not(unix))]
pub fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().replace('\\', "/").into_bytes()
}

#[cfg(unix)]
pub fn path_from_bytes(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// The bytes of one file name as the operating system holds them.
#[cfg(unix)]
pub fn name_bytes(name: &std::ffi::OsStr) -> std::borrow::Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt;
    name.as_bytes().into()
}

#[cfg(not(unix))]
pub fn name_bytes(name: &std::ffi::OsStr) -> std::borrow::Cow<'_, [u8]> {
    name.to_string_lossy().into_owned().into_bytes().into()
}

/// The bytes of a symlink's target.
pub fn read_link(link: &Path) -> io::Result<Vec<u8>> {
    std::fs::read_link(link).map(|target| path_bytes(&target))
}

/// Creates a file that must not exist yet (a symlink counts as existing) and opens it for writing.
/// The umask decides who may read and execute it.
pub fn create_new(path: &Path, executable: bool) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if executable { 0o777 } else { 0o666 });
    #[cfg(not(unix))]
    let _ = executable;
    options.open(path)
}

/// Opens a file for reading, unless it is a symlink or something that could block.
#[cfg(unix)]
pub fn open_no_follow(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

#[cfg(not(unix))]
pub fn open_no_follow(path: &Path) -> io::Result<File> {
    match std::fs::symlink_metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// A path that leads to an open directory wherever it moves.
#[cfg(target_os = "linux")]
pub fn opened_directory(directory: &File, _path: &Path) -> PathBuf {
    let number = std::os::fd::AsRawFd::as_raw_fd(directory);
    PathBuf::from(format!("/proc/self/fd/{number}"))
}

#[cfg(not(target_os = "linux"))]
pub fn opened_directory(_directory: &File, path: &Path) -> PathBuf {
    path.to_path_buf()
}

/// Whether all changes of a file are made by this system, so that it can report them: not on a
/// network's file systems, nor on those that another process implements.
#[cfg(target_os = "linux")]
pub fn reports_all(file: &File) -> bool {
    const LOCAL: [u32; 11] = [
        0x0000_ef53, // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // btrfs
        0xca45_1a4e, // bcachefs
        0x2fc1_2fc1, // ZFS
        0xf2f5_2010, // F2FS
        0x3153_464a, // JFS
        0x0000_3434, // NILFS2
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlayfs
    ];
    rustix::fs::fstatfs(file).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
pub fn reports_all(_file: &File) -> bool {
    false
}

/// What a watched directory reports.
pub struct Event {
    /// The number that `Watches::add` gave.
    pub watch: i32,
    /// The entry's name; none if it is about the directory itself.
    pub name: Option<Vec<u8>>,
    /// An entry that is a directory came, from elsewhere or new, or went.
    pub is_moving_directory: bool,
    /// It came.
    pub is_new_directory: bool,
    /// The directory is gone, and its watch with it.
    pub is_over: bool,
    /// Reports were lost.
    pub is_overflow: bool,
}

/// Watches on directories: Linux' inotify.
#[cfg(target_os = "linux")]
pub struct Watches(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Watches {
    pub fn new() -> io::Result<Watches> {
        use rustix::fs::inotify::{init, CreateFlags};
        Ok(Watches(init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?))
    }

    /// A descriptor that becomes readable when there is something to read.
    pub fn descriptor(&self) -> io::Result<rustix::fd::OwnedFd> {
        self.0.try_clone()
    }

    /// Watches a directory, and gives the number of its watch: the same if it has one already.
    pub fn add(&self, directory: &Path) -> io::Result<i32> {
        use rustix::fs::inotify::{add_watch, WatchFlags};
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            // Comes when the last descriptor and the last memory map of a file are gone.
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVE_SELF;
        let only = WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW | WatchFlags::EXCL_UNLINK;
        Ok(add_watch(&self.0, directory, changes | only)?)
    }

    pub fn remove(&self, watch: i32) {
        // It may be gone with its directory.
        let _ = rustix::fs::inotify::remove_watch(&self.0, watch);
    }

    /// Some of what was reported; nothing if nothing is left.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        use rustix::fs::inotify::{ReadFlags, Reader};
        let mut buffer = vec![std::mem::MaybeUninit::uninit(); 64 << 10];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut events = Vec::new();
        while events.is_empty() || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            };
            let flags = event.events();
            let comes = ReadFlags::CREATE | ReadFlags::MOVED_TO;
            let goes = ReadFlags::DELETE | ReadFlags::MOVED_FROM;
            let is_directory = flags.contains(ReadFlags::ISDIR);
            events.push(Event {
                watch: event.wd(),
                name: event.file_name().map(|name| name.to_bytes().to_vec()),
                is_moving_directory: is_directory && flags.intersects(comes | goes),
                is_new_directory: is_directory && flags.intersects(comes),
                is_over: flags.contains(ReadFlags::IGNORED),
                is_overflow: flags.contains(ReadFlags::QUEUE_OVERFLOW),
            });
        }
        Ok(events)
    }
}

/// Elsewhere there are none.
#[cfg(not(target_os = "linux"))]
pub struct Watches;

#[cfg(not(target_os = "linux"))]
impl Watches {
    pub fn new() -> io::Result<Watches> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn add(&self, _directory: &Path) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn remove(&self, _watch: i32) {}

    pub fn read(&self) -> io::Result<Vec<Event>> {
        Ok(Vec::new())
    }
}
