"""Figures: memory. The most that a process held at once, as the system counts it (ru_maxrss)."""

from __future__ import annotations

import sys
from pathlib import Path

from helios.bench.figure import GIT, HELIOS, Figure, Measured, Unmeasurable
from helios.bench.latencies import Series
from helios.bench.monitored import without_monitor
from helios.bench.workbench import Workbench

KIB_PER_MIB = 1024
# The child of a child: `ru_maxrss` of children is the largest of all that have ever been waited
# for, so each measurement has a process of its own that waits for one command.
MEASURE = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
HOLDING = """\
import sys
from helios import Repository
def held():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
with Repository.open(sys.argv[1], author="bench") as repository:
    vst = repository.vst("main")
    before = held()
    paths = vst.walk()
    forks = [vst.fork(f"fork-{number}") for number in range(int(sys.argv[2]))]
    for number, fork in enumerate(forks):
        fork.write(paths[number % len(paths)], b"edited\\n")
    print(held() - before)
"""
FORKS = 50


def peak_mib(bench: Workbench, command: list[str], directory: Path) -> float:
    """MiB that a command and its children held at most. Raises `Unmeasurable`, `OSError`."""
    if sys.platform != "linux":
        raise Unmeasurable("only Linux counts ru_maxrss in KiB")
    measure = bench.programs.python("-S", "-c", MEASURE, *command)
    return int(bench.programs.run(measure, directory)) / KIB_PER_MIB


def first_commit(bench: Workbench) -> Measured:
    """The first commit of the corpus from disk."""
    programs = bench.programs
    samples: dict[str, Series] = {HELIOS: [[]], GIT: [[]]}
    for _ in range(bench.sizes.first_commits):
        root = bench.corpus.write_to(bench.fresh("memory-helios"))
        command = programs.helios_cli("commit", "-m", "x")
        samples[HELIOS][0].append(peak_mib(bench, command, root))
        root = bench.corpus.write_to(bench.fresh("memory-git"))
        script = programs.git_script("init -q", "add -A", "commit -q -m x")
        samples[GIT][0].append(peak_mib(bench, script, root))
    notes = ("of git the largest of its processes", _least(bench))
    return Measured.of("p50", samples, notes)


def clean_status(bench: Workbench) -> Measured:
    """Status of the corpus, of which nothing has changed."""
    programs = bench.programs
    root = bench.corpus.write_to(bench.fresh("memory-status"))
    programs.run(programs.helios_cli("commit", "-m", "x"), root)
    programs.run(programs.git("init", "-q"), root)
    (root / ".git" / "info" / "exclude").write_text(".helios/\n")
    programs.run(programs.git_script("add -A", "commit -q -m x"), root)
    notes = (*without_monitor(root), _least(bench))
    samples: dict[str, Series] = {HELIOS: [[]], GIT: [[]]}
    for _ in range(bench.sizes.statuses):
        for name, command in (
            (HELIOS, programs.helios_cli("status")),
            (GIT, programs.git("status", "--short")),
        ):
            samples[name][0].append(peak_mib(bench, command, root))
    return Measured.of("p50", samples, notes)


def _least(bench: Workbench) -> str:
    """A process counts what the one held that started it: less cannot be told apart."""
    least = peak_mib(bench, ["true"], bench.directory)
    return f"{least:.1f} MiB stands for as much or less: the process that measures holds so much"


def forks(bench: Workbench) -> Measured:
    """What 50 edited forks add to a process that has the whole tree in its hands."""
    programs = bench.programs
    root = bench.corpus.write_to(bench.fresh("memory-forks"))
    programs.run(programs.helios_cli("commit", "-m", "x"), root)

    def held(number: int) -> float:
        command = programs.python("-c", HOLDING, str(root), str(number))
        return int(programs.run(command, root)) / KIB_PER_MIB

    samples = [held(FORKS) for _ in range(bench.sizes.first_commits)]
    without = [held(0) for _ in range(bench.sizes.first_commits)]
    return Measured.of("p50", {HELIOS: [samples], "the tree alone": [without]})


FIGURES = (
    Figure("memory of the first commit", "MiB", first_commit),
    Figure("memory of a clean status", "MiB", clean_status),
    Figure("memory of the tree and 50 edited forks", "MiB", forks),
)
