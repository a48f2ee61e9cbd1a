"""Figures: commits through the Python API, durability `process`."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from statistics import median
from threading import Event
from time import perf_counter

from helios.bench.committer import maintain, on_corpus
from helios.bench.companion import companion
from helios.bench.figure import FLOOR, HELIOS, Figure, Limit, Measured, Unmeasurable
from helios.bench.latencies import NS_PER_US, Rounds, percentile
from helios.bench.workbench import Workbench

COMMITS_A_PROCESS = 2000
"""Commits of the floor program between two looks at whether maintenance still runs."""


def run_python(stop: Event) -> None:
    """Runs Python all the time."""
    count = 0
    while not stop.is_set():
        count += 1


def preemptions() -> int:
    """How often the system took the processor away from this thread; 0 where it does not tell.

    On a machine with more to do than processors, that is what the highest latencies are made of.
    """
    if sys.platform != "linux":
        return 0
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def _beside_floor(bench: Workbench, *, busy: bool) -> Measured:
    sizes = bench.sizes
    worker = on_corpus(bench)
    commits, floor = Rounds(), Rounds()
    file = bench.fresh("floor")
    missing = ""
    for _ in range(sizes.rounds):
        try:
            # The first half warms it up.
            samples = bench.programs.floor_ns("commit", file, 2 * sizes.commits)
            floor.add(samples[sizes.commits :])
        except Unmeasurable as reason:
            missing = f"floor unknown: {reason}"
        if busy:
            with companion(run_python):
                commits.add(worker.run(sizes.commits))
        else:
            commits.add(worker.run(sizes.commits))
    bench.record(f"commits{' beside a busy thread' if busy else ''}", worker.head)
    notes = [commits.describe(), missing or f"floor: {floor.describe()}"]
    beside = {} if missing else {FLOOR: floor.us}
    return Measured.of("p95", {HELIOS: commits.us, **beside}, tuple(notes))


def alone(bench: Workbench) -> Measured:
    """Commits with nothing beside them."""
    return _beside_floor(bench, busy=False)


def beside_busy_thread(bench: Workbench) -> Measured:
    """Commits while another thread of the process runs Python."""
    return _beside_floor(bench, busy=True)


def during_maintenance(bench: Workbench) -> Measured:
    """Commits while another process moves the journal into L2."""
    worker = on_corpus(bench)
    command = bench.programs.maintenance(worker.root)
    durations: list[float] = []

    def beside(work: Callable[[], list[int]], enough: int) -> Rounds:
        samples: list[int] = []
        while len(samples) < enough:
            # What maintenance finds to do.
            worker.run(2 * bench.sizes.commits)
            start = perf_counter()
            process = bench.programs.start(command)
            try:
                while process.running():
                    samples += work()
            finally:
                process.stop()
            durations.append(perf_counter() - start)
        rounds = Rounds()
        rounds.add(samples)
        return rounds

    calm: list[int] = []

    def commit() -> list[int]:
        before = preemptions()
        samples = worker.run(1)
        if preemptions() == before:
            calm.extend(samples)
        return samples

    enough = bench.sizes.maintained_commits
    commits = beside(commit, enough)
    samples = {}
    file = bench.fresh("floor")
    try:
        floor = beside(lambda: bench.programs.floor_ns("commit", file, COMMITS_A_PROCESS), enough)
        samples[FLOOR] = floor.us
        said = (
            f"floor beside maintenance: {floor.describe()}, worst {floor.percentile_us(1):.0f} us"
        )
    except Unmeasurable as reason:
        said = f"floor unknown: {reason}"
    maintain(bench, worker.repository)
    quiet = Rounds()
    quiet.add(worker.run(enough))
    return Measured.of(
        "p99.9",
        {HELIOS: commits.us, **samples, "without maintenance": quiet.us},
        (
            f"{commits.describe()}, worst {commits.percentile_us(1):.0f} us",
            (
                f"{len(commits) - len(calm)} commits were interrupted by the scheduler; "
                f"p99.9 of the others {percentile(calm, 0.999) / NS_PER_US:.1f} us"
            ),
            said,
            f"{len(durations)} runs of maintenance, {median(durations):.2f} s each",
        ),
    )


ALONE = Figure("commit p95", "us", alone, Limit(70), Limit(2.5, FLOOR))
FIGURES = (
    ALONE,
    Figure(
        "commit p95, busy Python thread beside",
        "us",
        beside_busy_thread,
        Limit(70),
        Limit(2.5, FLOOR),
    ),
    Figure(
        "commit p99.9 while maintenance runs", "us", during_maintenance, Limit(2000), Limit(500)
    ),
)
