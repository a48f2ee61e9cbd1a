"""A Helios repository, and git clients of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.git_client import Git
from helios import Repository


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The root of a new Helios repository."""
    root = tmp_path / "server"
    Repository.init(root).close()
    return root


@pytest.fixture
def url(server: Path) -> str:
    return f"helios::{server}"


@pytest.fixture
def source(tmp_path: Path, home: Path) -> Git:
    """A git repository with some history: two branches, a merge, tags."""
    git = Git(tmp_path / "source", home).init()
    git.commit("README", "one\n")
    git.commit("src/a.py", "a = 1\n")
    git.run("switch", "--quiet", "-c", "topic")
    git.commit("src/b.py", "b = 2\n")
    git.run("switch", "--quiet", "main")
    git.commit("src/a.py", "a = 2\n")
    git.run("merge", "--quiet", "--no-ff", "-m", "merge topic", "topic")
    git.run("tag", "light")
    git.run("tag", "-a", "-m", "annotated", "v1", "main~1")
    return git


@pytest.fixture
def pushed(source: Git, url: str) -> Git:
    """The same, pushed to the server, which is its remote `origin`."""
    source.run("remote", "add", "origin", url)
    source.run("push", "--quiet", "origin", "--all")
    source.run("push", "--quiet", "origin", "--tags")
    return source
