"""Fixtures: a fresh repository, on disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helios import Repository


@pytest.fixture(params=["memory", "disk"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """A fresh repository, of both kinds: a VST behaves alike in both."""
    made = Repository.memory() if request.param == "memory" else Repository.init(tmp_path / "repo")
    with made:
        yield made
