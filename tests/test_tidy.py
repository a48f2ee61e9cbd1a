"""What every file of the project keeps to, checked on all that git tracks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

import rust_source

ROOT = Path(__file__).resolve().parents[1]
LINES_MAX = 700
COLUMNS_MAX = 100
FILE_BYTES_MAX = 512 << 10
# Put together here, so that this file does not hold what it looks for.
UNFINISHED = re.compile(
    r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|\b(?:unimplem" + r"ented|to" + r"do)!"
)
DOWNLOAD = re.compile(
    r":/" + r"/\S*(?:\.(?:whl|crate|tgz|zip|tar\.\w+)\b|/simple\b)"
    r"|\b(?:py" + r"pi|files\.python" + r"hosted|pythonhosted)\.org\b"
    r"|\b(?:static\.|index\.)?cra" + r"tes\.io/(?!-)|\bindex\.cra" + r"tes\.io\b"
    r"|\bgithub" + r"usercontent\.com\b|\bsh\.rust" + r"up\.rs\b"
    r"|\b(?:deb|security)\.deb" + r"ian\.org\b|\breg" + r"istry\.npm" + r"js\.org\b"
)


def tracked() -> list[PurePosixPath]:
    """Files that git tracks, and new ones that it does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listing = subprocess.run(
        [*command, "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
    ).stdout.decode()
    paths = [PurePosixPath(name) for name in listing.split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file() and not (ROOT / path).is_symlink()]


def text_of(path: PurePosixPath) -> str | None:
    data = (ROOT / path).read_bytes()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def is_product_rust(path: PurePosixPath) -> bool:
    return path.parts[0] == "crates" and not rust_source.is_test_file(path)


def long_file(path: PurePosixPath, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if path.suffix in {".py", ".pyi", ".rs"} and lines > LINES_MAX:
        yield f"{path}: {lines} lines, at most {LINES_MAX}; split it where two nouns meet"


def long_line(path: PurePosixPath, text: str) -> Iterator[str]:
    if path.suffix in {".py", ".pyi", ".rs", ".sh"} or path.name == "Makefile":
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                yield f"{path}:{number}: {len(line)} characters, at most {COLUMNS_MAX}"


def unfinished(path: PurePosixPath, text: str) -> Iterator[str]:
    if path.suffix in {".py", ".pyi", ".rs", ".sh", ".toml"} or path.name == "Makefile":
        for number, line in enumerate(text.splitlines(), 1):
            if found := UNFINISHED.search(line):
                yield f"{path}:{number}: {found[0]}: finish it, or file an issue"


def unwrapped(path: PurePosixPath, text: str) -> Iterator[str]:
    if path.suffix == ".rs" and is_product_rust(path):
        source = rust_source.without_tests(rust_source.parse(text))
        for found in re.finditer(r"\.\s*(?:unwrap|expect)\s*\(", source.code):
            yield f"{path}:{source.line_of(found.start())}: return the error instead"


def download_address(path: PurePosixPath, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if path.name == "Cargo.lock" and line.startswith("source = "):
            continue  # cargo's name for its default registry, in every lock that it writes
        if found := DOWNLOAD.search(line):
            yield f"{path}:{number}: names a place to download from: {found[0]}"


def undocumented(path: PurePosixPath, text: str) -> Iterator[str]:
    if path.suffix == ".py" and not ast.get_docstring(ast.parse(text, str(path))):
        yield f"{path}: opens with a docstring that says what it is for"


RULES = (long_file, long_line, unfinished, unwrapped, download_address, undocumented)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_tracked_file_keeps_to(
    rule: Callable[[PurePosixPath, str], Iterator[str]],
) -> None:
    paths = tracked()
    assert paths, "git lists no file"
    problems: list[str] = []
    for path in paths:
        text = text_of(path)
        if text is not None:
            problems += rule(path, text)
    assert not problems, "\n".join(problems)


def test_no_large_file_is_tracked() -> None:
    sizes = {str(path): (ROOT / path).stat().st_size for path in tracked()}
    large = {path: size for path, size in sizes.items() if size > FILE_BYTES_MAX}
    assert not large, f"above {FILE_BYTES_MAX} bytes: {large}"


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (long_file, "python/helios/a.py", "x = 1\n" * (LINES_MAX + 1)),
        (long_line, "crates/helios-core/src/a.rs", "x" * (COLUMNS_MAX + 1)),
        (unfinished, "python/helios/a.py", "# TO" + "DO: later"),
        (unfinished, "crates/helios-core/src/a.rs", "fn f() { to" + "do!() }"),
        (unwrapped, "crates/helios-core/src/a.rs", "fn f() { g().unwrap(); }"),
        (unwrapped, "crates/helios-py/src/a.rs", 'fn f() { g()\n    .expect("x"); }'),
        (download_address, "a.lock", "https://host/a-1.0-py3-none-any" + ".whl"),
        (download_address, "a.toml", "url = 'https://py" + "pi.org/simple'"),
        (undocumented, "tests/test_a.py", "x = 1"),
    ],
)
def test_a_rule_finds_what_it_forbids(
    rule: Callable[[PurePosixPath, str], Iterator[str]], path: str, text: str
) -> None:
    assert list(rule(PurePosixPath(path), text))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (
            unwrapped,
            "crates/helios-core/src/a.rs",
            "#[cfg(test)]\nmod tests { fn f() { g().unwrap(); } }",
        ),
        (
            unwrapped,
            "crates/helios-core/src/a.rs",
            "// x.unwrap() is\nfn f() { g().unwrap_or(1); }",
        ),
        (unwrapped, "crates/helios-core/src/journal/tests.rs", "fn f() { g().unwrap(); }"),
        (unfinished, "python/helios/a.py", "todo = methodology"),
        (download_address, "LICENSE", "http://www.apache.org/licenses/LICENSE-2.0"),
    ],
)
def test_a_rule_leaves_the_harmless_alone(
    rule: Callable[[PurePosixPath, str], Iterator[str]], path: str, text: str
) -> None:
    assert not list(rule(PurePosixPath(path), text))
