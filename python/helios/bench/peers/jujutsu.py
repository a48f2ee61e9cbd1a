"""The peer `jj` (Jujutsu): the command line, one process for each command, as agents use it.

Its objects lie in a git repository of its own, so what it has committed is read with git.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from helios.bench.corpus import edit_files, write_files
from helios.bench.figure import Unmeasurable
from helios.bench.peers.peer import AUTHOR, EMAIL, Changes, Peer
from helios.bench.workbench import Workbench

SETTINGS = (f"user.name={AUTHOR}", f"user.email={EMAIL}", "ui.paginate=never", "ui.color=never")
LAST = "@-"
"""What was committed last; the worktree is a commit of its own, on top of it."""


class Jujutsu(Peer):
    """A worktree. A commit is `jj commit`, which looks at all files, as git does."""

    name = "jj"

    def __init__(self, bench: Workbench) -> None:
        """Raises `Unmeasurable` if jj or git is not installed."""
        program = shutil.which("jj")
        if program is None:
            raise Unmeasurable("jj is not installed")
        bench.programs.git()
        options = [part for setting in SETTINGS for part in ("--config", setting)]
        self._jj = [program, "--quiet", *options]
        self._bench = bench
        self._root = bench.directory

    def _run(self, *arguments: str) -> str:
        try:
            return self._bench.programs.run([*self._jj, *arguments], self._root).decode()
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()
            raise Unmeasurable(f"jj {arguments[0]}: {reason}") from error

    def __exit__(self, *_: object) -> None:
        """Nothing of it runs between two calls."""

    def load(self, contents: Changes) -> None:
        self._root = self._bench.fresh("peer-jj")
        write_files(self._root, contents)
        self._run("git", "init", "--no-colocate")
        self.commit(contents)
        self._run("bookmark", "create", "main", "-r", LAST)
        self.tidy()

    def tidy(self) -> None:
        """Stores compactly what is kept."""
        self._run("util", "gc")

    def prepare(self, changes: Changes) -> None:
        edit_files(self._root, changes)

    def commit(self, changes: Changes) -> None:
        del changes
        self._run("commit", "-m", "edit")

    def contents(self) -> Changes:
        commit = self._run("log", "--no-graph", "-r", LAST, "-T", "commit_id")
        return self._bench.programs.files_of(self._root / ".jj/repo/store/git", commit)

    @property
    def place(self) -> Path | None:
        return self._root

    def branch(self, name: str) -> None:
        self._run("bookmark", "create", name, "-r", LAST)

    def branches(self) -> set[str]:
        return set(self._run("bookmark", "list", "-T", 'name ++ "\\n"').split())

    def diff(self) -> list[str]:
        return self._run("diff", "-r", LAST, "--name-only").splitlines()
