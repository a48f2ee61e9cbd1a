"""Reads one value from a git configuration file, as `git config` would (git-config(1), "Syntax").

Sections, subsections, comments, quotes, escapes, continued lines and `[include]` are understood;
conditional includes (`[includeIf]`) are not followed. A file that git would reject gives what
stands before the mistake.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

INCLUDE_DEPTH_MAX = 10
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}


def last_value(file: str, section: str, key: str, depth: int = 0) -> str | None:
    """The value that wins for `section.key` (in lower case); None if it is not set."""
    try:
        # Not as `utf-8-sig`, which is a module to be imported.
        with open(file, encoding="utf-8", errors="surrogateescape", newline=None) as opened:
            text = opened.read().removeprefix("\ufeff")
    except OSError:
        return None
    found: str | None = None
    for name, name_key, value in entries(text):
        if (name, name_key) == (section, key):
            found = value
        elif (name, name_key) == ("include", "path") and depth < INCLUDE_DEPTH_MAX:
            included = os.path.join(os.path.dirname(file), os.path.expanduser(value))
            nested = last_value(included, section, key, depth + 1)
            found = found if nested is None else nested
    return found


def entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each entry; a subsection is a part of the section: `a.b`."""
    section = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace():
            position += 1
        elif character in "#;":
            position = _end_of_line(text, position)
        elif character == "[":
            end = _end_of_header(text, position)
            if end is None:
                return
            section = _section(text[position + 1 : end])
            position = end + 1
        else:
            end = position
            while end < len(text) and (text[end].isalnum() or text[end] == "-"):
                end += 1
            key = text[position:end].lower()
            while end < len(text) and text[end] in " \t":
                end += 1
            if not key:
                return
            if text[end : end + 1] == "=":
                value, position = _value(text, end + 1)
            else:
                # A key alone is a boolean that is true.
                value, position = "true", _end_of_line(text, end)
            if value is None:
                return
            yield section, key, value


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _end_of_header(text: str, start: int) -> int | None:
    quoted = False
    position = start
    while position < len(text) and text[position] != "\n":
        if quoted and text[position] == "\\":
            position += 1
        elif text[position] == '"':
            quoted = not quoted
        elif text[position] == "]" and not quoted:
            return position
        position += 1
    return None


def _section(header: str) -> str:
    name, quote, subsection = header.partition('"')
    if not quote:
        return name.strip().lower()
    return f"{name.strip().lower()}.{subsection.removesuffix(chr(34))}"


def _value(text: str, position: int) -> tuple[str | None, int]:
    """The value that begins at `position`, None if it is malformed, and where it ends."""
    value = ""
    spaces = ""
    quoted = False
    while position < len(text) and text[position] != "\n":
        character = text[position]
        position += 1
        if character == "\\":
            escaped = text[position : position + 1]
            position += 1
            if escaped == "\n":
                continue
            if escaped not in _ESCAPES:
                return None, position
            value, spaces = value + spaces + _ESCAPES[escaped], ""
        elif character == '"':
            quoted = not quoted
            value, spaces = value + spaces, ""
        elif character in "#;" and not quoted:
            position = _end_of_line(text, position)
        elif character.isspace() and not quoted:
            # White space counts between words, not around the value.
            spaces += character if value else ""
        else:
            value, spaces = value + spaces + character, ""
    return (None if quoted else value), position
