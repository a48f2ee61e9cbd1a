"""Sessions as a person sees them, kept in `transcripts/`.

A line that begins with `$ ` is a command; what follows is what it printed, standard error
included, and `= N` where it failed. Ids are numbered by their first appearance, times are replaced.
`HELIOS_UPDATE_TRANSCRIPTS=1` writes the files anew, for a review with `git diff`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Run

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
UPDATE = os.environ.get("HELIOS_UPDATE_TRANSCRIPTS")


class Session:
    """A project directory in which the lines of a transcript are run."""

    def __init__(self, project: Path, run: Run) -> None:
        self.project = project
        self.run = run
        self.ids: list[str] = []

    def perform(self, line: str) -> str:
        name, *words = shlex.split(line)
        match name, *words:
            case ["helios-cli", *arguments]:
                result = self.run(*map(self.actual, arguments))
                code = f"= {result.code}\n" if result.code else ""
                return self.stable(result.out) + self.stable(result.err) + code
            case ["git", *arguments]:
                return self.stable(self.by_git(*arguments))
            case ["write", path, text]:
                target = self.project / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text.encode().decode("unicode_escape").encode("latin-1"))
            case ["rename", old, new]:
                (self.project / old).rename(self.project / new)
            case ["remove", path]:
                (self.project / path).unlink()
            case ["link", path, target_name]:
                (self.project / path).symlink_to(target_name)
            case ["executable", path]:
                (self.project / path).chmod(0o755)
            case _:
                pytest.fail(f"not a command of transcripts: {line}")
        return ""

    def by_git(self, *arguments: str) -> str:
        if shutil.which("git") is None:
            pytest.skip("git is not installed")
        people = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ada"), ("EMAIL", "a@b"), ("DATE", "1700000000 +0000"))
        }
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", *arguments],
            cwd=self.project,
            env={**os.environ, **people, "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def actual(self, word: str) -> str:
        """`ID2` in a command is the second id that was shown."""
        return re.sub(r"\bID(\d+)\b", lambda found: self.ids[int(found[1]) - 1][:12], word)

    def stable(self, text: str) -> str:
        def numbered(found: re.Match[str]) -> str:
            shown = found[0]
            for number, known in enumerate(self.ids, 1):
                if known.startswith(shown) or shown.startswith(known):
                    return f"ID{number}"
            self.ids.append(shown)
            return f"ID{len(self.ids)}"

        text = text.replace(str(self.project), "PROJECT")
        text = re.sub(r"(?<=index )[0-9a-f]{12}\.\.[0-9a-f]{12}", "OLD..NEW", text)
        text = re.sub(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{12})\b", numbered, text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", "TIME", text)
        text = re.sub(r"just now|\d+ (?:second|year)s? ago", "just now", text)
        # A frame of the journal also holds the name of the machine.
        text = re.sub(r"[\d.]+ \w+ written in", "SIZE written in", text)
        text = re.sub(r"The repository: .+ -> (about )?.+", r"The repository: SIZE -> \1SIZE", text)
        return re.sub(r"[\d.]+ (?:us|ms|s)\b", "DURATION", text)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, project: Path, run: Run) -> None:
    session = Session(project, run)
    kept = path.read_text(encoding="utf-8")
    written = []
    for line in kept.splitlines(keepends=True):
        if line.startswith("# "):
            written.append(line)
        elif line.startswith("$ "):
            written += [line, session.perform(line[2:])]
    now = "".join(written)
    if UPDATE:
        path.write_text(now, encoding="utf-8")
    assert now == kept


def test_there_are_transcripts() -> None:
    assert TRANSCRIPTS
