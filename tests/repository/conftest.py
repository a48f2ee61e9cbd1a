"""Fixtures: a fresh repository on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helios import Repository


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a repository may be made."""
    return tmp_path / "repo"


@pytest.fixture
def repo(place: Path) -> Iterator[Repository]:
    with Repository.init(place) as made:
        yield made
