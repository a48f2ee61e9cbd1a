"""Figures: going from one snapshot to another: diff, switch, restore; and what they cost with size.

What is on disk is compared with what it must be after every switch and restore, outside the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from helios import Repository
from helios.bench.chart import Chart, Point
from helios.bench.commands import MS, interleaved
from helios.bench.committer import TIME_US, committer
from helios.bench.corpus import Corpus, Edits, Writer, tiny_files
from helios.bench.figure import GIT, HELIOS, Figure, Limit, Measured
from helios.bench.latencies import NS_PER_US, Series, seconds_of, statistic_of
from helios.bench.monitored import with_monitor, without_monitor
from helios.bench.scale import many
from helios.bench.stream import write_stream
from helios.bench.workbench import Workbench

NS_PER_MS = 1e6
OTHER = "other"
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
SAMPLES_A_SIZE = 200
COMPARED = "content on disk is compared after each switch"
KEPT = "Helios makes what it replaces a snapshot first; git drops it"


def diff_of_many(bench: Workbench) -> Measured:
    """Two snapshots 10 files apart in 1,000,000, compared again and again: warm."""
    sizes = bench.sizes
    worker = many(bench, f"in {sizes.many_directories} directories")
    repository = worker.repository
    base = worker.head
    vst = repository.vst(base)
    writer = Writer(f"{bench.seed} diff of many")
    paths = vst.walk()[:: max(1, sizes.many_files // sizes.switched_files)][: sizes.switched_files]
    fork = vst.fork("diffed")
    for path in paths:
        fork.write(path, writer.any_text())
    changed = fork.commit("diff", time_us=TIME_US)
    first: list[float] = []
    with Repository.open(worker.root) as opened:
        first.append(seconds_of(lambda: opened.diff(base, changed.id)) * MS)
    samples = []
    for _ in range(sizes.diffs):
        start = perf_counter_ns()
        found = repository.diff(base, changed.id)
        samples.append((perf_counter_ns() - start) / NS_PER_MS)
        if sorted(each.path for each in found.changed) != sorted(paths) or len(found) != len(paths):
            raise AssertionError(f"the diff is not what was changed: {len(found)} paths")
    notes = (f"the first diff after opening the repository, from L2: {first[0]:.2f} ms",)
    return Measured.of("p50", {HELIOS: [samples]}, notes)


def _two_states(bench: Workbench) -> tuple[Path, Path, dict[str, tuple[bytes, bytes]]]:
    """Worktrees of Helios and of git with two branches 10 files apart; those files' contents."""

    def make() -> tuple[Path, Path, dict[str, tuple[bytes, bytes]]]:
        programs, sizes = bench.programs, bench.sizes
        bench.say(f"  building {sizes.status_files} files on disk, twice")
        corpus = Corpus(f"{bench.seed} switch", sizes.status_files, sizes.status_directories)
        edits = Edits(f"{bench.seed} switch", corpus.contents)
        states: dict[str, tuple[bytes, bytes]] = {}
        while len(states) < sizes.switched_files:
            path, content = next(edits)
            states[path] = (corpus.contents[path], content)
        of_helios = corpus.write_to(bench.fresh("switch-helios"))
        programs.run(programs.helios_cli("commit", "-m", "base"), of_helios)
        programs.run(programs.helios_cli("switch", "-c", OTHER), of_helios)
        of_git = corpus.write_to(bench.fresh("switch-git"))
        programs.run(programs.git("init", "-q"), of_git)
        # Into one pack: loose objects would be as many files again.
        stream = write_stream(of_git.parent / "stream", [corpus.contents])
        programs.run(programs.git("fast-import", "--quiet"), of_git, stream)
        programs.run(programs.git_script("reset -q", "status", f"switch -q -c {OTHER}"), of_git)
        for root in (of_helios, of_git):
            for path, (_, content) in states.items():
                (root / path).write_bytes(content)
        programs.run(programs.helios_cli("commit", "-m", OTHER), of_helios)
        programs.run(programs.git("commit", "-qam", OTHER), of_git)
        return of_helios, of_git, states

    return bench.once("two states on disk", make)


def _require(root: Path, states: dict[str, tuple[bytes, bytes]], which: int) -> None:
    wrong = [path for path, texts in states.items() if (root / path).read_bytes() != texts[which]]
    if wrong:
        raise AssertionError(f"{root}: {wrong[0]} is not what it must be")


def _switches(bench: Workbench) -> dict[str, Series]:
    programs = bench.programs
    of_helios, of_git, states = _two_states(bench)
    turns = {of_helios: 0, of_git: 0}

    def switching(root: Path, command: Callable[..., list[str]]) -> Callable[[], float]:
        def work() -> float:
            turns[root] += 1
            which = 1 - turns[root] % 2
            target = OTHER if which else "main"
            elapsed = programs.seconds(command("switch", target), root) * MS
            _require(root, states, which)
            return elapsed

        return work

    works = {
        HELIOS: switching(of_helios, programs.helios_cli),
        GIT: switching(of_git, programs.git),
    }
    # An odd number, with the one that warms up even: both are back where they were.
    return interleaved(bench.sizes.switches | 1, works)


def switch(bench: Workbench) -> Measured:
    """`helios-cli switch` between snapshots 10 files apart of 100,000."""
    of_helios, *_ = _two_states(bench)
    notes = with_monitor(bench.programs, of_helios)
    return Measured.of("p50", _switches(bench), (*notes, COMPARED))


def switch_looking(bench: Workbench) -> Measured:
    """The same where nobody knows what has changed."""
    of_helios, *_ = _two_states(bench)
    notes = without_monitor(of_helios)
    return Measured.of("p50", _switches(bench), (*notes, COMPARED))


def _restores(bench: Workbench) -> dict[str, Series]:
    programs = bench.programs
    of_helios, of_git, states = _two_states(bench)
    writer = Writer(f"{bench.seed} restore")

    def restoring(root: Path, command: list[str]) -> Callable[[], float]:
        def work() -> float:
            for path in states:
                (root / path).write_bytes(writer.any_text())
            elapsed = programs.seconds(command, root) * MS
            _require(root, states, 1)
            return elapsed

        return work

    def resolve() -> str:
        with Repository.open(of_helios) as repository:
            return repository.resolve(OTHER)

    # By its id before the first restore: what one saves goes to the branch, which moves.
    wanted = bench.once("the other state", resolve)
    works = {
        HELIOS: restoring(of_helios, programs.helios_cli("restore", wanted)),
        GIT: restoring(of_git, programs.git("restore", ".")),
    }
    return interleaved(bench.sizes.switches, works)


def restore(bench: Workbench) -> Measured:
    """Taking back changes of 10 of 100,000 files, which nobody has committed."""
    of_helios, *_ = _two_states(bench)
    notes = with_monitor(bench.programs, of_helios)
    return Measured.of("p50", _restores(bench), (*notes, KEPT))


def restore_looking(bench: Workbench) -> Measured:
    """The same where nobody knows what has changed."""
    of_helios, *_ = _two_states(bench)
    notes = without_monitor(of_helios)
    return Measured.of("p50", _restores(bench), (*notes, KEPT))


def diff_command(bench: Workbench) -> Measured:
    """`helios-cli diff --summary` of two snapshots 10 files apart of 100,000."""
    programs = bench.programs
    of_helios, of_git, states = _two_states(bench)
    by_helios = programs.helios_cli("diff", "--summary", "main", OTHER)
    by_git = programs.git("diff", "--name-only", "main", OTHER)
    shown = programs.run(by_helios, of_helios).decode(), programs.run(by_git, of_git).decode()
    if any(path not in text for path in states for text in shown):
        raise AssertionError("a diff does not show what was changed")
    works = {
        HELIOS: lambda: programs.seconds(by_helios, of_helios) * MS,
        GIT: lambda: programs.seconds(by_git, of_git) * MS,
    }
    return Measured.of("p50", interleaved(bench.sizes.switches, works))


def against_size(bench: Workbench) -> Measured:
    """What a commit, a fork, a branch and a diff cost in trees of 100 files and more."""
    sizes = bench.sizes
    lines: dict[str, list[Point]] = {}
    totals: dict[str, Series] = {}
    wanted = [size for size in SIZES if size <= sizes.sizes_max]
    for size in wanted:
        for name, samples in _costs(bench, size).items():
            lines.setdefault(name, []).append((float(size), statistic_of([samples], "p50")))
            totals[f"{name} at {size} files"] = [samples]
    largest, smallest = f"commit at {wanted[-1]} files", f"commit at {wanted[0]} files"
    chart = Chart("Cost against tree size (medians)", "files", "us", lines, log_x=True, log_y=True)
    measured = {HELIOS: totals.pop(largest), smallest: totals.pop(smallest), **totals}
    notes = ("medians; the value is the commit in the largest tree",)
    return Measured.of("p50", measured, notes, (chart,))


def _costs(bench: Workbench, files: int) -> dict[str, list[float]]:
    """Microseconds of each operation in a tree of so many small files, 100 in a directory."""
    worker = committer(bench, f"size {files}", tiny_files(files))
    count = min(SAMPLES_A_SIZE, bench.sizes.commits)
    worker.run(count)
    repository, vst = worker.repository, worker.vst
    found: dict[str, list[float]] = {
        "commit": [each / NS_PER_US for each in worker.run(count)],
        "fork": [],
        "branch": [],
        "diff": [],
    }
    parent = repository.snapshot(worker.head).parents[0]
    works: dict[str, Callable[[int], object]] = {
        "fork": lambda _: vst.fork(),
        "branch": lambda number: repository.create_branch(f"size-{number}", "main"),
        "diff": lambda _: repository.diff(parent, worker.head),
    }
    for number in range(count):
        for name, work in works.items():
            start = perf_counter_ns()
            work(number)
            found[name].append((perf_counter_ns() - start) / NS_PER_US)
    return found


DIFFS = (
    Figure("diff of 10 files in 1,000,000, warm", "ms", diff_of_many, Limit(1)),
    Figure("helios-cli diff, 10 files of 100,000", "ms", diff_command),
)
RESTORES = (
    Figure("helios-cli switch, 10 files of 100,000", "ms", switch, Limit(0.3, GIT)),
    Figure("helios-cli switch without a monitor", "ms", switch_looking),
    Figure("helios-cli restore, 10 files of 100,000", "ms", restore),
    Figure("helios-cli restore without a monitor", "ms", restore_looking),
)
SCALING = (Figure("commit in the largest tree, cost against size", "us", against_size),)
