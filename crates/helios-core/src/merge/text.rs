//! Three-way merge of two texts, by lines.
//!
//! What differs between the base and a side is found by `gix-imara-diff` (histogram, with hunks
//! slid to where git slides them). Here the hunks of both sides are laid side by side: a hunk that
//! no hunk of the other side touches is taken; hunks that touch are a conflict, unless both sides
//! say the same there. That is linear in the number of hunks.

use std::ops::Range;

use gix_imara_diff::{Algorithm, Diff, Hunk, InternedInput, Token};

/// Conflicts that are at most so many equal lines apart are shown as one, as git does.
const GAP_LINES_MAX: u32 = 3;
/// Longer texts are compared by the algorithm that bounds its time.
const HISTOGRAM_LINES_MAX: usize = 10_000;
/// Of the first so many bytes none is NUL in a text: git's rule.
const BINARY_PROBE_BYTES: usize = 8000;

/// Larger texts conflict as a whole: comparing them might take minutes.
const BYTES_MAX: u64 = 16 << 20;
const LINES_MAX: usize = 250_000;

/// What stands in conflict markers: `<<<<<<< ours`, `>>>>>>> theirs`.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'l> {
    pub ours: &'l str,
    pub theirs: &'l str,
}

/// A merged text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// With a marked section for each conflict.
    pub bytes: Vec<u8>,
    pub conflicts: usize,
}

/// Whether content is no text, and conflicts as a whole.
pub fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(BINARY_PROBE_BYTES).any(|byte| *byte == 0)
}

/// Whether content of this size is read at all in order to be merged.
pub fn is_mergeable_size(bytes: u64) -> bool {
    bytes <= BYTES_MAX
}

pub fn has_too_many_lines(bytes: &[u8]) -> bool {
    lines(bytes).nth(LINES_MAX).is_some()
}

/// Merges the changes from `base` to `ours` and from `base` to `theirs`.
pub fn merge(
    base: &[u8],
    ours: &[u8],
    theirs: &[u8],
    labels: Labels<'_>,
    marker_len: usize,
) -> Merged {
    let mut input: InternedInput<&[u8]> = InternedInput::default();
    let mut tokens =
        |text| lines(text).map(|line| input.interner.intern(line)).collect::<Vec<Token>>();
    let sides = Sides { base: tokens(base), ours: tokens(ours), theirs: tokens(theirs) };
    let ours_hunks = hunks(&mut input, &sides.base, &sides.ours);
    let theirs_hunks = hunks(&mut input, &sides.base, &sides.theirs);
    let mut out = Output { input, bytes: Vec::with_capacity(ours.len()), labels, marker_len };
    let mut conflicts = 0;
    for region in regions(&ours_hunks, &theirs_hunks, sides.base.len() as u32) {
        match region {
            Region::Base(lines) => out.lines(&sides.base[at(&lines)]),
            Region::Ours(lines) => out.lines(&sides.ours[at(&lines)]),
            Region::Theirs(lines) => out.lines(&sides.theirs[at(&lines)]),
            Region::Both(ours, theirs) => {
                conflicts += out.conflict(&sides.ours[at(&ours)], &sides.theirs[at(&theirs)]);
            }
        }
    }
    Merged { bytes: out.bytes, conflicts }
}

struct Sides {
    base: Vec<Token>,
    ours: Vec<Token>,
    theirs: Vec<Token>,
}

/// Lines with their ends; the last may have none.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn at(lines: &Range<u32>) -> Range<usize> {
    lines.start as usize..lines.end as usize
}

fn hunks(input: &mut InternedInput<&[u8]>, before: &[Token], after: &[Token]) -> Vec<Hunk> {
    input.before.clear();
    input.before.extend_from_slice(before);
    input.after.clear();
    input.after.extend_from_slice(after);
    // The algorithm of git's merge; its time may grow with the square of the lines.
    let algorithm = match before.len().max(after.len()) <= HISTOGRAM_LINES_MAX {
        true => Algorithm::Histogram,
        false => Algorithm::Myers,
    };
    let mut diff = Diff::compute(algorithm, input);
    diff.postprocess_lines(input);
    diff.hunks().collect()
}

/// A stretch of the result: lines of one text, or lines of both sides that replace the same ones.
enum Region {
    Base(Range<u32>),
    Ours(Range<u32>),
    Theirs(Range<u32>),
    Both(Range<u32>, Range<u32>),
}

/// A side's hunks, and how far they were taken.
struct Taken<'h> {
    hunks: &'h [Hunk],
    next: usize,
    /// The line after the last that was taken: of the base, and of the side.
    base: u32,
    side: u32,
}

impl<'h> Taken<'h> {
    fn head(&self) -> Option<&'h Hunk> {
        self.hunks.get(self.next)
    }

    /// The side's line for a line of the base that lies outside of its hunks.
    fn line_at(&self, base: u32) -> u32 {
        self.side + (base - self.base)
    }

    fn take(&mut self) {
        if let Some(hunk) = self.head() {
            (self.base, self.side) = (hunk.before.end, hunk.after.end);
            self.next += 1;
        }
    }

    /// Takes a hunk that touches the stretch, and makes the stretch reach over it.
    fn join(&mut self, stretch: &mut Range<u32>) -> bool {
        match self.head().filter(|hunk| hunk.before.start <= stretch.end) {
            Some(hunk) => {
                stretch.end = stretch.end.max(hunk.before.end);
                self.take();
                true
            }
            None => false,
        }
    }
}

fn regions(ours: &[Hunk], theirs: &[Hunk], base_len: u32) -> Vec<Region> {
    let mut ours = Taken { hunks: ours, next: 0, base: 0, side: 0 };
    let mut theirs = Taken { hunks: theirs, next: 0, base: 0, side: 0 };
    let mut regions = Vec::new();
    let mut done = 0;
    loop {
        let (a, b) = (ours.head(), theirs.head());
        // Hunks that only touch are in each other's way as well: what lies between decides order.
        let first = |a: &Hunk, b: Option<&Hunk>| b.is_none_or(|b| a.before.end < b.before.start);
        let (stretch, region) = match (a, b) {
            (None, None) => break,
            (Some(a), _) if first(a, b) => {
                ours.take();
                (a.before.clone(), Region::Ours(a.after.clone()))
            }
            (_, Some(b)) if first(b, a) => {
                theirs.take();
                (b.before.clone(), Region::Theirs(b.after.clone()))
            }
            _ => {
                let start = a.into_iter().chain(b).map(|hunk| hunk.before.start).min();
                let start = start.unwrap_or(done);
                let (from_ours, from_theirs) = (ours.line_at(start), theirs.line_at(start));
                let mut stretch = start..start;
                while ours.join(&mut stretch) | theirs.join(&mut stretch) {}
                let ours = from_ours..ours.line_at(stretch.end);
                let theirs = from_theirs..theirs.line_at(stretch.end);
                (stretch, Region::Both(ours, theirs))
            }
        };
        regions.push(Region::Base(done..stretch.start));
        done = stretch.end;
        regions.push(region);
    }
    regions.push(Region::Base(done..base_len));
    regions
}

struct Output<'t, 'l> {
    input: InternedInput<&'t [u8]>,
    bytes: Vec<u8>,
    labels: Labels<'l>,
    marker_len: usize,
}

impl Output<'_, '_> {
    fn lines(&mut self, lines: &[Token]) {
        for line in lines {
            self.bytes.extend_from_slice(self.input.interner[*line]);
        }
    }

    /// Writes two sides of which at most one can stay; the number of conflicts that remain when
    /// what is equal in both is taken out.
    fn conflict(&mut self, ours: &[Token], theirs: &[Token]) -> usize {
        let hunks = hunks(&mut self.input, ours, theirs);
        let mut joined: Vec<Hunk> = Vec::with_capacity(hunks.len());
        for hunk in hunks {
            match joined.last_mut() {
                Some(last) if hunk.before.start - last.before.end <= GAP_LINES_MAX => {
                    (last.before.end, last.after.end) = (hunk.before.end, hunk.after.end);
                }
                _ => joined.push(hunk),
            }
        }
        let mut done = 0;
        for hunk in &joined {
            self.lines(&ours[done as usize..hunk.before.start as usize]);
            self.marked(&ours[at(&hunk.before)], &theirs[at(&hunk.after)]);
            done = hunk.before.end;
        }
        self.lines(&ours[done as usize..]);
        joined.len()
    }

    fn marked(&mut self, ours: &[Token], theirs: &[Token]) {
        let before = self.bytes.ends_with(b"\r\n");
        let first = ours.first().or(theirs.first());
        let inside = first.is_some_and(|line| self.input.interner[*line].ends_with(b"\r\n"));
        let end: &[u8] = if before || self.bytes.is_empty() && inside { b"\r\n" } else { b"\n" };
        let Labels { ours: ours_label, theirs: theirs_label } = self.labels;
        self.marker(b'<', ours_label, end);
        self.lines(ours);
        self.marker(b'=', "", end);
        self.lines(theirs);
        self.marker(b'>', theirs_label, end);
    }

    fn marker(&mut self, sign: u8, label: &str, end: &[u8]) {
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\n") {
            self.bytes.extend_from_slice(end);
        }
        self.bytes.resize(self.bytes.len() + self.marker_len, sign);
        if !label.is_empty() {
            self.bytes.push(b' ');
            // A label must not add lines.
            self.bytes.extend(label.bytes().map(|byte| match byte {
                b'\r' | b'\n' => b' ',
                other => other,
            }));
        }
        self.bytes.extend_from_slice(end);
    }
}
