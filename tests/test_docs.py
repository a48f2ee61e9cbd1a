"""What the documents show is true: their Python runs, and their sessions print what they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)[^)]*\)")
# What differs from run to run: ids, sizes and times, the place.
VARYING = (
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "ID"),
    (re.compile(r"[\d.,]+ (?:us|ms|s|B|KiB|MiB)\b"), "AMOUNT"),
    (re.compile(r" in /\S*/\.helios"), " in PLACE"),
    (re.compile(r"/\S*/(?=(?:project|agent-1)\b)"), "PLACE/"),
    (re.compile(r" +"), " "),
)
COLUMNS_MAX = 100


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return [found[2] for found in BLOCK.finditer(text) if found[1] == language]


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("name", ["README.md", "docs/PYTHON.md"])
def test_python_of_a_document_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(ROOT / name, "python")
    assert found
    variables: dict[str, object] = {"__name__": "__main__"}
    for number, source in enumerate(found, 1):
        exec(compile(source, f"{name}, block {number}", "exec"), variables)  # noqa: S102


def steps(session: str) -> Iterator[tuple[str, str]]:
    """Commands of a session and what each printed."""
    for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, printed = step.partition("\n")
        yield command, printed


def without_varying(text: str) -> str:
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text.strip()


@pytest.mark.parametrize("name", ["README.md", "docs/CLI.md"])
def test_sessions_of_a_document_print_what_they_show(name: str, tmp_path: Path) -> None:
    if find_spec("helios.cli") is None:
        pytest.skip("the command line is not there")
    place, home, programs = (tmp_path / part for part in ("project", "home", "bin"))
    for directory in (place / "src", home, programs):
        directory.mkdir(parents=True)
    (place / "src" / "app.py").write_text("def answer():\n    return 42\n")
    (place / "notes.md").write_text("hello\n")
    packaged = ROOT / "packaging" / "scripts" / "git-remote-helios"
    run = {"helios-cli": "-m helios.cli", "helios": "-m helios.cli", packaged.name: f"'{packaged}'"}
    for program, what in run.items():
        script = programs / program
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {what} "$@"\n')
        script.chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LC_ALL": "C.UTF-8",
    }
    # An instrumented build writes its counters where it is told, or into the worktree.
    if "LLVM_PROFILE_FILE" in os.environ:
        environment["LLVM_PROFILE_FILE"] = os.environ["LLVM_PROFILE_FILE"]
    problems = []
    for session in blocks(ROOT / name, "console"):
        for command, shown in steps(session):
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                check=False,
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                problems.append(f"$ {command}\nexit code {done.returncode}\n{done.stderr}")
            elif shown and without_varying(shown) != without_varying(done.stdout):
                problems.append(f"$ {command}\nshown:\n{shown}printed:\n{done.stdout}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_lines_are_short(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()
    # A row of a table cannot be broken, and what a program printed stays as it was.
    text = "\n".join(lines)
    for printed in re.findall(r"```text\n.*?```", text, re.DOTALL):
        text = text.replace(printed, "")
    long = [
        line for line in text.splitlines() if len(line) > COLUMNS_MAX and not line.startswith("|")
    ]
    assert not long
