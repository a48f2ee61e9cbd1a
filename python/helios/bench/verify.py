"""Figures: verification of large objects, beside BLAKE3 alone.

The bytes are random, so they are stored as they are. Each is read from RocksDB once, and hashed
once.
"""

from __future__ import annotations

import random
from statistics import median
from time import perf_counter

from helios import Repository
from helios.bench.committer import committer, maintain
from helios.bench.figure import FLOOR, HELIOS, Figure, Limit, Measured, Unmeasurable
from helios.bench.latencies import Series
from helios.bench.machine import cores
from helios.bench.workbench import Workbench

ONE_THREAD = "BLAKE3 on one thread"
FILE_BYTES = 16 << 20
GIB = 1 << 30
NS_PER_MS = 1_000_000


def large(bench: Workbench) -> Measured:
    """`Repository.verify` of files of 16 MiB in L2; milliseconds per GiB of them."""
    sizes = bench.sizes
    chance = random.Random(f"{bench.seed} verify")  # noqa: S311
    count = max(1, sizes.verified_bytes // FILE_BYTES)
    length = sizes.verified_bytes // count
    total = count * length
    worker = committer(bench, "verify", {"first": b"1"})
    vst = worker.repository.vst("main")
    for number in range(count):
        vst[f"large{number}"] = chance.randbytes(length)
        vst.commit(time_us=number)
        maintain(bench, worker.repository)
    times = []
    objects = 0
    with Repository.open(worker.root) as repository:
        for _ in range(sizes.rounds):
            start = perf_counter()
            found = repository.verify()
            times.append(1000 * (perf_counter() - start) * GIB / total)
            objects = found.objects
            if not found.clean:
                raise AssertionError(f"damage: {found.damage}")
    samples: dict[str, Series] = {HELIOS: [times]}
    notes = [f"{total} B in {objects} objects; {_speed(median(times))} of content"]
    for name, threads in ((FLOOR, cores()), (ONE_THREAD, 1)):
        try:
            took = bench.programs.floor_ns("blake3", total, threads, sizes.rounds)
        except Unmeasurable as reason:
            notes.append(f"{name} unknown: {reason}")
            continue
        samples[name] = [[each / NS_PER_MS * GIB / total for each in took]]
        notes.append(
            f"BLAKE3 on {threads} of {cores()} threads: {_speed(median(samples[name][0]))}"
        )
    return Measured.of("p50", samples, tuple(notes))


def _speed(ms_per_gib: float) -> str:
    return f"{GIB / 1e6 / ms_per_gib:.2f} GB/s"


FIGURES = (Figure("verify, large files, per GiB", "ms", large, aim=Limit(2, FLOOR)),)
