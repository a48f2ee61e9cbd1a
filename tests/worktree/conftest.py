"""Fixtures: a worktree, and a directory outside of it that nothing may touch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helios import Repository, Worktree


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The worktree's directory."""
    return tmp_path / "work"


@pytest.fixture
def repo(place: Path) -> Iterator[Repository]:
    with Repository.init(place) as made:
        yield made


@pytest.fixture
def worktree(repo: Repository) -> Worktree:
    return repo.worktree


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A directory outside, which nothing may touch."""
    outside = tmp_path / "canary"
    outside.mkdir()
    (outside / "file").write_bytes(b"untouched")
    before = (outside.stat(), (outside / "file").stat())
    yield outside
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_bytes() == b"untouched"
    assert before == (outside.stat(), (outside / "file").stat())
