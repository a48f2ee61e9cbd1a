#!/usr/bin/env python3
"""Shows what Helios does, on real files: `make run`.

Takes 10,000 files or more that this machine has (this checkout, Python's standard library and
packages, Rust crates, documentation), copies them to a temporary directory, and runs the commands
that a person would: commit, edit, status, commit, diff, materialize, restore, stats. Afterwards
every file that was materialized or restored is compared with what was there, byte for byte.

Exit code 0; 1 if a comparison fails, a command fails, or there are too few files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILES_MIN = 10_000
FILE_BYTES_MAX = 2 << 20
"""Larger files are left out: a few compiled libraries would outweigh all that people write."""
LINES_SHOWN_MAX = 14
CHANGED, ADDED, DELETED, RENAMED = 40, 12, 8, 5
# What is built, downloaded or recorded; and rules that would keep files of the sources out.
SKIPPED = {
    ".git",
    ".gitignore",
    ".heliosignore",
    ".helios",
    ".venv",
    "__pycache__",
    "node_modules",
    "site-packages",
    "target",
}

Entry = tuple[str, str]
"""Kind of a path (`file`, `executable`, `symlink`, `directory`) and hash of its content."""


class Failed(Exception):
    """The demo has shown that something is wrong."""


@dataclass(frozen=True)
class Source:
    """A place that files are taken from."""

    name: str
    path: Path


def sources() -> list[Source]:
    """Where a machine that can build Helios has files."""
    paths = sysconfig.get_paths()
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return [
        Source("helios", ROOT),
        Source("python", Path(paths["stdlib"])),
        Source("crates", cargo / "registry" / "src"),
        Source("packages", Path(paths["purelib"])),
        Source("include", Path("/usr/include")),
        Source("library", Path("/Library/Developer/CommandLineTools/SDKs")),
        Source("share", Path("/usr/share")),
    ]


def walk(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Files and symlinks below a directory, in order of names; what cannot be read is left out."""
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name in SKIPPED:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path))
        elif entry.is_symlink() or (
            entry.is_file(follow_symlinks=False)
            and entry.stat().st_size <= FILE_BYTES_MAX
            and os.access(entry.path, os.R_OK)
        ):
            yield entry


def collect(tree: Path, wanted: int) -> dict[str, int]:
    """Copies real files to `tree`, until there are `wanted`; how many came from where."""
    counts: dict[str, int] = {}
    for source in sources():
        missing = wanted - sum(counts.values())
        if missing <= 0:
            break
        copied = 0
        made: set[str] = set()
        for entry in walk(source.path):
            if copied == missing:
                break
            target = tree / source.name / os.path.relpath(entry.path, source.path)
            above = str(target.parent)
            if above not in made:
                os.makedirs(above, exist_ok=True)
                made.add(above)
            # Permissions too: an executable stays one.
            shutil.copy(entry.path, target, follow_symlinks=False)
            copied += 1
        if copied:
            counts[str(source.path)] = copied
    return counts


def fingerprint(directory: Path) -> dict[str, Entry]:
    """All that is below `directory`: path, kind and the hash of the content of each."""
    found: list[tuple[str, str]] = []
    pending = [str(directory)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    found.append((entry.path, "symlink"))
                elif entry.is_dir():
                    if entry.name != ".helios":
                        pending.append(entry.path)
                        found.append((entry.path, "directory"))
                else:
                    executable = entry.stat().st_mode & stat.S_IXUSR
                    found.append((entry.path, "executable" if executable else "file"))

    def one(item: tuple[str, str]) -> tuple[str, Entry]:
        path, kind = item
        match kind:
            case "symlink":
                content = os.fsencode(os.readlink(path))
            case "directory":
                content = b""
            case _:
                with open(path, "rb", buffering=0) as file:
                    content = file.read()
        return path[len(str(directory)) + 1 :], (kind, sha256(content).hexdigest())

    with ThreadPoolExecutor() as pool:
        return dict(pool.map(one, found, chunksize=500))


class Shell:
    """Runs helios-cli in the worktree, and shows each command with what it prints."""

    def __init__(self, tree: Path, home: Path) -> None:
        """HOME is empty: no user's ignore rules, no user's settings."""
        script = Path(sys.executable).with_name("helios-cli")
        self._start = [str(script)] if script.exists() else [sys.executable, "-m", "helios.cli"]
        self._tree = tree
        home.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "HELIOS_", "XDG"))}
        self._environment = {**kept, "HOME": str(home), "HELIOS_AUTHOR": "demo"}

    def show(self, *arguments: str) -> str:
        """Runs a command, and prints it and the first lines of its output."""
        start = perf_counter()
        output = self._run(arguments)
        elapsed = perf_counter() - start
        lines = output.splitlines()
        print(f"\n$ helios-cli {' '.join(arguments)}")
        for line in lines[:LINES_SHOWN_MAX]:
            print(f"  {line}")
        if len(lines) > LINES_SHOWN_MAX:
            print(f"  ... and {len(lines) - LINES_SHOWN_MAX} more lines")
        print(f"  [{1000 * elapsed:.0f} ms]")
        return output

    def ask(self, *arguments: str) -> Any:
        """What a command says as JSON, without showing it."""
        return json.loads(self._run((*arguments, "--json")))

    def _run(self, arguments: tuple[str, ...]) -> str:
        done = subprocess.run(
            [*self._start, *arguments],
            check=False,
            cwd=self._tree,
            env=self._environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode or done.stderr:
            said = done.stderr.decode(errors="replace").strip()
            print(f"  {said}")
        if done.returncode:
            raise Failed(f"helios-cli {' '.join(arguments)} ended with {done.returncode}")
        return done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class Edited:
    """How many paths of each kind an edit made."""

    changed: int
    added: int
    deleted: int
    renamed: int


def edit(tree: Path, before: dict[str, Entry]) -> Edited:
    """Changes, adds, deletes and renames files, as a day of work might; the same in each run."""
    chosen = random.Random(1)  # noqa: S311
    # Content that occurs once: else a rename could be told from another file with that content.
    counts: dict[str, int] = {}
    for _, content in before.values():
        counts[content] = counts.get(content, 0) + 1
    files = sorted(
        path for path, (kind, content) in before.items() if kind == "file" and counts[content] == 1
    )
    picked = chosen.sample(files, CHANGED + DELETED + RENAMED)
    changed, rest = picked[:CHANGED], picked[CHANGED:]
    deleted, renamed = rest[:DELETED], rest[DELETED:]
    for number, path in enumerate(changed):
        target = tree / path
        target.chmod(target.stat().st_mode | stat.S_IRUSR | stat.S_IWUSR)
        text = target.read_bytes()
        at = text.find(b"\n", chosen.randrange(len(text) + 1)) + 1
        target.write_bytes(text[:at] + b"# edit %d\n" % number + text[at:])
    added = tree / "added"
    added.mkdir()
    for number in range(ADDED - 2):
        (added / f"note {number}.txt").write_text(f"written by the demo, {number}\n" * 20)
    (added / "run.sh").write_text("#!/bin/sh\necho hello\n")
    (added / "run.sh").chmod(0o755)
    (added / "link").symlink_to("run.sh")
    for path in deleted:
        (tree / path).unlink()
    moved = tree / "moved"
    moved.mkdir()
    for number, path in enumerate(renamed):
        (tree / path).rename(moved / f"{number}{Path(path).suffix}")
    return Edited(len(changed), ADDED, len(deleted), len(renamed))


class Check:
    """Compares trees and counts, and remembers what was compared."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.files = 0
        self.problems: list[str] = []

    def same(self, what: str, expected: dict[str, Entry], directory: Path) -> None:
        """Whether what is in `directory` is what was expected: every byte, mode and symlink."""
        found = fingerprint(directory)
        differing = sorted(
            path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path)
        )
        self.files += len(found)
        if differing:
            self.problems.append(f"{what}: {len(differing)} paths differ: {differing[:3]}")
            print(f"  WRONG: {self.problems[-1]}")
        else:
            print(f"  verified: {what}: all {len(found)} paths are the same")

    def equal(self, what: str, expected: object, found: object) -> None:
        """Whether a count is what it should be."""
        if expected != found:
            self.problems.append(f"{what}: {found}, not {expected}")
            print(f"  WRONG: {self.problems[-1]}")


def heading(text: str) -> None:
    """Begins a part of the demo."""
    print(f"\n== {text}")


def demonstrate(base: Path, check: Check) -> None:
    """The main job."""
    tree = base / "tree"
    heading("A worktree of real files")
    counts = collect(tree, FILES_MIN)
    for source, count in counts.items():
        print(f"  {count:6} from {source}")
    total = sum(counts.values())
    if total < FILES_MIN:
        raise Failed(f"this machine has {total} files to show it on; {FILES_MIN} are needed")
    first_state = fingerprint(tree)
    shell = Shell(tree, base / "home")

    heading("Commit: the first one makes the repository")
    shell.show("commit", "-m", "as found")
    first = shell.ask("log", "-n", "1")["snapshots"][0]["snapshot_id"]

    heading(f"Edit: change {CHANGED} files, add {ADDED}, delete {DELETED}, rename {RENAMED}")
    edited = edit(tree, first_state)
    second_state = fingerprint(tree)
    shell.show("status")
    shell.show("commit", "-m", "edited")
    second = shell.ask("log", "-n", "1")["snapshots"][0]["snapshot_id"]

    heading("Diff")
    shell.show("diff", first, second, "--summary")
    difference = shell.ask("diff", first, second)
    found = Edited(*(len(difference[kind]) for kind in ("changed", "added", "deleted", "renamed")))
    check.equal("diff", edited, found)

    heading("Materialize: any snapshot, anywhere")
    out = base / "first"
    shell.show("materialize", first, str(out))
    check.same("materialized snapshot 1", first_state, out)

    heading("Restore: back to the first snapshot, and forth again")
    shell.show("restore", first)
    check.same("restored snapshot 1", first_state, tree)
    shell.show("restore", second)
    check.same("restored snapshot 2", second_state, tree)

    heading("Stats")
    shell.show("stats")


def main(given: list[str]) -> int:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, help="work below this directory")
    parser.add_argument("--keep", action="store_true", help="do not delete what was made")
    arguments = parser.parse_args(given)
    start = perf_counter()
    check = Check()
    base = Path(tempfile.mkdtemp(prefix="helios-demo-", dir=arguments.dir))
    try:
        demonstrate(base, check)
    except Failed as reason:
        check.problems.append(str(reason))
    finally:
        if arguments.keep:
            print(f"\nkept: {base}")
        else:
            shutil.rmtree(base)
    elapsed = perf_counter() - start
    if check.problems:
        print(f"\nFAILED: {'; '.join(check.problems)}")
        return 1
    print(f"\nOK: {check.files} paths compared, every byte the same; {elapsed:.1f} s in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
