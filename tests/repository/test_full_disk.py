"""A disk that takes no more: an error that says so, and nothing that was committed is lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from helios import Repository
from repository import workers


@pytest.mark.parametrize("limit", [100_000, 1_000_000])
@pytest.mark.parametrize("durability", ["process", "disk"])
def test_commit_materialize_and_restore_fail_cleanly_and_work_again(
    place: Path, tmp_path: Path, limit: int, durability: str
) -> None:
    with Repository.init(place) as repo:
        with repo.vst() as vst:
            vst["before"] = b"1"
        before = repo.resolve("main")
        full = repo.vst(before).fork("full")
        full["huge"] = bytes(range(256)) * 8000
        full.commit()
        (place / "on disk").write_bytes(b"mine")
    lines = workers.run("limited", place, limit, tmp_path / "out", durability)
    *failures, made = lines
    assert len(failures) == 4
    assert all(line.startswith(f"StorageError {errno.EFBIG} ") for line in failures)
    with Repository.open(place) as again:
        assert [snapshot.id for snapshot in again.log("main")] == [made, before]
        assert again.read(before, "before") == b"1"
        assert again.damage == []
        if not (place / "on disk").exists():
            safety = failures[-1].rpartition(" ")[2]
            assert again.read(safety, "on disk") == b"mine"
        again.maintenance()
        assert len(again.read("full", "huge")) == 256 * 8000
        again.materialize("full", tmp_path / "out again")
    assert not (tmp_path / "out" / "huge").exists()
