"""Fixtures: places for databases, and one that is filled."""

from __future__ import annotations

from pathlib import Path

import pytest

from helios.store import RocksStore
from store_suite import make_id, make_record

CONTENTS = [bytes([n]) * 20 * n for n in range(200)] + [b"large" * n for n in (14_000, 90_000)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l2"


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("intact") / "l2"
    with RocksStore.open(path, writable=True) as store:
        store.put_records((make_id(n), make_record(each)) for n, each in enumerate(CONTENTS))
        store.put_references({b"main": make_id(1)})
        store.put_operations([((1, 16), b"commit")])
    return path
