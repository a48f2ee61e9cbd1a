"""Figures: commits that survive a power cut, beside a bare fdatasync."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import perf_counter, perf_counter_ns

from helios.bench.committer import Committer, on_corpus
from helios.bench.corpus import Edits
from helios.bench.figure import HELIOS, Figure, Limit, Measured, Unmeasurable
from helios.bench.latencies import Rounds
from helios.bench.workbench import Workbench
from helios.bench.writers import side_by_side

FDATASYNC = "bare fdatasync"
WRITERS = 8
APPENDED_BYTES = 1 << 10


def bare(path: Path, count: int) -> list[int]:
    """Latencies of writing 1 KiB and fdatasync, in nanoseconds, to a file that is filled before."""
    if not hasattr(os, "fdatasync"):
        raise Unmeasurable("this system has no fdatasync")
    block = b"\x5a" * APPENDED_BYTES
    latencies = []
    with open(path, "w+b", buffering=0) as file:
        file.write(bytes(count * APPENDED_BYTES))
        os.fsync(file.fileno())
        for number in range(count):
            start = perf_counter_ns()
            os.pwrite(file.fileno(), block, number * APPENDED_BYTES)
            os.fdatasync(file.fileno())
            latencies.append(perf_counter_ns() - start)
    return latencies


def one_writer(bench: Workbench) -> Measured:
    """The latency of a commit, p95."""
    sizes = bench.sizes
    worker = on_corpus(bench, "disk")
    commits, floor = Rounds(), Rounds()
    for _ in range(sizes.rounds):
        floor.add(bare(bench.fresh("synced"), sizes.synced_commits))
        commits.add(worker.run(sizes.synced_commits))
    bench.record("commits to disk", worker.head)
    return Measured.of(
        "p95",
        {HELIOS: commits.us, FDATASYNC: floor.us},
        (commits.describe(), f"{FDATASYNC}: {floor.describe()}"),
    )


def _branches(bench: Workbench, kind: str) -> tuple[Committer, list[str]]:
    worker = on_corpus(bench, "disk")
    names = [f"{kind}{number}" for number in range(WRITERS)]
    for name in names:
        worker.repository.create_branch(name, "main")
    return worker, names


def _shared(commits: Rounds, wall: float, floor: Rounds) -> Measured:
    return Measured(
        wall * 1e6 / len(commits),
        {FDATASYNC: floor.percentile_us(0.5)},
        (
            f"each writer: {commits.describe()}",
            f"{len(commits) / wall:.0f} commits/s in all",
        ),
    )


def eight_threads(bench: Workbench) -> Measured:
    """Wall time per commit when eight threads commit to branches of their own."""
    worker, names = _branches(bench, "thread")
    count = bench.sizes.synced_commits
    floor = Rounds()
    floor.add(bare(bench.fresh("synced"), count))
    barrier = Barrier(WRITERS + 1)

    def work(writer: Committer) -> list[int]:
        barrier.wait()
        return writer.run(count)

    repository = worker.repository
    writers = [
        Committer(repository, repository.vst(name), Edits(name, bench.corpus.contents))
        for name in names
    ]
    commits = Rounds()
    with ThreadPoolExecutor(WRITERS) as pool:
        futures = [pool.submit(work, writer) for writer in writers]
        barrier.wait()
        start = perf_counter()
        for future in futures:
            commits.add(future.result())
        wall = perf_counter() - start
    floor.add(bare(bench.fresh("synced"), count))
    return _shared(commits, wall, floor)


def eight_processes(bench: Workbench) -> Measured:
    """Wall time per commit when eight processes commit to branches of their own."""
    worker, names = _branches(bench, "process")
    count = bench.sizes.synced_commits
    floor = Rounds()
    floor.add(bare(bench.fresh("synced"), count))
    writers = side_by_side(bench, worker.root, names, count, "disk")
    commits = Rounds()
    for writer in writers:
        commits.add(writer.latencies)
    wall_ns = max(writer.ended for writer in writers) - min(writer.begun for writer in writers)
    floor.add(bare(bench.fresh("synced"), count))
    return _shared(commits, wall_ns / 1e9, floor)


ONE_WRITER = (
    Figure("commit p95, durability disk, one writer", "us", one_writer, aim=Limit(1.3, FDATASYNC)),
)
EIGHT_WRITERS = (
    Figure(
        "time per commit, durability disk, eight threads",
        "us",
        eight_threads,
        aim=Limit(1, FDATASYNC),
    ),
    Figure(
        "time per commit, durability disk, eight processes",
        "us",
        eight_processes,
        aim=Limit(1, FDATASYNC),
    ),
)
