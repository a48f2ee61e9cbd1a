"""Runs stock git as a user does: in a home of its own, with `git-remote-helios` on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
START_S = 1_700_000_000


class Done(NamedTuple):
    """What a run printed, and its exit code."""

    code: int
    out: str
    err: str


class Git:
    """git in one directory, which need not be there yet."""

    def __init__(self, directory: Path, home: Path, *settings: str) -> None:
        self.directory = directory
        self.home = home
        self.settings = [word for setting in settings for word in ("-c", setting)]
        self.variables: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        scripts = os.path.dirname(sys.executable)
        return {
            "PATH": f"{scripts}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_AUTHOR_DATE": f"{START_S} +0100",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_COMMITTER_DATE": f"{START_S} +0100",
            "LC_ALL": "C",
            **self.variables,
        }

    def command(self, *arguments: str) -> list[str]:
        return ["git", *self.settings, *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """git as a session of its own, so that all that it starts can be killed at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, *arguments: str, feed: str = "") -> Done:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment(),
            input=feed,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout.strip(), done.stderr)

    def run(self, *arguments: str, feed: str = "") -> str:
        done = self.ask(*arguments, feed=feed)
        assert done.code == 0, f"git {' '.join(arguments)}: {done.err}"
        return done.out

    def feed(self, content: bytes, *arguments: str) -> str:
        """What git prints that is given bytes."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment(),
            input=content,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def fail(self, *arguments: str) -> str:
        """What it says of why it fails."""
        done = self.ask(*arguments)
        assert done.code != 0, f"git {' '.join(arguments)} went through: {done.out}"
        return done.err

    def at(self, directory: Path) -> Git:
        """The same user elsewhere."""
        there = Git(directory, self.home)
        there.settings = self.settings
        return there

    def init(self, *options: str) -> Git:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.run("init", "--quiet", "--initial-branch=main", *options)
        return self

    def commit(self, path: str, content: str, message: str = "") -> str:
        """Commits one file; gives the commit's id."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        self.run("add", "--", path)
        self.run("commit", "--quiet", "--message", message or f"{path}: {content}")
        return self.id("HEAD")

    def id(self, revision: str) -> str:
        return self.run("rev-parse", "--verify", revision)

    def references(self, *prefixes: str) -> dict[str, str]:
        out = self.run("for-each-ref", "--format=%(refname) %(objectname)", *prefixes)
        return {line.split(" ")[0]: line.split(" ")[1] for line in out.splitlines()}

    def objects(self) -> set[str]:
        """The ids of all objects that the refs reach."""
        out = self.run("rev-list", "--objects", "--all")
        return {line.split(" ")[0] for line in out.splitlines()}
