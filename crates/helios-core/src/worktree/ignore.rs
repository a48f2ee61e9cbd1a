//! Which paths a worktree ignores: gitignore's rules, to the letter.
//!
//! Rules come from, highest precedence first, `.heliosignore` files, `.gitignore` files,
//! `.git/info/exclude` and `core.excludesFile`; in each group the file nearest to the path comes
//! first, and in a file the last line that matches decides. What is below an ignored directory
//! cannot be included again, because a scan does not go there.
//!
//! Why not the matcher of the crate `ignore`: it gives braces a meaning, knows no `[[:alpha:]]`,
//! trims trailing tabs, follows a symlink named `.gitignore`, and stops reading a file at the first
//! line that is not UTF-8. Git does none of these, and each leaks files into snapshots or loses them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::platform;
use crate::worktree::glob::Glob;

pub const GIT_IGNORE: &[u8] = b".gitignore";
pub const HELIOS_IGNORE: &[u8] = b".heliosignore";

#[derive(Debug)]
enum Shape {
    /// The last component equals this.
    Name(Box<[u8]>),
    /// The last component ends with this.
    NameSuffix(Box<[u8]>),
    /// The last component matches.
    NameGlob(Glob),
    /// The path from the ignore file's directory equals this.
    Path(Box<[u8]>),
    /// The path from the ignore file's directory starts with this, and the rest matches.
    PathGlob(Box<[u8]>, Glob),
}

#[derive(Debug)]
struct Pattern {
    shape: Shape,
    /// A path that does not end with this byte cannot match: spares most patterns a look.
    last_byte: Option<u8>,
    negated: bool,
    directories_only: bool,
}

impl Pattern {
    fn parse(line: &[u8]) -> Option<Pattern> {
        let (negated, text) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (directories_only, text) = match text.strip_suffix(b"/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if text.is_empty() {
            return None;
        }
        let shape = match text.contains(&b'/') {
            false => Self::name_shape(text),
            true => Self::path_shape(text.strip_prefix(b"/").unwrap_or(text)),
        };
        let last_byte = match &shape {
            Shape::Name(text) | Shape::NameSuffix(text) | Shape::Path(text) => text.last().copied(),
            Shape::NameGlob(glob) | Shape::PathGlob(_, glob) => glob.last_byte(),
        };
        Some(Pattern { shape, last_byte, negated, directories_only })
    }

    fn name_shape(text: &[u8]) -> Shape {
        if literal_length(text) == text.len() {
            return Shape::Name(text.into());
        }
        match text.strip_prefix(b"*") {
            Some(suffix) if literal_length(suffix) == suffix.len() => {
                Shape::NameSuffix(suffix.into())
            }
            _ => Shape::NameGlob(Glob::new(text)),
        }
    }

    /// The literal start is split off and the rest compiled by itself because git does so, and it
    /// shows: in `a/b**/c` the `**` then stands at the start of a pattern and crosses slashes.
    fn path_shape(text: &[u8]) -> Shape {
        let (literal, rest) = text.split_at(literal_length(text));
        match rest.is_empty() {
            true => Shape::Path(literal.into()),
            false => Shape::PathGlob(literal.into(), Glob::new(rest)),
        }
    }

    fn matches(&self, path: &[u8], name: &[u8], is_directory: bool) -> bool {
        if self.directories_only && !is_directory {
            return false;
        }
        if self.last_byte.is_some_and(|byte| name.last() != Some(&byte)) {
            return false;
        }
        match &self.shape {
            Shape::Name(text) => name == &**text,
            Shape::NameSuffix(suffix) => name.ends_with(suffix),
            Shape::NameGlob(glob) => glob.matches(name),
            Shape::Path(text) => path == &**text,
            Shape::PathGlob(start, glob) => {
                path.strip_prefix(&**start).is_some_and(|rest| glob.matches(rest))
            }
        }
    }
}

/// The length of the part before the first byte with a meaning of its own.
fn literal_length(text: &[u8]) -> usize {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    text.iter().position(special).unwrap_or(text.len())
}

/// Cuts trailing spaces that no backslash protects. Tabs stay, as in git.
fn trim_trailing_spaces(line: &[u8]) -> &[u8] {
    let (mut end, mut at) = (0, 0);
    while at < line.len() {
        match line[at] {
            b' ' => at += 1,
            b'\\' => {
                at = (at + 2).min(line.len());
                end = at;
            }
            _ => {
                at += 1;
                end = at;
            }
        }
    }
    &line[..end]
}

/// The rules of one ignore file.
#[derive(Debug)]
struct IgnoreFile {
    /// Bytes of a path before the part that the rules see: the file's directory and its slash.
    base_length: usize,
    patterns: Vec<Pattern>,
}

impl IgnoreFile {
    fn parse(content: &[u8], base_length: usize) -> IgnoreFile {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let patterns = content
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.starts_with(b"#"))
            .map(|line| trim_trailing_spaces(line.strip_suffix(b"\r").unwrap_or(line)))
            .filter_map(Pattern::parse)
            .collect();
        IgnoreFile { base_length, patterns }
    }

    /// Whether the path is ignored, where a rule says anything about it.
    fn verdict(&self, path: &[u8], name: &[u8], is_directory: bool) -> Option<bool> {
        let path = &path[self.base_length..];
        let matching = |pattern: &&Pattern| pattern.matches(path, name, is_directory);
        self.patterns.iter().rfind(matching).map(|pattern| !pattern.negated)
    }
}

/// Ignore files of one kind, the nearest first.
type Layer = Option<Arc<Level>>;

#[derive(Debug)]
struct Level {
    file: IgnoreFile,
    outer: Layer,
}

/// The rules in force in one directory; shared with the directories below it.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    helios: Layer,
    git: Layer,
    /// `.git/info/exclude`, with `core.excludesFile` as the outermost.
    exclude: Layer,
}

impl Rules {
    /// Whether the path is ignored. It must be below the directory that these rules are of.
    pub fn ignores(&self, path: &[u8], is_directory: bool) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        for layer in [&self.helios, &self.git, &self.exclude] {
            let mut level = layer;
            while let Some(Level { file, outer }) = level.as_deref() {
                if let Some(ignored) = file.verdict(path, name, is_directory) {
                    return ignored;
                }
                level = outer;
            }
        }
        false
    }

    /// Adds the `.heliosignore` of a directory; `prefix` is the directory with its slash.
    pub fn add_helios(&mut self, content: &[u8], prefix: &[u8]) {
        push(&mut self.helios, content, prefix);
    }

    /// Adds the `.gitignore` of a directory.
    pub fn add_git(&mut self, content: &[u8], prefix: &[u8]) {
        push(&mut self.git, content, prefix);
    }

    /// Adds a `core.excludesFile` (first) or the `info/exclude` of a repository.
    pub fn add_exclude(&mut self, content: &[u8], prefix: &[u8]) {
        push(&mut self.exclude, content, prefix);
    }
}

fn push(layer: &mut Layer, content: &[u8], prefix: &[u8]) {
    let file = IgnoreFile::parse(content, prefix.len());
    if !file.patterns.is_empty() {
        *layer = Some(Arc::new(Level { file, outer: layer.take() }));
    }
}

/// Where the repository whose worktree is `directory` keeps its `info/exclude`: in `.git`, or where
/// a `.git` file (a linked worktree, a submodule) points.
pub fn info_exclude(directory: &Path) -> io::Result<PathBuf> {
    let dot_git = directory.join(".git");
    if fs::metadata(&dot_git)?.is_dir() {
        return Ok(dot_git.join("info/exclude"));
    }
    let git_directory = directory.join(read_pointer(&dot_git, b"gitdir: ")?);
    let common = match read_pointer(&git_directory.join("commondir"), b"") {
        Ok(common) => git_directory.join(common),
        Err(_) => git_directory,
    };
    Ok(common.join("info/exclude"))
}

fn read_pointer(file: &Path, prefix: &[u8]) -> io::Result<PathBuf> {
    let content = fs::read(file)?;
    let line = content.strip_prefix(prefix).ok_or(io::ErrorKind::InvalidData)?;
    Ok(PathBuf::from(platform::path_from_bytes(line.trim_ascii_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(content: &str) -> Rules {
        let mut rules = Rules::default();
        rules.add_git(content.as_bytes(), b"");
        rules
    }

    fn file(rules: &Rules, path: &str) -> bool {
        rules.ignores(path.as_bytes(), false)
    }

    fn directory(rules: &Rules, path: &str) -> bool {
        rules.ignores(path.as_bytes(), true)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_at_every_depth() {
        let rules = git("foo\n*.o\n");
        assert!(file(&rules, "foo") && file(&rules, "a/b/foo") && directory(&rules, "a/foo"));
        assert!(file(&rules, "a/x.o") && file(&rules, ".o"));
        assert!(!file(&rules, "food") && !file(&rules, "x.obj"));
    }

    #[test]
    fn a_slash_at_the_start_or_in_the_middle_anchors() {
        let rules = git("/top\ndoc/*.txt\n");
        assert!(file(&rules, "top") && !file(&rules, "a/top"));
        assert!(file(&rules, "doc/a.txt"));
        assert!(!file(&rules, "doc/sub/a.txt") && !file(&rules, "a/doc/a.txt"));
    }

    #[test]
    fn a_slash_at_the_end_means_directories_only() {
        let rules = git("build/\na/out/\n");
        assert!(directory(&rules, "build") && directory(&rules, "x/build"));
        assert!(!file(&rules, "build"));
        assert!(directory(&rules, "a/out") && !directory(&rules, "a/output"));
    }

    #[test]
    fn the_last_line_that_matches_decides() {
        let rules = git("*.log\n!keep.log\n/a/keep.log\n");
        assert!(file(&rules, "x.log") && !file(&rules, "keep.log"));
        assert!(file(&rules, "a/keep.log") && !file(&rules, "b/keep.log"));
    }

    #[test]
    fn two_stars_cross_directories() {
        let rules = git("**/logs/*.txt\nfoo/**\na/**/b\n");
        assert!(file(&rules, "logs/x.txt") && file(&rules, "a/b/logs/x.txt"));
        assert!(file(&rules, "foo/x/y") && !directory(&rules, "foo"));
        assert!(file(&rules, "a/b") && file(&rules, "a/x/y/b") && !file(&rules, "xa/b"));
    }

    #[test]
    fn lines_are_read_as_git_reads_them() {
        let rules =
            git("\u{feff}bom\n#comment\n\\#hash\n\\!bang\ncr\r\nspace  \nkept\\ \ntab\t\n\n/\n!\n");
        for path in ["bom", "#hash", "!bang", "cr", "space", "kept ", "tab\t"] {
            assert!(file(&rules, path), "{path:?}");
        }
        for path in ["#comment", "comment", "space  ", "kept", "tab", "", "/"] {
            assert!(!file(&rules, path), "{path:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_match_themselves() {
        let mut rules = Rules::default();
        rules.add_git(b"caf\xe9\nafter\n", b"");
        assert!(rules.ignores(b"caf\xe9", false) && rules.ignores(b"after", false));
    }

    #[test]
    fn a_nearer_file_overrides_and_sees_paths_from_its_own_directory() {
        let mut rules = git("*.txt\n/only-here\n");
        rules.add_git(b"!keep.txt\n/anchored\n", b"sub/");
        assert!(file(&rules, "sub/a.txt") && !file(&rules, "sub/keep.txt"));
        assert!(file(&rules, "sub/anchored") && !file(&rules, "sub/x/anchored"));
        assert!(!file(&rules, "sub/only-here"));
    }

    #[test]
    fn precedence_is_heliosignore_gitignore_exclude_excludes_file() {
        let mut rules = Rules::default();
        rules.add_exclude(b"*.a\n*.b\n*.c\n", b"");
        rules.add_exclude(b"!x.a\n*.d\n", b"");
        rules.add_git(b"!x.b\n!x.d\n*.e\n", b"");
        rules.add_helios(b"!x.e\nx.d\n!x.c", b"");
        assert!(file(&rules, "y.a") && !file(&rules, "x.a"));
        assert!(file(&rules, "y.b") && !file(&rules, "x.b"));
        assert!(file(&rules, "y.c") && !file(&rules, "x.c"));
        assert!(file(&rules, "x.d"));
        assert!(file(&rules, "y.e") && !file(&rules, "x.e"));
    }

    #[test]
    fn info_exclude_of_a_linked_worktree_is_in_the_common_directory() {
        let place = tempfile::tempdir().unwrap();
        let main = place.path().join("main/.git");
        fs::create_dir_all(main.join("worktrees/linked")).unwrap();
        fs::write(main.join("worktrees/linked/commondir"), "../..\n").unwrap();
        let linked = place.path().join("linked");
        fs::create_dir(&linked).unwrap();
        fs::write(linked.join(".git"), "gitdir: ../main/.git/worktrees/linked\n").unwrap();
        fs::create_dir(main.join("info")).unwrap();
        fs::write(main.join("info/exclude"), "secret").unwrap();
        assert_eq!(fs::read(info_exclude(&linked).unwrap()).unwrap(), b"secret");
        assert_eq!(
            info_exclude(&place.path().join("main")).unwrap(),
            main.join("info").join("exclude")
        );
        assert!(info_exclude(place.path()).is_err());
    }
}
