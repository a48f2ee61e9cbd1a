//! The listing of one directory, and the rules of the ignore files that it shows.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use crate::platform;
use crate::worktree::ignore::{self, Rules, GIT_IGNORE, HELIOS_IGNORE};
use crate::worktree::scan::ScanOptions;

/// Is told of a path and what is amiss with it.
pub type Warn<'a> = &'a dyn Fn(&[u8], String);

/// One line of a directory's listing.
pub struct Listed {
    pub name: Vec<u8>,
    pub entry: DirEntry,
}

/// The entries of a directory, in the order of their names.
pub fn list(directory: &Path) -> io::Result<Vec<Listed>> {
    let mut entries = fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            Ok(Listed { name: platform::name_bytes(&entry.file_name()).into_owned(), entry })
        })
        .collect::<io::Result<Vec<Listed>>>()?;
    entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

/// Whether the error says that the entry went away meanwhile.
pub fn has_vanished(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The rules that come from outside of the root.
pub fn outer_rules(options: &ScanOptions, warn: Warn<'_>) -> Rules {
    let mut rules = Rules::default();
    let info_exclude = options.main.as_ref().and_then(|main| ignore::info_exclude(main).ok());
    for file in options.excludes_file.iter().chain(&info_exclude) {
        if let Some(content) = read_rules(file, &platform::path_bytes(file), warn) {
            rules.add_exclude(&content, b"");
        }
    }
    rules
}

/// Adds the rules of the ignore files in a directory; `prefix` is its path with a slash.
pub fn add_rules(
    root: &Path,
    prefix: &[u8],
    entries: &[Listed],
    rules: &mut Rules,
    warn: Warn<'_>,
) {
    for Listed { name, entry } in entries {
        // As in git, a symlink in the tree cannot pose as an ignore file.
        let is_file = || entry.file_type().is_ok_and(|file_type| file_type.is_file());
        let shown = || [prefix, name].concat();
        match &name[..] {
            GIT_IGNORE if is_file() => {
                if let Some(content) = read_rules(&entry.path(), &shown(), warn) {
                    rules.add_git(&content, prefix);
                }
            }
            HELIOS_IGNORE if is_file() => {
                if let Some(content) = read_rules(&entry.path(), &shown(), warn) {
                    rules.add_helios(&content, prefix);
                }
            }
            b".git" => {
                let directory = root.join(platform::path_from_bytes(prefix));
                let Ok(file) = ignore::info_exclude(&directory) else { continue };
                let shown = [prefix, b".git/info/exclude"].concat();
                if let Some(content) = read_rules(&file, &shown, warn) {
                    rules.add_exclude(&content, prefix);
                }
            }
            _ => {}
        }
    }
}

fn read_rules(file: &Path, shown: &[u8], warn: Warn<'_>) -> Option<Vec<u8>> {
    match fs::read(file) {
        Ok(content) => Some(content),
        Err(error) if has_vanished(&error) => None,
        Err(error) => {
            warn(shown, format!("its ignore rules cannot be read: {error}"));
            None
        }
    }
}
