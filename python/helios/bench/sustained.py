"""Figures: load that does not wait for the one that it is put on.

Commits are due at fixed times, and a latency begins when its commit was due, not when the loop got
round to it: if one stalls, those behind it count as late too (this is what leaving out is called
coordinated omission). Some of the time maintenance runs in another process, and is marked.
"""

from __future__ import annotations

import gc
from statistics import fmean
from time import monotonic_ns, sleep

from helios.bench.chart import Chart, Point
from helios.bench.committer import TIME_US, committer
from helios.bench.corpus import Edits
from helios.bench.figure import HELIOS, Figure, Measured
from helios.bench.latencies import NS_PER_US, percentile
from helios.bench.workbench import Workbench

LOAD = 0.25
"""The share that is asked for of what the loop does when it does not wait."""
KEPT_UP = 0.98
BUCKETS = 60
MAINTENANCE_EVERY = 4
"""Maintenance is started at so many moments of the run."""
NS_PER_S = 1e9
SLEEP_NS_MIN = 2_000_000
BESIDE = """\
import subprocess, sys, time
at = sys.argv.index("--")
print("ready", flush=True)
sys.stdin.readline()
for pause in sys.argv[1:at]:
    time.sleep(float(pause))
    print(time.monotonic_ns(), flush=True)
    subprocess.run(sys.argv[at + 1 :], check=True)
    print(time.monotonic_ns(), flush=True)
"""


def load(bench: Workbench) -> Measured:
    """Latency from when a commit was due, at a quarter of the rate that is possible."""
    sizes = bench.sizes
    worker = committer(bench, "sustained", bench.corpus.contents)
    closed_ns = fmean(worker.run(sizes.commits))
    interval_ns = int(closed_ns / LOAD)
    count = max(2, int(sizes.seconds * NS_PER_S / interval_ns))
    edits = Edits(f"{bench.seed} sustained load", bench.corpus.contents)
    changes = [next(edits) for _ in range(count)]
    vst = worker.vst.fork("sustained")
    pauses = [str(sizes.seconds / MAINTENANCE_EVERY)] * (MAINTENANCE_EVERY - 1)
    # Not started from here: starting a process would stall the loop that is measured.
    beside = bench.programs.start(
        bench.programs.python("-c", BESIDE, *pauses, "--", *bench.programs.maintenance(worker.root))
    )
    # What this program itself keeps in memory would be looked through in the middle of a commit.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        beside.expect(b"ready\n")
        beside.tell(b"\n")
        from_due, of_work, ends = [], [], []
        begun = monotonic_ns()
        for number, (path, content) in enumerate(changes):
            due = begun + number * interval_ns
            wait_ns = due - monotonic_ns()
            if wait_ns > SLEEP_NS_MIN:
                # Sleeping wakes late: the last of it is spent in the loop.
                sleep((wait_ns - SLEEP_NS_MIN / 2) / NS_PER_S)
            while monotonic_ns() < due:
                pass
            started = monotonic_ns()
            vst.write(path, content)
            vst.commit("edit", time_us=TIME_US + number)
            ended = monotonic_ns()
            from_due.append((ended - due) / NS_PER_US)
            of_work.append((ended - started) / NS_PER_US)
            ends.append((ended - begun) / NS_PER_S)
        said = [int(word) for word in beside.rest().split()]
    finally:
        gc.enable()
        gc.unfreeze()
        beside.stop()
    times = [(each - begun) / NS_PER_S for each in said]
    stretches = list(zip(times[::2], times[1::2], strict=True))
    asked, done = NS_PER_S / interval_ns, count / ends[-1]
    late = "" if done > KEPT_UP * asked else ": not kept up with, so latencies grow with the run"
    notes = (
        f"{asked:,.0f} commits/s asked for, {done:,.0f} done{late}",
        f"from when a commit was due: {_tail(from_due)}",
        f"the work alone, as a loop that waits would see it: {_tail(of_work)}",
        f"maintenance ran {len(stretches)} times beside it",
    )
    charts = (_throughput(ends, stretches), _latency(ends, from_due, stretches))
    bench.record("sustained commits", vst.base or "")
    return Measured.of("p99", {HELIOS: [from_due], "the work alone": [of_work]}, notes, charts)


def _tail(samples: list[float]) -> str:
    shares = ", ".join(
        f"p{100 * share:g} {percentile(samples, share):.1f}" for share in (0.5, 0.99, 0.999)
    )
    return f"{shares}, worst {percentile(samples, 1):.0f} us"


def _buckets(ends: list[float]) -> tuple[float, list[list[int]]]:
    width = ends[-1] / BUCKETS
    found: list[list[int]] = [[] for _ in range(BUCKETS)]
    for number, end in enumerate(ends):
        found[min(BUCKETS - 1, int(end / width))].append(number)
    return width, found


def _throughput(ends: list[float], stretches: list[Point]) -> Chart:
    width, buckets = _buckets(ends)
    points = [((at + 0.5) * width, len(numbers) / width) for at, numbers in enumerate(buckets)]
    return Chart(
        "Throughput over time",
        "s",
        "commits/s",
        {HELIOS: points},
        bands={"maintenance": stretches},
    )


def _latency(ends: list[float], latencies: list[float], stretches: list[Point]) -> Chart:
    width, buckets = _buckets(ends)
    lines: dict[str, list[Point]] = {"p50": [], "p99": [], "worst": []}
    for at, numbers in enumerate(buckets):
        if numbers:
            samples = [latencies[number] for number in numbers]
            for name, fraction in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
                lines[name].append(((at + 0.5) * width, percentile(samples, fraction)))
    return Chart(
        "Latency over time, from when a commit was due",
        "s",
        "us",
        lines,
        log_y=True,
        bands={"maintenance": stretches},
    )


FIGURES = (Figure("commit p99 under sustained load", "us", load),)
