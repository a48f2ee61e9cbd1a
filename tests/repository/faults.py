"""Faults at system calls: a worker is killed before any call that writes, or the call fails.

A worker runs once under strace to see which calls it makes, and then again for each of them with
the fault injected there. A worker that runs on one processor makes the same calls each time; where
several threads make the same call, the fault meets the one that is there first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from environment import unmeasured

# What changes a file, a directory or what is on disk. The question mark lets strace pass over a
# name that this machine's kernel does not have.
WRITES = (
    "write,pwrite64,?writev,?pwritev,fdatasync,fsync,ftruncate,fallocate,?rename,?renameat"
    ",?renameat2,?unlink,?unlinkat,?rmdir,?mkdir,?mkdirat,?symlink,?symlinkat,?link,?linkat"
    ",?copy_file_range,?sync_file_range"
)
TRACED = f"{WRITES},openat"
ENTRY = re.compile(r"^(?P<thread>\d+)\s+(?P<name>\w+)\((?P<arguments>.*)")
TIMEOUT_S = 120


@dataclass(frozen=True)
class Call:
    """The `ordinal`-th call of this name by some thread of the worker, counted from 1."""

    name: str
    ordinal: int
    text: str

    @property
    def path(self) -> str:
        """The first path among the arguments."""
        named = re.search(r'[<"](/[^>"]*)[>"]', self.text.replace("AT_FDCWD<", ""))
        return "" if named is None else named[1]

    def with_fault(self, fault: str, *, and_later: bool = False) -> str:
        """What strace is told: `fault` is `signal=KILL`, `error=EIO` or the like."""
        return f"inject={self.name}:{fault}:when={self.ordinal}{'+' if and_later else ''}"


def find_strace() -> str:
    """strace, where it may trace; otherwise the test is skipped, but not in CI."""
    program = shutil.which("strace")
    if program is not None:
        tried = subprocess.run([program, "-qq", "-e", "trace=none", "true"], check=False)
        if tried.returncode == 0:
            return program
    message = "strace is missing or may not trace; install it with: apt-get install strace"
    if program is None and os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def command(strace: str, log: Path, worker: tuple[object, ...], injection: str = "") -> list[str]:
    """The command line of a worker under strace."""
    return [
        *(strace, "-f", "-qq", "-y", "-o", str(log)),
        *("-e", "signal=none", "-e", f"trace={TRACED}"),
        *(("-e", injection) if injection else ()),
        *(sys.executable, "-m", "repository.workloads", *map(str, worker)),
    ]


def environment() -> dict[str, str]:
    """The worker's: one that measures no coverage, which would write files of its own."""
    return {**unmeasured(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run(
    strace: str, log: Path, worker: tuple[object, ...], injection: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a worker to its end, whatever that is."""
    return subprocess.run(
        command(strace, log, worker, injection),
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        env=environment(),
    )


def calls(log: Path, below: Path) -> list[Call]:
    """The calls in a trace that write below a directory, each (name, ordinal) once."""
    counts: dict[tuple[str, str], int] = {}
    found: dict[tuple[str, int], Call] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = ENTRY.match(line)
        if entry is None:
            continue
        thread, name, arguments = entry["thread"], entry["name"], entry["arguments"]
        counts[thread, name] = ordinal = counts.get((thread, name), 0) + 1
        writes = str(below) in arguments and (name != "openat" or "O_CREAT" in arguments)
        if writes and " = -1 " not in arguments:
            found.setdefault((name, ordinal), Call(name, ordinal, f"{name}({arguments}"))
    return [
        call
        for _, run in groupby(found.values(), key=lambda call: (call.name, call.path))
        for call in ends(list(run))
    ]


def ends(run: list[Call]) -> list[Call]:
    """Of many like calls on one file the first, the second and the last."""
    return run if len(run) <= 3 else [*run[:2], run[-1]]
