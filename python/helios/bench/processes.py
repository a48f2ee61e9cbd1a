"""Figures: eight processes that commit to one repository, beside one, and beside git."""

from __future__ import annotations

import subprocess
from time import perf_counter

from helios.bench.committer import Committer, maintain, on_corpus
from helios.bench.figure import GIT, Figure, Limit, Measured, Unmeasurable
from helios.bench.workbench import Workbench
from helios.bench.writers import seconds_per_commit, side_by_side

PROCESSES = 8
ONE = "one process"
US_PER_S = 1e6


def helios_seconds_per_commit(
    bench: Workbench, worker: Committer, kind: str, processes: int
) -> float:
    """Wall time by commits of all, when so many processes commit to branches of their own.

    Each makes its edits beforehand, and the same number of commits is made in all.
    """
    count = bench.sizes.process_commits // processes
    names = [f"{kind}-{processes}-{number}" for number in range(processes)]
    for name in names:
        worker.repository.create_branch(name, "main")
    written = side_by_side(bench, worker.root, names, count, "process")
    # The next round begins with an empty journal, and nothing works on it any more.
    maintain(bench, worker.repository)
    return seconds_per_commit(written)


def git_seconds_per_commit(bench: Workbench, processes: int) -> tuple[float, int]:
    """Wall time by commits that git made, and how many attempts failed.

    Each process edits a file of its own in one worktree and runs `git commit` on it, as agents do.
    """
    tree = bench.corpus.write_to(bench.fresh("git"))
    bench.programs.run(bench.programs.git_script("init -q", "add .", "commit -qm base"), tree)
    count = max(1, bench.sizes.git_commits // processes)
    paths = list(bench.corpus.contents)[:processes]
    git = " ".join(bench.programs.git())
    start = perf_counter()
    started = [
        subprocess.Popen(
            ["sh", "-c", loop_of(git, path, count)],
            cwd=tree,
            env=bench.programs.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for path in paths
    ]
    made = sum(process.communicate()[0].count(b"made\n") for process in started)
    wall = perf_counter() - start
    return wall / max(made, 1), count * processes - made


def loop_of(git: str, path: str, count: int) -> str:
    """A shell script that edits and commits a file so many times, and says each that was made."""
    return (
        f"i=0; while [ $i -lt {count} ]; do i=$((i + 1)); echo $i >> {path}; "
        f"if {git} commit -qm edit {path}; then echo made; fi; done"
    )


def eight_processes(bench: Workbench) -> Measured:
    """Wall time per commit of eight processes, beside that of one, in turns."""
    worker = on_corpus(bench)
    sums = {1: 0.0, PROCESSES: 0.0}
    rounds = bench.sizes.rounds
    for number in range(rounds):
        for processes in sums:
            seconds = helios_seconds_per_commit(bench, worker, f"round-{number}", processes)
            sums[processes] += seconds
            # What one turn leaves to be tidied up is not the next one's.
            maintain(bench, worker.repository)
    one, eight = (total / rounds for total in sums.values())
    references = {ONE: one * US_PER_S}
    notes = [f"commits/s: {1 / eight:.0f} of eight processes, {1 / one:.0f} of one"]
    try:
        git_one, _ = git_seconds_per_commit(bench, 1)
        git_eight, failed = git_seconds_per_commit(bench, PROCESSES)
        references[GIT] = git_eight * US_PER_S
        notes.append(
            f"git, commits/s: {1 / git_eight:.0f} of eight processes, {1 / git_one:.0f} of one; "
            f"of the eight's attempts {failed} failed at a lock"
        )
    except Unmeasurable as reason:
        notes.append(f"git unknown: {reason}")
    return Measured(eight * US_PER_S, references, tuple(notes))


FIGURES = (
    # 1.3 times the commits per second.
    Figure("time per commit, eight processes", "us", eight_processes, Limit(0.769, ONE)),
)
