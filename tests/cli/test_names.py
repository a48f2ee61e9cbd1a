"""Names and messages that are not what a terminal expects."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helios.cli.quoting import printable, quoted, subject

if TYPE_CHECKING:
    from cli.conftest import Run

ODD = {
    "plain": b"plain",
    "space": b"with space",
    "newline": b"new\nline",
    "escape": b"\x1b[31mred",
    "not UTF-8": b"caf\xe9",
    "accents": "caf\u00e9 \u540d".encode(),
    "right to left": "gpj.\u202eexe".encode(),
    "quotes": b'"quoted"\\',
    "dash": b"-n",
}


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_an_odd_name_goes_through_every_command(run: Run, project: Path, name: bytes) -> None:
    decoded = os.fsdecode(name)
    place = project / decoded
    place.write_bytes(b"1\n")
    assert run("status", "--json").code == 3
    run("commit", "-q")
    place.write_bytes(b"2\n")
    status = run("status")
    assert status.code == 0
    lines = [line for line in status.out.splitlines() if line.startswith("  changed")]
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert lines[0].endswith(quoted(decoded))
    shown = run("status", "--json")
    assert shown.out.isascii()
    [changed] = shown.json["changed"]
    assert os.fsencode(changed["path"]) == name
    patch = run("diff").out
    assert patch.count("\n") == 7
    assert "\x1b" not in patch
    restored = run("restore", "@", "--json", "--", decoded)
    assert [os.fsencode(path) for path in restored.json["written"]] == [name]
    assert place.read_bytes() == b"1\n"
    out = run("materialize", "@", "out")
    assert out.code == 0
    assert [path.name for path in (project / "out").iterdir()] == [decoded]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("src/a.py", "src/a.py"),
        ("with space", "with space"),
        ("caf\u00e9", "caf\u00e9"),
        ("a\nb\tc", '"a\\nb\\tc"'),
        ("\udcff", '"\\377"'),
        ("\x1b", '"\\033"'),
        ("\u202e", '"\\342\\200\\256"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("", ""),
    ],
)
def test_quoting_is_that_of_git(path: str, shown: str) -> None:
    assert quoted(path) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b", "a b"), ("a\nb", "a b"), ("\x1b[0m", "\\x1b[0m"), ("\u202e", "\\u202e")],
)
def test_text_is_made_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [("", "(no message)"), ("\n \n", "(no message)"), ("\n a \nb", "a"), ("\x07", "\\x07")],
)
def test_the_subject_of_a_message(message: str, shown: str) -> None:
    assert subject(message) == shown


def test_a_message_cannot_drive_the_terminal(run: Run, project: Path) -> None:
    (project / "a").write_text("a\n")
    run("commit", "-m", "\x1b]0;title\x07\n\nbody \x1b[2J", "--author", "\x1b[1m")
    for arguments in (["log"], ["log", "--oneline"], ["status"], ["branch"]):
        assert "\x1b" not in run(*arguments).out
    assert json.loads(run("log", "--json").out)["snapshots"][0]["author"] == "\x1b[1m"
