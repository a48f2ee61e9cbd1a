"""Reads Rust sources without a compiler: what is code, what is text, what is only for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

_RAW_STRING = re.compile(r'[bc]?r(#*)"')
_STRING = re.compile(r'[bc]?"')
_CHARACTER = re.compile(r"b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^\\'\n])'", re.DOTALL)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEST_ITEM = re.compile(r"#\[(?:cfg\(test\)|cfg\(all\(test\b[^\]]*|test)\]")


@dataclass(frozen=True)
class RustSource:
    """A source in which comments and strings are blanked; line and column stay what they were."""

    code: str
    strings: tuple[tuple[int, str], ...]

    def line_of(self, offset: int) -> int:
        """The line, from 1, of an offset into `code`."""
        return self.code.count("\n", 0, offset) + 1


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _end_of_block_comment(text: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _end_of_string(text: str, start: int) -> int:
    at = start
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return min(at, len(text))


def _skip(text: str, at: int) -> tuple[int, str | None]:
    """The end of the comment, string or word at `at`, and the string's content if it is one."""
    if text.startswith("//", at):
        end = text.find("\n", at)
        return (len(text) if end < 0 else end), None
    if text.startswith("/*", at):
        return _end_of_block_comment(text, at), None
    if raw := _RAW_STRING.match(text, at):
        closing = '"' + raw.group(1)
        end = text.find(closing, raw.end())
        end = len(text) if end < 0 else end
        return min(end + len(closing), len(text)), text[raw.end() : end]
    if string := _STRING.match(text, at):
        end = _end_of_string(text, string.end())
        return min(end + 1, len(text)), text[string.end() : end]
    if character := _CHARACTER.match(text, at):
        return character.end(), ""
    return at, None


def parse(text: str) -> RustSource:
    """Tells code from comments and strings."""
    out: list[str] = []
    strings: list[tuple[int, str]] = []
    at = 0
    while at < len(text):
        end, content = _skip(text, at)
        if end > at:
            if content is not None:
                strings.append((text.count("\n", 0, at) + 1, content))
            out.append(_blank(text[at:end]))
        else:
            word = _IDENTIFIER.match(text, at)
            end = word.end() if word else at + 1
            out.append(text[at:end])
        at = end
    return RustSource("".join(out), tuple(strings))


def without_tests(source: RustSource) -> RustSource:
    """Blanks the items that only a test build compiles."""
    code = source.code
    for attribute in _TEST_ITEM.finditer(source.code):
        if code[attribute.start()] == " ":
            continue  # inside an item that is left out already
        end = _end_of_item(code, attribute.end())
        code = code[: attribute.start()] + _blank(code[attribute.start() : end]) + code[end:]
    return RustSource(code, source.strings)


def _end_of_item(code: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"[{};]").finditer(code, start):
        if mark.group() == ";" and depth == 0:
            return mark.end()
        depth += {"{": 1, "}": -1}.get(mark.group(), 0)
        if depth == 0 and mark.group() == "}":
            return mark.end()
    return len(code)


def is_test_file(path: PurePath) -> bool:
    """Whether cargo compiles the file only for tests: `tests.rs`, `tests/` and `benches/`."""
    return path.name == "tests.rs" or bool({"tests", "benches"} & set(path.parts[:-1]))
