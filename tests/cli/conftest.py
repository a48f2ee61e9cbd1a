"""Runs the command line, in this process and as one of its own, in a clean environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from helios.cli import main

AUTHOR = "Ada Lovelace <ada@example.org>"


class Result(NamedTuple):
    """What a run printed, and its exit code. Bytes that do not decode are surrogates."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


class Run(Protocol):
    """Runs `helios-cli` in this process, in `directory` or the test's project."""

    def __call__(self, *arguments: str, directory: Path | None = None) -> Result: ...


class Process(Protocol):
    """Starts `helios-cli` as a process of its own, in the test's project."""

    def __call__(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]: ...


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, which is given back."""
    for name in list(os.environ):
        if name.startswith(("HELIOS_", "GIT_", "XDG_")) or name in {"NO_COLOR", "COLUMNS"}:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HELIOS_AUTHOR", AUTHOR)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TERM", "xterm")
    return home


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which commands run."""
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def run(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Run:
    def run(*arguments: str, directory: Path | None = None) -> Result:
        monkeypatch.chdir(directory or project)
        capsysbinary.readouterr()
        code = main(list(arguments))
        captured = capsysbinary.readouterr()
        out, err = (each.decode("utf-8", "surrogateescape") for each in captured)
        assert "Traceback" not in err
        return Result(code, out, err)

    return run


@pytest.fixture
def process(project: Path) -> Process:
    def process(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "helios.cli", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        # A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(command, cwd=project, **pipes)
        finally:
            signal.signal(signal.SIGINT, before)

    return process


@pytest.fixture
def history(run: Run, project: Path) -> tuple[str, str]:
    """The ids of two snapshots of the project."""
    (project / "src").mkdir()
    (project / "src" / "a.py").write_text("one\n")
    (project / "b.txt").write_text("b\n")
    first: str = run("commit", "-m", "first", "--json").json["snapshot_id"]
    (project / "src" / "a.py").write_text("one\ntwo\n")
    (project / "b.txt").rename(project / "c.txt")
    (project / "new").write_text("new\n")
    second: str = run("commit", "-m", "second", "--json").json["snapshot_id"]
    return first, second
