"""What is derived from git is opened once, whoever asks first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import sleep

import pytest

from helios.store import MemoryStore
from helios.store.derived import DerivedStore
from helios.store.git import derived

THREADS = 8


def test_threads_that_ask_at_once_share_what_runs_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Slow:
        def __init__(self, _directory: str) -> None:
            sleep(0.05)
            made.append(self)

        def close(self) -> None:
            pass

    monkeypatch.setattr(derived, "Derived", Slow)
    (tmp_path / "git" / "helios" / "map").mkdir(parents=True)
    start = Barrier(THREADS)
    with DerivedStore(MemoryStore(), str(tmp_path)) as store, ThreadPoolExecutor(THREADS) as pool:

        def ask(_: int) -> object:
            start.wait()
            return store.derived

        found = set(pool.map(ask, range(THREADS)))
    assert len(found) == 1
    assert list(found) == made
