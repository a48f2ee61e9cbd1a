"""Figures: what must not grow with the tree: fork, commit, read."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns

from helios import VST, Repository
from helios.bench.committer import TIME_US, Committer, committer, maintain, on_corpus
from helios.bench.corpus import Writer
from helios.bench.figure import HELIOS, Figure, Limit, Measured
from helios.bench.latencies import NS_PER_US, Rounds
from helios.bench.workbench import Workbench

FEW_FILES = 100
FEW = "100 files"
SMALL = "10,000 files"
"""The name of the smaller tree, whatever its size is in a quick run."""
READ_BYTES = 1 << 10
ONE_DIRECTORY = "in one directory"
READ_ROUNDS = 20
REOPENED_COMMITS = 200


def _spread(bench: Workbench) -> str:
    return f"in {bench.sizes.many_directories} directories"


def many(bench: Workbench, layout: str) -> Committer:
    """A repository with 1,000,000 files, most of them tiny, in the given layout."""

    def make() -> Committer:
        sizes = bench.sizes
        bench.say(f"  building {sizes.many_files} files {layout}")
        below = sizes.many_files // sizes.many_directories
        writer = Writer(f"{bench.seed} many")
        every = sizes.many_files // sizes.many_texts
        contents = {}
        for number in range(sizes.many_files):
            folder = "" if layout == ONE_DIRECTORY else f"folder{number // below:05d}/"
            path = f"{folder}file{number:07d}.txt"
            contents[path] = b"%d\n" % number
            if number % every == 0:
                contents[path] = writer.any_text()
        texts = {path: text for path, text in contents.items() if len(text) >= READ_BYTES}
        made = committer(bench, f"many {layout}", contents, texts)
        made.run(sizes.commits)
        return made

    return bench.once(("many", layout), make)


def _forks(vst: VST, count: int) -> float:
    """Nanoseconds per fork, which is dropped at once."""
    fork = vst.fork
    start = perf_counter_ns()
    for _ in range(count):
        fork()
    return (perf_counter_ns() - start) / count


def fork(bench: Workbench) -> Measured:
    """`vst.fork()` of 1,000,000 files beside one of 100."""
    sizes = bench.sizes
    small = Repository.memory(author="bench").vst("main")
    for number in range(FEW_FILES):
        small.write(f"file{number}.txt", b"%d\n" % number)
    small.commit("base", time_us=TIME_US)
    spread = many(bench, _spread(bench)).vst
    flat = many(bench, ONE_DIRECTORY).vst
    times: dict[VST, list[float]] = {small: [], spread: [], flat: []}
    for _ in range(4 * sizes.rounds):
        for vst, samples in times.items():
            samples.append(_forks(vst, sizes.forks) / NS_PER_US)
    at_spread, at_flat = median(times[spread]), median(times[flat])
    slower = spread if at_spread > at_flat else flat
    return Measured.of(
        "p50",
        {HELIOS: [times[slower]], FEW: [times[small]]},
        (f"{_spread(bench)} {at_spread:.3f} us, {ONE_DIRECTORY} {at_flat:.3f} us",),
    )


def _commits(bench: Workbench, layout: str) -> Measured:
    sizes = bench.sizes
    large, small = many(bench, layout), on_corpus(bench)
    commits, reference = Rounds(), Rounds()
    for _ in range(sizes.rounds):
        reference.add(small.run(sizes.commits))
        commits.add(large.run(sizes.commits))
    bench.record(f"commits at {sizes.many_files} files {layout}", large.head)
    return Measured.of(
        "p95",
        {HELIOS: commits.us, SMALL: reference.us},
        (
            commits.describe(),
            f"{SMALL}: {reference.describe()}",
            _reopened(bench, large),
        ),
    )


def _reopened(bench: Workbench, worker: Committer) -> str:
    """The first commits of a process that opens the repository: each path is read from L2."""
    worker.repository.create_branch("reopened", "main")
    maintain(bench, worker.repository)
    with Repository.open(worker.root, author="bench") as repository:
        rounds = Rounds()
        reopened = worker.on(repository, "reopened")
        rounds.add(reopened.run(min(REOPENED_COMMITS, bench.sizes.commits)))
        return f"first commits after opening the repository: {rounds.describe()}"


def spread_commits(bench: Workbench) -> Measured:
    """Commits to 1,000,000 files in 1,000 directories, beside 10,000 files."""
    return _commits(bench, _spread(bench))


def flat_commits(bench: Workbench) -> Measured:
    """Commits to 1,000,000 files in one directory, beside 10,000 files."""
    return _commits(bench, ONE_DIRECTORY)


def read(bench: Workbench) -> Measured:
    """`vst.read` of files of 1 KiB, which were read before."""
    sizes = bench.sizes
    writer = Writer(f"{bench.seed} read")
    contents = {
        f"folder{number % 10}/file{number}.txt": writer.text(READ_BYTES)
        for number in range(sizes.reads)
    }
    worker = committer(bench, "read", contents)
    repository = bench.open.enter_context(Repository.open(worker.root))
    vst = repository.vst("main")
    paths = list(contents)
    start = perf_counter_ns()
    if any(vst.read(path) != contents[path] for path in paths):
        raise AssertionError("a file is not what was written")
    first = (perf_counter_ns() - start) / len(paths) / NS_PER_US
    times = []
    for _ in range(READ_ROUNDS):
        start = perf_counter_ns()
        for path in paths:
            vst.read(path)
        times.append((perf_counter_ns() - start) / len(paths) / NS_PER_US)
    notes = (f"the first read of each file, from L2: {first:.1f} us",)
    return Measured.of("p50", {HELIOS: [times]}, notes)


# The same cost: half as much again is what caches and clocks are given.
FORKS = (Figure("fork at 1,000,000 files", "us", fork, Limit(1.5, FEW), Limit(1.5)),)
COMMITS = (
    Figure(
        "commit p95 at 1,000,000 files in directories",
        "us",
        spread_commits,
        Limit(2, SMALL),
        Limit(1.3, SMALL),
    ),
    Figure(
        "commit p95 at 1,000,000 files in one directory",
        "us",
        flat_commits,
        Limit(2, SMALL),
        Limit(1.3, SMALL),
    ),
)
READS = (Figure("VST read of 1 KiB", "us", read, Limit(5), Limit(1)),)
