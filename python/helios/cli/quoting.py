"""Names and messages as text that a terminal shows and does not obey.

Paths are quoted as git quotes them: as they are if every character is printable, else in double
quotes with C escapes, every other byte in octal. `git apply` and people who know git read them.
"""

from __future__ import annotations

import os

_ESCAPES = {
    ord("\a"): "\\a",
    ord("\b"): "\\b",
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("\v"): "\\v",
    ord("\f"): "\\f",
    ord("\r"): "\\r",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}

COMMAND_LEN_MAX = 500
_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_~"


def quoted(path: str) -> str:
    """A path as it is shown; `path` is decoded as `os.fsdecode` does."""
    if path.isprintable() and '"' not in path and "\\" not in path:
        return path
    shown = []
    for character in path:
        if character.isprintable() and character not in '"\\':
            shown.append(character)
            continue
        shown += [_ESCAPES.get(byte) or f"\\{byte:03o}" for byte in os.fsencode(character)]
    return f'"{"".join(shown)}"'


def command_line(words: list[str]) -> str:
    """A command as a shell would take it, in one line. A long one is cut."""
    line = " ".join(["helios-cli", *map(_shell_word, words)])
    return line if len(line) <= COMMAND_LEN_MAX else f"{line[:COMMAND_LEN_MAX]}..."


def _shell_word(word: str) -> str:
    if word and not word.strip(_SAFE) and word.isprintable():
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    # What does not print, and quotes: as the shells' `$'...'` has it.
    shown = quoted(word)
    return "$'" + shown[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def printable(text: str) -> str:
    """Text in one line, with control and other invisible characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )


def _escaped(character: str) -> str:
    if character in "\t\n":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def subject(message: str) -> str:
    """The first line of a message that says something."""
    for line in message.splitlines():
        if line.strip():
            return printable(line.strip())
    return "(no message)"
