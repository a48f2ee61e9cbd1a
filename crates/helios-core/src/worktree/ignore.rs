//! Which paths a worktree ignores: gitignore's rules, to the letter.
//!
//! Rules come from, highest precedence first, `.heliosignore` files, `.gitignore` files,
//! `.git/info/exclude` and `core.excludesFile`; in each group the file nearest to the path comes
//! first, and in a file the last line that matches decides. What is below an ignored directory
//! cannot be included again, because a scan does not go there.
//!
//! `gix-glob` matches the patterns. The matcher of the crate `ignore` would not do: it gives braces
//! a meaning, knows no `[[:alpha:]]`, trims trailing tabs, follows a symlink named `.gitignore`,
//! and stops reading a file at the first line that is not UTF-8. Git does none of these, and each
//! leaks files into snapshots or loses them. `gix-ignore` only adds the reading of lines, and
//! differs from git in it: a `\r` at the end of the file and a byte order mark of UTF-16 are not
//! read as git does.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix_glob::pattern::Mode;
use gix_glob::wildmatch;
use gix_glob::wildmatch::Mode as Wildcards;

use crate::platform;

pub const GIT_IGNORE: &[u8] = b".gitignore";
pub const HELIOS_IGNORE: &[u8] = b".heliosignore";

#[derive(Debug, Clone)]
struct Pattern {
    glob: gix_glob::Pattern,
    /// A path that does not end with this byte cannot match: spares most patterns a look.
    last_byte: Option<u8>,
}

/// Reads one pattern; none if it is empty.
///
/// `gix-glob` 0.29 takes no pattern of whitespace alone, though git takes a tab; a backslash makes
/// it do so. Only the `!` is read here: `gix-glob` would also drop the backslash of `\!`, and with
/// it the knowledge of where git takes the first wildcard to be. Unlike git, it matches nothing
/// with a pattern of more than 63 stars.
fn parse(text: &[u8]) -> Option<Pattern> {
    let (negative, text) = match text.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if text.is_empty() {
        return None;
    }
    let text = match text.windows(2).any(|pair| pair == b"[:") {
        true => Cow::from(escape_brackets(text)),
        false if text.trim_ascii().is_empty() => Cow::from([b"\\", text].concat()),
        false => Cow::from(text),
    };
    let mut glob = gix_glob::Pattern::from_bytes_without_negation(&text)?;
    glob.mode.set(Mode::NEGATIVE, negative);
    let last_byte = *glob.text.last()?;
    // Any other stands for itself at the end, or the pattern is malformed. A slash may be of `**/`.
    let is_literal = !matches!(last_byte, b'*' | b'?' | b']' | b'/');
    Some(Pattern { glob, last_byte: is_literal.then_some(last_byte) })
}

/// Puts a backslash before each `[` in a bracket expression, except where a class like `[:alpha:]`
/// starts. It changes no meaning; but `gix-glob` 0.29 loses its place in the pattern after a `[:`
/// that starts no class, and so matches `[[:]` and `[![:a]` otherwise than git.
fn escape_brackets(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len() + 4);
    // In a bracket expression: where its first member is.
    let mut first_member = None;
    // Whether a `-` would make a range.
    let mut range_may_follow = false;
    let mut at = 0;
    while at < text.len() {
        let mut end = at + 1;
        match (text[at], first_member) {
            (b'\\', _) => {
                range_may_follow = true;
                end += 1;
            }
            (b'[', None) => {
                end += usize::from(matches!(text.get(end), Some(b'!' | b'^')));
                first_member = Some(end);
                range_may_follow = false;
            }
            (b']', Some(first)) if at > first => first_member = None,
            (b'-', Some(_)) if range_may_follow && text.get(end) != Some(&b']') => {
                escaped.push(b'-');
                at = end;
                match text.get(at) {
                    Some(b'[') => escaped.push(b'\\'),
                    Some(b'\\') => end += 1,
                    _ => {}
                }
                end += 1;
                range_may_follow = false;
            }
            (b'[', Some(_)) => match class_length(&text[at..]) {
                Some(length) => {
                    end = at + length;
                    range_may_follow = false;
                }
                None => {
                    escaped.push(b'\\');
                    range_may_follow = true;
                }
            },
            _ => range_may_follow = true,
        }
        end = end.min(text.len());
        escaped.extend_from_slice(&text[at..end]);
        at = end;
    }
    escaped
}

/// The length of the `[:name:]` that the text starts with.
fn class_length(text: &[u8]) -> Option<usize> {
    let name = text.strip_prefix(b"[:")?;
    let length = name.iter().position(|byte| *byte == b']')?;
    name[..length].ends_with(b":").then_some(length + 3)
}

/// Whether a pattern, negated or not, matches a path with this last component.
///
/// For a path, git compares the part before the first wildcard and then matches the rest by itself,
/// which shows: in `a/b**/c` the `**` then stands at the start of a pattern and crosses slashes.
/// `gix_glob::Pattern::matches_repo_relative_path` does not do so.
fn matches(pattern: &Pattern, path: &[u8], name: &[u8], is_directory: bool) -> bool {
    if pattern.last_byte.is_some_and(|byte| name.last() != Some(&byte)) {
        return false;
    }
    let glob = &pattern.glob;
    if glob.mode.contains(Mode::MUST_BE_DIR) && !is_directory {
        return false;
    }
    let only_name = glob.mode.contains(Mode::NO_SUB_DIR) && !glob.mode.contains(Mode::ABSOLUTE);
    let slashes = Wildcards::NO_MATCH_SLASH_LITERAL;
    match glob.first_wildcard_pos {
        _ if only_name => glob.matches(name.into(), slashes),
        None => glob.text == path,
        Some(at) => {
            let (literal, rest) = glob.text.split_at(at);
            path.strip_prefix(literal)
                .is_some_and(|path| wildmatch(rest.into(), path.into(), slashes))
        }
    }
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Patterns in gitignore's syntax that select paths, such as the arguments of `--exclude`.
///
/// A pattern that matches a directory matches what is below it, and the last pattern that matches
/// decides. So `build/` then `!build/keep` selects all of `build` but `keep`, which an ignore file
/// could not. Each text is one pattern, as in `git ls-files --exclude`: a `#` starts no comment,
/// and spaces at the end count.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    pub fn new(patterns: &[String]) -> Patterns {
        Patterns(patterns.iter().filter_map(|text| parse(text.as_bytes())).collect())
    }

    /// The patterns of a file, which is read as an ignore file is.
    pub fn of_file(content: &[u8]) -> Patterns {
        Patterns(lines(content))
    }

    /// Whether the last pattern that matches the path, or a directory that it is in, is without
    /// `!`.
    pub fn is_match(&self, path: &[u8], is_directory: bool) -> bool {
        let ends: Vec<usize> = (0..path.len()).filter(|at| path[*at] == b'/').collect();
        let matching = |pattern: &&Pattern| {
            matches(pattern, path, name_of(path), is_directory)
                || ends.iter().any(|end| {
                    let directory = &path[..*end];
                    matches(pattern, directory, name_of(directory), true)
                })
        };
        self.0.iter().rfind(matching).is_some_and(|pattern| !pattern.glob.is_negative())
    }
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

/// The patterns in the lines of a file.
fn lines(content: &[u8]) -> Vec<Pattern> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    content
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"#"))
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        // To git a line is a C string.
        .map(|line| line.split(|byte| *byte == 0).next().unwrap_or(line))
        .filter_map(|line| parse(trim_trailing_spaces(line)))
        .collect()
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
        IgnoreFile { base_length, patterns: lines(content) }
    }

    /// Whether the path is ignored, where a rule says anything about it.
    fn verdict(&self, path: &[u8], name: &[u8], is_directory: bool) -> Option<bool> {
        let path = &path[self.base_length..];
        let matching = |pattern: &&Pattern| matches(pattern, path, name, is_directory);
        self.patterns.iter().rfind(matching).map(|pattern| !pattern.glob.is_negative())
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
    /// The directory is itself ignored, and so is all below it.
    pub ignore_all: bool,
}

impl Rules {
    /// Whether the path is ignored. It must be below the directory that these rules are of.
    pub fn ignores(&self, path: &[u8], is_directory: bool) -> bool {
        if self.ignore_all {
            return true;
        }
        let name = name_of(path);
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
        assert!(directory(&git("a**//"), "a") && !file(&git("a**//"), "a"));
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
    fn patterns_mean_what_they_mean_to_git() {
        for (pattern, path, expected) in [
            ("*.{o,a}", "x.{o,a}", true),
            ("*.{o,a}", "x.o", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "bx", false),
            ("/a[!b]c", "a/c", false),
            ("[]-]", "]", true),
            ("[\\]]", "]", true),
            ("[a\\-z]", "b", false),
            ("[[:digit:][:upper:]]", "Q", true),
            ("[[:digit:][:upper:]]", "q", false),
            ("/a**/c", "a/b/c", true),
            ("/?**/c", "a/b/c", false),
            ("\\!a/b**/c", "!a/b/b/c", false),
            ("a/**", "a", false),
            ("\t", "\t", true),
            ("!\t", "\t", false),
            ("/\t/", "\t", false),
            // Where gix-glob alone loses its place.
            ("[[:]", ":", true),
            ("ab?[[:d]", "abxd", true),
            ("[![:a]", ":", false),
            ("[![:a]", "b", true),
            ("[\\a-[:alpha:]]", "a]", true),
            ("[\\a-[:alpha:]]", "a", false),
            ("[[:d[:alpha:]]", "b", false),
            // Malformed.
            ("[a", "[a", false),
            ("[[:none:]]", "n", false),
            ("[[:", "[", false),
            ("a[b-", "ab", false),
            ("a\\", "a\\", false),
        ] {
            assert_eq!(file(&git(pattern), path), expected, "{pattern:?} {path:?}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let rules = git(&("*a".repeat(60) + "b"));
        assert!(!file(&rules, &"a".repeat(4000)));
        let rules = git(&("**/*a*a*a/".repeat(20) + "b"));
        assert!(!file(&rules, &"aaaa/".repeat(400)));
    }

    fn selects(patterns: &[&str], path: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let (path, is_directory) = match path.strip_suffix('/') {
            Some(directory) => (directory, true),
            None => (path, false),
        };
        Patterns::new(&patterns).is_match(path.as_bytes(), is_directory)
    }

    #[test]
    fn a_pattern_that_matches_a_directory_selects_what_is_below() {
        for path in ["build/", "build/a", "build/a/b/", "x/build/a"] {
            assert!(selects(&["build/"], path), "{path}");
        }
        assert!(!selects(&["build/"], "build") && !selects(&["build/"], "builds/a"));
        assert!(selects(&["/src/*/gen"], "src/a/gen/b/c"));
        assert!(!selects(&["/src/*/gen"], "src/a/b/gen") && !selects(&["/src/*/gen"], "src/a/"));
        assert!(selects(&["*.rs"], "a/b.rs") && !selects(&["*.rs"], "a/b.c"));
        assert!(!selects(&[], "a") && !selects(&["", "/", "!"], "a"));
    }

    #[test]
    fn the_last_pattern_that_matches_selects_or_not() {
        let keep = ["build/", "!build/keep"];
        assert!(selects(&keep, "build/other") && selects(&keep, "build/"));
        assert!(!selects(&keep, "build/keep") && !selects(&keep, "build/keep/a"));
        assert!(selects(&["!build/keep", "build/"], "build/keep"));
        assert!(selects(&["*", "!doc/", "doc/*.md"], "doc/a.md"));
        assert!(!selects(&["*", "!doc/", "doc/*.md"], "doc/a.txt"));
        assert!(!selects(&["!a"], "a"));
    }

    #[test]
    fn each_text_is_one_pattern_to_its_last_byte() {
        assert!(selects(&["#a"], "#a") && selects(&["\\#a"], "#a"));
        assert!(selects(&["a "], "a ") && !selects(&["a "], "a"));
        assert!(!selects(&["a\nb"], "a") && selects(&["café"], "x/café/y"));
    }

    #[test]
    fn bytes_that_are_not_utf8_match_themselves() {
        let mut rules = Rules::default();
        rules.add_git(b"caf\xe9\nafter\n", b"");
        assert!(rules.ignores(b"caf\xe9", false) && rules.ignores(b"after", false));
    }

    #[test]
    fn a_line_ends_at_a_nul_and_a_carriage_return_is_no_part_of_it() {
        let rules = git("one\0two\n\0*\nlast\r");
        assert!(file(&rules, "one") && file(&rules, "last"));
        assert!(!file(&rules, "two") && !file(&rules, "last\r"));
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
