//! One wildcard pattern, with the meaning that gitignore gives it.
//!
//! `*` and `?` stop at `/`; `**` between slashes (or at an end of the pattern) does not; `[a-z]`,
//! `[!a]` and `[[:alpha:]]` match one byte; a backslash makes the next byte literal. Braces have no
//! meaning. A malformed pattern (an open bracket, an unknown class, a backslash at the end) matches
//! nothing, as in git. Matching takes time polynomial in the lengths, whatever the pattern.

/// A set of bytes.
type ByteSet = [u64; 4];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// One byte other than `/`.
    Any,
    /// One byte of the set; `/` is never in it.
    Class(Box<ByteSet>),
    /// `*`: any bytes but `/`.
    Star,
    /// `**`: any bytes.
    DeepStar,
    /// `**/`: nothing, or any bytes up to and with a `/`.
    Directories,
}

impl Token {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Token::Byte(wanted) => byte == *wanted,
            Token::Any => byte != b'/',
            Token::Class(set) => contains(set, byte),
            Token::Star | Token::DeepStar | Token::Directories => false,
        }
    }
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// None: malformed, matches nothing.
    tokens: Option<Vec<Token>>,
}

impl Glob {
    pub fn new(pattern: &[u8]) -> Glob {
        Glob { tokens: compile(pattern) }
    }

    /// The byte that every match must end with, where the pattern fixes one.
    pub fn last_byte(&self) -> Option<u8> {
        match self.tokens.as_deref()?.last()? {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        }
    }

    /// Whether the pattern matches the whole text.
    ///
    /// On a mismatch only the latest `*`, then the latest `**`, need take more text. A `*` before
    /// the latest one cannot help: both are in one path component, where the later one can take
    /// up whatever the earlier would, or a `/` lies between them and pins the earlier one. The same
    /// holds for `**`, which always starts a component.
    pub fn matches(&self, text: &[u8]) -> bool {
        let Some(tokens) = &self.tokens else { return false };
        let (mut token, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        let mut deep: Option<(usize, usize)> = None;
        loop {
            match tokens.get(token) {
                None if at == text.len() => return true,
                Some(Token::Star) => {
                    star = Some((token, at));
                    token += 1;
                    continue;
                }
                Some(Token::DeepStar | Token::Directories) => {
                    (star, deep) = (None, Some((token, at)));
                    token += 1;
                    continue;
                }
                Some(other) if at < text.len() && other.accepts(text[at]) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match (star, deep) {
                (Some((index, end)), _) if end < text.len() && text[end] != b'/' => {
                    star = Some((index, end + 1));
                    (token, at) = (index + 1, end + 1);
                }
                (_, Some((index, end))) => {
                    let taken = match tokens[index] {
                        Token::DeepStar => usize::from(end < text.len()),
                        _ => text[end..]
                            .iter()
                            .position(|byte| *byte == b'/')
                            .map_or(0, |slash| slash + 1),
                    };
                    if taken == 0 {
                        return false;
                    }
                    (star, deep) = (None, Some((index, end + taken)));
                    (token, at) = (index + 1, end + taken);
                }
                _ => return false,
            }
        }
    }
}

fn compile(pattern: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => {
                tokens.push(Token::Byte(*pattern.get(at + 1)?));
                at += 2;
            }
            b'?' => {
                tokens.push(Token::Any);
                at += 1;
            }
            b'*' => {
                let run = pattern[at..].iter().take_while(|byte| **byte == b'*').count();
                let starts_component = at == 0 || pattern[at - 1] == b'/';
                let rest = &pattern[at + run..];
                at += run;
                if run == 1 || !starts_component {
                    tokens.push(Token::Star);
                } else if rest.first() == Some(&b'/') {
                    tokens.push(Token::Directories);
                    at += 1;
                } else if rest.is_empty() || rest.starts_with(b"\\/") {
                    tokens.push(Token::DeepStar);
                } else {
                    tokens.push(Token::Star);
                }
            }
            b'[' => {
                let (set, length) = compile_class(&pattern[at..])?;
                tokens.push(Token::Class(Box::new(set)));
                at += length;
            }
            byte => {
                tokens.push(Token::Byte(byte));
                at += 1;
            }
        }
    }
    Some(tokens)
}

/// Reads a bracket expression from its `[` to its `]`; returns its set and its length.
fn compile_class(pattern: &[u8]) -> Option<(ByteSet, usize)> {
    let mut set = ByteSet::default();
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    let first = at;
    // The byte that a `-` would start a range from.
    let mut range_start = None;
    loop {
        match *pattern.get(at)? {
            b']' if at > first => break,
            b'-' if range_start.is_some() && !matches!(pattern.get(at + 1), None | Some(b']')) => {
                at += 1 + usize::from(pattern[at + 1] == b'\\');
                let end = *pattern.get(at)?;
                for byte in range_start.unwrap_or(end)..=end {
                    insert(&mut set, byte);
                }
                range_start = None;
            }
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let name_start = at + 2;
                let length = pattern[name_start..].iter().position(|byte| *byte == b']')?;
                let name = &pattern[name_start..name_start + length];
                match name.strip_suffix(b":") {
                    Some(name) => {
                        insert_named(&mut set, name)?;
                        range_start = None;
                        at = name_start + length;
                    }
                    None => {
                        insert(&mut set, b'[');
                        range_start = Some(b'[');
                    }
                }
            }
            byte => {
                let escaped = byte == b'\\';
                at += usize::from(escaped);
                let byte = *pattern.get(at)?;
                insert(&mut set, byte);
                range_start = Some(byte);
            }
        }
        at += 1;
    }
    if negated {
        set = set.map(|word| !word);
    }
    remove(&mut set, b'/');
    Some((set, at + 1))
}

fn insert_named(set: &mut ByteSet, name: &[u8]) -> Option<()> {
    // Git's own idea of a space: no vertical tab, no form feed.
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let member: fn(u8, bool) -> bool = match name {
        b"alnum" => |byte, _| byte.is_ascii_alphanumeric(),
        b"alpha" => |byte, _| byte.is_ascii_alphabetic(),
        b"blank" => |byte, _| matches!(byte, b' ' | b'\t'),
        b"cntrl" => |byte, _| byte.is_ascii_control(),
        b"digit" => |byte, _| byte.is_ascii_digit(),
        b"graph" => |byte, _| byte.is_ascii_graphic(),
        b"lower" => |byte, _| byte.is_ascii_lowercase(),
        b"print" => |byte, _| matches!(byte, b' '..=b'~'),
        b"punct" => |byte, _| byte.is_ascii_punctuation(),
        b"space" => |_, space| space,
        b"upper" => |byte, _| byte.is_ascii_uppercase(),
        b"xdigit" => |byte, _| byte.is_ascii_hexdigit(),
        _ => return None,
    };
    for byte in 0..=u8::MAX {
        if member(byte, is_space(byte)) {
            insert(set, byte);
        }
    }
    Some(())
}

fn insert(set: &mut ByteSet, byte: u8) {
    set[usize::from(byte / 64)] |= 1 << (byte % 64);
}

fn remove(set: &mut ByteSet, byte: u8) {
    set[usize::from(byte / 64)] &= !(1 << (byte % 64));
}

fn contains(set: &ByteSet, byte: u8) -> bool {
    set[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(pattern.as_bytes()).matches(text.as_bytes())
    }

    #[test]
    fn one_star_stops_at_a_slash_and_two_do_not() {
        assert!(matches("a*c", "abbc"));
        assert!(matches("a*", "a"));
        assert!(!matches("a*c", "ab/c"));
        assert!(matches("a/**", "a/b/c"));
        assert!(!matches("a/**", "a"));
        assert!(matches("**/c", "c"));
        assert!(matches("**/c", "a/b/c"));
        assert!(!matches("**/c", "a/bc"));
        assert!(matches("a/**/c", "a/c"));
        assert!(matches("a/**/c", "a/b/b/c"));
        assert!(!matches("a/**/c", "ac"));
        assert!(!matches("a**/c", "a/b/c"));
        assert!(matches("**/b*d/**/e*f", "a/bcd/x/y/bd/e/ef"));
        assert!(matches("*a*b*c", "xaybzabc"));
    }

    #[test]
    fn classes_match_one_byte_and_never_a_slash() {
        assert!(matches("[a-c]x", "bx"));
        assert!(!matches("[!a-c]x", "bx"));
        assert!(!matches("[^a-c]x", "bx"));
        assert!(!matches("a[!b]c", "a/c"));
        assert!(matches("[]-]", "]"));
        assert!(matches("[]-]", "-"));
        assert!(matches("[\\]]", "]"));
        assert!(matches("[[:digit:][:upper:]]", "7"));
        assert!(matches("[[:digit:][:upper:]]", "Q"));
        assert!(!matches("[[:digit:][:upper:]]", "q"));
        assert!(matches("[[:d]", "["));
        assert!(matches("[[:d]", "d"));
        assert!(matches("[a\\-z]", "-"));
        assert!(!matches("[a\\-z]", "b"));
    }

    #[test]
    fn braces_are_literal() {
        assert!(matches("*.{o,a}", "x.{o,a}"));
        assert!(!matches("*.{o,a}", "x.o"));
        assert!(matches("{", "{"));
    }

    #[test]
    fn a_malformed_pattern_matches_nothing() {
        for (pattern, text) in [("[a", "[a"), ("[[:none:]]", "n"), ("a\\", "a\\"), ("[", "[")] {
            assert!(!matches(pattern, text), "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let pattern = "*a".repeat(60) + "b";
        assert!(!matches(&pattern, &"a".repeat(4000)));
        let pattern = "**/*a*a*a/".repeat(20) + "b";
        assert!(!matches(&pattern, &"aaaa/".repeat(400)));
    }
}
