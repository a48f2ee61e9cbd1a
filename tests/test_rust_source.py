"""The reader of Rust sources that the other guards rely on."""

from pathlib import PurePath

import pytest

import rust_source

SOURCE = r"""
// umount in a comment, and "a quote
/* outer /* nested unshare */ still a comment */
fn lifetime<'a>(text: &'a str) -> char {
    let raw = r#"a "quoted" chroot"#;
    let escaped = "say \"mount\"";
    let quote = '"';
    let newline = '\n';
    call(text, raw, escaped, quote, newline);
}

#[cfg(test)]
mod tests {
    #[test]
    fn inner() { only_in_tests("{"); }
}

fn after() {}
"""


def test_comments_and_strings_are_blanked_in_place() -> None:
    source = rust_source.parse(SOURCE)
    assert len(source.code) == len(SOURCE)
    assert source.code.count("\n") == SOURCE.count("\n")
    for word in ("quoted", "umount", "unshare", "chroot", "mount"):
        assert word not in source.code
    assert "fn lifetime<'a>(text: &'a str) -> char {" in source.code
    assert "call(text, raw, escaped, quote, newline);" in source.code
    assert (5, 'a "quoted" chroot') in source.strings
    assert (6, r"say \"mount\"") in source.strings


def test_test_items_are_left_out_and_what_follows_is_kept() -> None:
    code = rust_source.without_tests(rust_source.parse(SOURCE)).code
    assert "only_in_tests" not in code
    assert "fn after() {}" in code
    assert "call(" in code


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("crates/helios-core/src/journal/tests.rs", True),
        ("crates/helios-core/tests/crash.rs", True),
        ("crates/helios-core/src/journal/mod.rs", False),
    ],
)
def test_test_files_are_known_by_their_place(path: str, expected: bool) -> None:
    assert rust_source.is_test_file(PurePath(path)) is expected
