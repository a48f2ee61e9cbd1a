"""Large and strange files: in bounded memory, deduplicated, and with their holes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from helios import Repository

MIB = 1 << 20
COMMIT = "repo.worktree.commit()"
MATERIALIZE = "repo.materialize('main', 'out')"


def peak_bytes(root: Path, work: str) -> int:
    """The most memory that a process had resident while it worked on the repository.

    By the kernel's own mark, because that of `getrusage` goes over from parent to child.
    """
    script = f"""
from helios import Repository
with Repository.init('.') as repo:
    {work}
with open('/proc/self/status') as status:
    print(*(line.split()[1] for line in status if line.startswith('VmHWM')))
"""
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=root, check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024


def noise(mib: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(mib * MIB)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory")
def test_memory_does_not_grow_with_the_size_of_a_file(tmp_path: Path) -> None:
    peaks = {}
    for mib in (16, 160):
        root = tmp_path / str(mib)
        root.mkdir()
        (root / "file").write_bytes(noise(mib))
        (root / ".gitignore").write_text("out\n")
        peaks[mib] = [peak_bytes(root, work) for work in (COMMIT, MATERIALIZE)]
        assert (root / "out" / "file").read_bytes() == noise(mib)
    for small, large in zip(peaks[16], peaks[160], strict=True):
        # L1 may hold 64 MiB of it; the file has 144 MiB more.
        assert large - small < 100 * MIB


def test_a_byte_inserted_in_the_middle_costs_a_few_chunks(tmp_path: Path) -> None:
    content = noise(24)
    with Repository.init(tmp_path) as repo:
        (tmp_path / "file").write_bytes(content)
        first = repo.worktree.commit().snapshot
        (tmp_path / "file").write_bytes(content[: 12 * MIB] + b"x" + content[12 * MIB :])
        second = repo.worktree.commit().snapshot
        assert first.stats is not None
        assert second.stats is not None
        assert first.stats.new_bytes >= 24 * MIB
        assert second.stats.new_bytes < 4 * MIB
        assert repo.read(second, "file")[12 * MIB : 12 * MIB + 1] == b"x"
        assert repo.read(first, "file") == content


def test_a_sparse_file_stays_sparse(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(96 * MIB)
        file.seek(40 * MIB)
        file.write(b"data")
    if os.stat(image).st_blocks * 512 > MIB:
        pytest.skip("this file system has no sparse files")
    with Repository.init(tmp_path) as repo:
        done = repo.worktree.commit()
        assert done.snapshot.stats is not None
        assert done.snapshot.stats.journal_bytes < MIB
        out = tmp_path.parent / f"{tmp_path.name}-out"
        repo.materialize(done.snapshot, out)
        assert (out / "image").read_bytes() == image.read_bytes()
        assert os.stat(out / "image").st_blocks * 512 < 4 * MIB
        image.unlink()
        repo.restore(done.snapshot)
        assert os.stat(image).st_size == 96 * MIB
        assert os.stat(image).st_blocks * 512 < 4 * MIB


def test_a_deep_tree_comes_back(tmp_path: Path) -> None:
    depth = 900
    with Repository.init(tmp_path) as repo:
        deep = tmp_path.joinpath(*["d"] * depth)
        deep.mkdir(parents=True)
        (deep / "leaf").write_text("here")
        done = repo.worktree.commit()
        assert done.warnings == []
        repo.materialize(done.snapshot, tmp_path.parent / f"{tmp_path.name}-out")
        out = (tmp_path.parent / f"{tmp_path.name}-out").joinpath(*["d"] * depth)
        assert (out / "leaf").read_text() == "here"
        assert not repo.worktree.status().diff
