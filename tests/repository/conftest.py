"""Fixtures: a fresh repository on disk, and copies of one that is filled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helios import Repository
from repository import faults, workloads


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a repository may be made."""
    return tmp_path / "repo"


@pytest.fixture
def repo(place: Path) -> Iterator[Repository]:
    with Repository.init(place) as made:
        yield made


@pytest.fixture(scope="session")
def strace() -> str:
    return faults.find_strace()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that workloads work on."""
    directory = tmp_path_factory.mktemp("prepared") / "repo"
    workloads.prepare(directory)
    return directory


@pytest.fixture
def places(tmp_path: Path, prepared: Path) -> Iterator[Path]:
    """Copies of it, each in a directory of its own."""

    def copies() -> Iterator[Path]:
        number = 0
        while True:
            number += 1
            place = tmp_path / f"{number}" / "repo"
            shutil.copytree(prepared, place)
            yield place

    return copies()
