//! The listing of one directory, and the rules of the ignore files that it shows.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use crate::id::Id;
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
    for file in outer_files(options) {
        if let Some(content) = read_rules(&file, &platform::path_bytes(&file), warn) {
            rules.add_exclude(&content, b"");
        }
    }
    rules
}

fn outer_files(options: &ScanOptions) -> impl Iterator<Item = PathBuf> {
    let info_exclude = options.main.as_ref().and_then(|main| ignore::info_exclude(main).ok());
    options.excludes_file.clone().into_iter().chain(info_exclude)
}

/// The id of all rules that come from files outside of the tree: those outside of the root, and
/// `info/exclude` of each repository of git whose worktree is at one of the paths.
pub fn outer_rules_id(root: &Path, options: &ScanOptions, repositories: &[Vec<u8>]) -> Id {
    let exclude_of = |path: &Vec<u8>| {
        ignore::info_exclude(&root.join(platform::path_from_bytes(path))).unwrap_or_default()
    };
    let mut said = Vec::new();
    for file in outer_files(options).chain(repositories.iter().map(exclude_of)) {
        let content = fs::read(&file).unwrap_or_default();
        for bytes in [&platform::path_bytes(&file)[..], &content] {
            said.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            said.extend_from_slice(bytes);
        }
    }
    Id::of_blob(&said)
}

/// Says of a name in a directory whether a file has it; none if nothing has.
pub type Shown<'a> = &'a dyn Fn(&[u8]) -> Option<bool>;

/// What a listing shows.
pub fn shown(entries: &[Listed]) -> impl Fn(&[u8]) -> Option<bool> + '_ {
    |name| {
        let at = entries.binary_search_by(|listed| listed.name[..].cmp(name)).ok()?;
        Some(entries[at].entry.file_type().is_ok_and(|file_type| file_type.is_file()))
    }
}

/// Adds the rules of the ignore files in a directory; `prefix` is its path with a slash. Whether a
/// repository of git is around it.
pub fn add_rules(
    root: &Path,
    prefix: &[u8],
    shown: Shown<'_>,
    rules: &mut Rules,
    warn: Warn<'_>,
) -> bool {
    let directory = || root.join(platform::path_from_bytes(prefix));
    let has_repository = shown(b".git").is_some();
    if has_repository {
        if let Ok(file) = ignore::info_exclude(&directory()) {
            if let Some(content) = read_rules(&file, &[prefix, b".git/info/exclude"].concat(), warn)
            {
                rules.add_exclude(&content, prefix);
            }
        }
    }
    // As in git, a symlink in the tree cannot pose as an ignore file.
    for name in [GIT_IGNORE, HELIOS_IGNORE].into_iter().filter(|name| shown(name) == Some(true)) {
        let file = directory().join(platform::path_from_bytes(name));
        if let Some(content) = read_rules(&file, &[prefix, name].concat(), warn) {
            match name {
                GIT_IGNORE => rules.add_git(&content, prefix),
                _ => rules.add_helios(&content, prefix),
            }
        }
    }
    has_repository
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
