"""Figures: commands, from the start of the process to its end, beside git's.

`helios-cli` commits with durability `disk`, its default. Git runs with gc.auto=0.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from helios import Repository
from helios.bench.committer import maintain
from helios.bench.corpus import Corpus, Edits
from helios.bench.figure import FLOOR, GIT, HELIOS, Figure, Limit, Measured, Unmeasurable
from helios.bench.latencies import Series, seconds_of, statistic_of
from helios.bench.machine import cores
from helios.bench.monitored import with_monitor, without_monitor
from helios.bench.stream import write_stream
from helios.bench.workbench import Workbench

MS = 1000.0
NS_PER_MS = 1e6
START_UP = "start-up"
BARE = "python -c pass"


def interleaved(count: int, works: dict[str, Callable[[], float]]) -> dict[str, Series]:
    """What each measures, taking turns `count` times; who begins a turn changes.

    A turn before that warms up, and is not counted.
    """
    samples: dict[str, Series] = {name: [[]] for name in works}
    order = list(works)
    for work in works.values():
        work()
    for _ in range(count):
        for name in order:
            samples[name][0].append(works[name]())
        order.append(order.pop(0))
    return samples


def _beside_floors(
    bench: Workbench,
    count: int,
    works: dict[str, Callable[[], float]],
    floor: Callable[[int], float],
) -> Measured:
    """Milliseconds, in turns; `floor` measures with so many threads, and the best number counts."""
    floors = {f"floor, {n} threads": partial(floor, n) for n in sorted({1, cores()})}
    try:
        bench.programs.require_floor()
    except Unmeasurable as reason:
        notes = (f"floor unknown: {reason}",)
        return Measured.of("p50", interleaved(count, works), notes)
    samples = interleaved(count, works | floors)
    each = {name: statistic_of(samples[name], "p50") for name in floors}
    best = min(each, key=lambda name: each[name])
    of_floors = {name: samples.pop(name) for name in floors}
    samples[FLOOR] = of_floors[best]
    notes = (", ".join(f"{name}: {ms:.1f} ms" for name, ms in each.items()),)
    return Measured.of("p50", samples, notes)


def _committed(bench: Workbench) -> tuple[Path, Path]:
    """Two worktrees with the same files: one that helios-cli has committed, one of git."""

    def make() -> tuple[Path, Path]:
        programs, corpus = bench.programs, bench.corpus
        programs.helios_cli()
        of_helios = corpus.write_to(bench.fresh("helios"))
        programs.run(programs.helios_cli("commit", "-m", "base"), of_helios)
        of_git = corpus.write_to(bench.fresh("git"))
        programs.run(programs.git_script("init -q", "add -A", "commit -q -m base"), of_git)
        return of_helios, of_git

    return bench.once("committed worktrees", make)


def first_commit(bench: Workbench) -> Measured:
    """The first commit of 10,000 files."""
    programs = bench.programs
    trees = []

    def by_helios() -> float:
        root = bench.corpus.write_to(bench.fresh("first-helios"))
        command = programs.helios_cli("commit", "-m", "x", "--json")
        outputs: list[bytes] = []
        elapsed = seconds_of(lambda: outputs.append(programs.run(command, root)))
        trees.append(json.loads(outputs[0])["tree_id"])
        return elapsed * MS

    def by_git() -> float:
        root = bench.corpus.write_to(bench.fresh("first-git"))
        script = programs.git_script("init -q", "add -A", "commit -q -m x")
        return programs.seconds(script, root) * MS

    samples = interleaved(bench.sizes.first_commits, {HELIOS: by_helios, GIT: by_git})
    if len(set(trees)) != 1:
        raise AssertionError(f"the same files made different trees: {trees}")
    bench.record("tree of the first commit", trees[0])
    notes = (f"{len(bench.corpus)} files, {bench.corpus.size} B",)
    return Measured.of("p50", samples, notes)


def small_commit(bench: Workbench) -> Measured:
    """The commit after a change of one of 10,000 files."""
    programs = bench.programs
    of_helios, of_git = _committed(bench)
    notes = with_monitor(programs, of_helios)
    commit = programs.helios_cli("commit", "-m", "x")
    script = programs.git_script("add -A", "commit -q -m x")

    changed: dict[Path, dict[str, bytes]] = {of_helios: {}, of_git: {}}

    def changing(root: Path, command: list[str]) -> Callable[[], float]:
        edits = Edits(f"{bench.seed} small", bench.corpus.contents)

        def work() -> float:
            path, content = next(edits)
            changed[root][path] = content
            (root / path).write_bytes(content)
            return programs.seconds(command, root) * MS

        return work

    works = {HELIOS: changing(of_helios, commit), GIT: changing(of_git, script)}
    samples = interleaved(bench.sizes.small_commits, works)
    with Repository.open(of_helios) as repository:
        vst = repository.vst("main")
        if any(vst.read(path) != content for path, content in changed[of_helios].items()):
            raise AssertionError("helios-cli has not committed a change")
    if programs.run(programs.git("status", "--short"), of_git):
        raise AssertionError("git has not committed a change")
    return Measured.of("p50", samples, notes)


def _start_up(bench: Workbench) -> Callable[[], float]:
    command = bench.programs.helios_cli("--version")
    return lambda: bench.programs.seconds(command, bench.directory) * MS


def _clean(bench: Workbench) -> Path:
    """A worktree of Helios and of git, with nothing to commit in either."""

    def make() -> Path:
        programs, sizes = bench.programs, bench.sizes
        programs.helios_cli()
        bench.say(f"  building {sizes.status_files} files on disk")
        corpus = Corpus(f"{bench.seed} status", sizes.status_files, sizes.status_directories)
        root = corpus.write_to(bench.fresh("status"))
        # One worktree for both: each leaves the other's directory alone.
        programs.run(programs.git("init", "-q"), root)
        (root / ".git" / "info" / "exclude").write_text(".helios/\n")
        # Into one pack: loose objects would be as many files again.
        stream = write_stream(root.parent / "stream", [corpus.contents])
        programs.run(programs.git("fast-import", "--quiet"), root, stream)
        programs.run(programs.git("reset", "-q"), root)
        programs.run(programs.helios_cli("commit", "-m", "base"), root)
        for command in (programs.helios_cli("status"), programs.git("status", "--short")):
            # The first one may refresh its index.
            programs.run(command, root)
        return root

    return bench.once("a clean worktree", make)


def _statuses(bench: Workbench, root: Path) -> dict[str, Callable[[], float]]:
    programs = bench.programs
    by_helios, by_git = programs.helios_cli("status"), programs.git("status", "--short")
    return {
        HELIOS: lambda: programs.seconds(by_helios, root) * MS,
        GIT: lambda: programs.seconds(by_git, root) * MS,
    }


def status(bench: Workbench) -> Measured:
    """Status of 100,000 files of which none has changed."""
    root = _clean(bench)
    notes = with_monitor(bench.programs, root)
    samples = interleaved(bench.sizes.statuses, _statuses(bench, root))
    return Measured.of("p50", samples, notes)


def status_looking(bench: Workbench) -> Measured:
    """The same where nobody knows what has changed."""
    programs, sizes = bench.programs, bench.sizes
    root = _clean(bench)
    without_monitor(root)
    works = {**_statuses(bench, root), START_UP: _start_up(bench)}

    def scan(threads: int) -> float:
        return programs.floor_ns("scan", root, threads, 1)[0] / NS_PER_MS

    return _beside_floors(bench, sizes.statuses, works, scan)


def materialize(bench: Workbench) -> Measured:
    """Materialize 10,000 files: the call, in a repository that was opened just before."""
    of_helios, _ = _committed(bench)
    source = bench.corpus.write_to(bench.fresh("source"))
    trees = set()
    outs = []

    def by_helios() -> float:
        out = bench.fresh("materialized")
        outs.append(out)
        with Repository.open(of_helios) as repository:
            snapshot = repository.snapshot("main")
            trees.add(snapshot.tree_id)
            return seconds_of(lambda: repository.materialize(snapshot, out)) * MS

    def create(threads: int) -> float:
        out = bench.fresh("created")
        return bench.programs.floor_ns("create", source, out, threads)[0] / NS_PER_MS

    works = {HELIOS: by_helios, GIT: _checkout(bench)}
    measured = _beside_floors(bench, bench.sizes.checkouts, works, create)
    [tree] = trees
    bench.record("materialized", tree)
    # Another figure may have committed changes meanwhile: the snapshot says what must be there.
    with Repository.open(of_helios) as repository:
        vst = repository.vst("main")
        if any((outs[-1] / path).read_bytes() != vst.read(path) for path in vst.walk()):
            raise AssertionError("what was materialized is not what was committed")
    return measured


def materialize_command(bench: Workbench) -> Measured:
    """Materialize 10,000 files: the command."""
    programs = bench.programs
    of_helios, _ = _committed(bench)

    def by_helios() -> float:
        command = programs.helios_cli("materialize", "main", str(bench.fresh("materialized")))
        return programs.seconds(command, of_helios) * MS

    works = {HELIOS: by_helios, GIT: _checkout(bench)}
    return Measured.of("p50", interleaved(bench.sizes.checkouts, works))


def _checkout(bench: Workbench) -> Callable[[], float]:
    """`git checkout` in a clone that has nothing checked out, and shares the objects."""
    programs = bench.programs
    _, of_git = _committed(bench)

    def work() -> float:
        root = bench.fresh("checkout")
        clone = programs.git("clone", "-q", "--shared", "--no-checkout", str(of_git), str(root))
        programs.run(clone, bench.directory)
        return programs.seconds(programs.git("checkout", "-q", "main"), root) * MS

    return work


def version(bench: Workbench) -> Measured:
    """`helios-cli --version`."""
    programs = bench.programs
    python = programs.python("-c", "pass")
    works = {
        HELIOS: _start_up(bench),
        BARE: lambda: programs.seconds(python, bench.directory) * MS,
    }
    return Measured.of("p50", interleaved(bench.sizes.starts, works))


def branches(bench: Workbench) -> Measured:
    """`helios-cli branch` with 100,000 branches, each with a snapshot of its own."""
    programs, count = bench.programs, bench.sizes.branches
    names = [f"agent/{number:06d}" for number in range(count)]
    of_helios = bench.fresh("branches-helios")
    with Repository.init(of_helios) as repository:
        with repository.vst("main") as vst:
            vst["a"] = "a"
        for name in names:
            vst.fork(name).commit(name)
        maintain(bench, repository)
    of_git = bench.fresh("branches-git")
    of_git.mkdir()
    programs.run(programs.git_script("init -q", "commit -q --allow-empty -m base"), of_git)
    head = programs.run(programs.git("rev-parse", "HEAD"), of_git).decode().strip()
    made = of_git.parent / "branches"
    made.write_text("".join(f"create refs/heads/{name} {head}\n" for name in names))
    programs.run(programs.git("update-ref", "--stdin"), of_git, made)
    programs.run(programs.git("pack-refs", "--all"), of_git)
    by_helios, by_git = programs.helios_cli("branch"), programs.git("branch")
    shown = programs.run(by_helios, of_helios).decode().splitlines()
    if names[0] not in shown[1] or len(programs.run(by_git, of_git).splitlines()) != count + 1:
        raise AssertionError("the branches that were made are not listed")
    works = {
        HELIOS: lambda: programs.seconds(by_helios, of_helios) * MS,
        GIT: lambda: programs.seconds(by_git, of_git) * MS,
    }
    notes = (f"{count} branches; helios-cli lists {len(shown)} lines, git all names",)
    return Measured.of("p50", interleaved(bench.sizes.starts, works), notes)


COMMITS = (
    Figure("first helios-cli commit", "ms", first_commit, Limit(1, GIT), Limit(0.3, GIT)),
    Figure(
        "helios-cli commit after one change", "ms", small_commit, Limit(1, GIT), Limit(0.7, GIT)
    ),
)
STATUSES = (
    Figure("helios-cli status, clean, 100,000 files", "ms", status, Limit(1, GIT)),
    Figure(
        "helios-cli status, clean, without a monitor",
        "ms",
        status_looking,
        Limit(1, GIT),
        Limit(1.5, FLOOR, START_UP),
    ),
    Figure("helios-cli --version", "ms", version, Limit(100), Limit(2, BARE)),
)
MATERIALIZED = (
    Figure("materialize, the call", "ms", materialize, Limit(1, GIT), Limit(1.15, FLOOR)),
    Figure("helios-cli materialize", "ms", materialize_command, Limit(1, GIT)),
)
BRANCHES = (
    Figure("helios-cli branch, 100,000 branches", "ms", branches, Limit(100), Limit(1, GIT)),
)
