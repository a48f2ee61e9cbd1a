"""Figures: bytes written per commit, by Helios, git, libgit2 and git fast-import.

Helios is counted in steady state: the tree is in L2 when counting begins, commits start maintenance
themselves when the journal has grown, and what is left in the journal is moved into L2 before
counting ends. Bytes are those that processes pass to write(2), unless the device is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from helios.bench.committer import TIME_US, committer, maintain
from helios.bench.corpus import Edits
from helios.bench.figure import GIT, Figure, Limit, Measured, Unmeasurable
from helios.bench.stream import write_stream
from helios.bench.workbench import Workbench
from helios.bench.written import at_device, counted


@dataclass(frozen=True)
class HeliosVolume:
    """Bytes per commit."""

    asked: float
    dirtied: float
    journal: float
    l2: float
    git_modelled: float
    reduction_percent: float
    """`io_reduction_percent` over the counted commits, as `stats` computes it."""
    disk: float
    """Growth of the journal and of L2 on disk, after maintenance."""


def _stat(stats: dict[str, dict[str, int | float | None]], part: str, name: str) -> float:
    return float(stats[part][name] or 0)


def helios(bench: Workbench) -> HeliosVolume:
    """Commits through the Python API, durability `process`."""

    def measure() -> HeliosVolume:
        count = bench.sizes.steady_commits
        worker = committer(bench, "volume", bench.corpus.contents)
        repository = worker.repository
        before = repository.stats()
        with counted() as written:
            worker.run(count)
            maintain(bench, repository)
        after = repository.stats()
        bench.record("counted commits", worker.head)

        def grown(part: str, name: str) -> float:
            return (_stat(after, part, name) - _stat(before, part, name)) / count

        modelled = grown("engine", "git_bytes_modelled")
        return HeliosVolume(
            asked=written.asked / count,
            dirtied=written.dirtied / count,
            journal=grown("journal", "bytes_written"),
            l2=grown("l2", "bytes_written"),
            git_modelled=modelled,
            reduction_percent=100 * (1 - grown("engine", "bytes_written") / modelled),
            disk=grown("journal", "size") + grown("l2", "size"),
        )

    return bench.once("volume of helios", measure)


def _git_repository(bench: Workbench, name: str) -> Path:
    """A worktree with the corpus committed by git."""
    programs = bench.programs
    script = programs.git_script("init -q", "add -A", "commit -q -m base")
    root = bench.corpus.write_to(bench.fresh(name))
    programs.run(script, root)
    return root


def _git_commits(bench: Workbench, root: Path) -> float:
    """Commits edits with `git add -A` and `git commit`; bytes written per commit."""
    script = bench.programs.git_script("add -A", "commit -q -m edit")
    edits = Edits(f"{bench.seed} git", bench.corpus.contents)
    asked = 0.0
    for _ in range(bench.sizes.git_commits):
        path, content = next(edits)
        (root / path).write_bytes(content)
        with counted() as written:
            bench.programs.run(script, root)
        asked += written.asked
    return asked / bench.sizes.git_commits


def git(bench: Workbench) -> float:
    """The git command line."""
    return bench.once(
        "volume of git", lambda: _git_commits(bench, _git_repository(bench, "volume-git"))
    )


def libgit2(bench: Workbench) -> float:
    """libgit2 in process, loose objects, without an index. Raises `Unmeasurable`."""
    try:
        pygit2: Any = import_module("pygit2")
    except ImportError as error:
        raise Unmeasurable("pygit2 is not installed") from error
    root = _git_repository(bench, "volume-libgit2")
    repository = pygit2.Repository(str(root))
    who = pygit2.Signature("bench", "bench@localhost", TIME_US // 1_000_000, 0)
    edits = Edits(f"{bench.seed} git", bench.corpus.contents)
    count = bench.sizes.git_commits
    with counted() as written:
        for _ in range(count):
            path, content = next(edits)
            folder, _, name = path.rpartition("/")
            head = repository.head.target
            tree = repository[head].tree
            lower = repository.TreeBuilder(tree[folder])
            lower.insert(name, repository.create_blob(content), pygit2.GIT_FILEMODE_BLOB)
            upper = repository.TreeBuilder(tree)
            upper.insert(folder, lower.write(), pygit2.GIT_FILEMODE_TREE)
            repository.create_commit("HEAD", who, who, "edit", upper.write(), [head])
    return written.asked / count


def fast_import(bench: Workbench) -> float:
    """One git fast-import for all commits, into one pack."""
    programs, corpus = bench.programs, bench.corpus
    root = bench.fresh("fast-import")
    root.mkdir()
    programs.run(programs.git("init", "-q", "--bare"), root)
    load = programs.git("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
    programs.run(load, root, write_stream(root / "base.stream", [corpus.contents]))
    edits = Edits(f"{bench.seed} git", corpus.contents)
    count = bench.sizes.commits
    changes = [dict([next(edits)]) for _ in range(count)]
    stream = write_stream(root / "edits.stream", changes, "refs/heads/main^0")
    with counted() as written:
        programs.run(load, root, stream)
    return written.asked / count


def per_commit(bench: Workbench) -> Measured:
    """Bytes written per commit, journal and L2 together."""
    volume = helios(bench)
    references = {GIT: git(bench)}
    notes = [
        f"by the repository's own count: journal {volume.journal:.0f} B, L2 {volume.l2:.0f} B",
        f"pages dirtied: {volume.dirtied:.0f} B; growth on disk: {volume.disk:.0f} B",
        f"{100 * volume.asked / references[GIT]:.3f}% of git add -A && git commit (gc.auto=0)",
    ]
    for name, measure in (("libgit2", libgit2), ("fast-import", fast_import)):
        try:
            value = measure(bench)
        except Unmeasurable as reason:
            notes.append(f"{name} unknown: {reason}")
        else:
            references[name] = value
            notes.append(f"{100 * volume.asked / value:.1f}% of {name}, which keeps no index")
    return Measured(volume.asked, references, tuple(notes))


def at_disk(bench: Workbench) -> Measured:
    """Bytes that the device receives per commit with durability `disk`."""
    sizes = bench.sizes
    count = sizes.synced_commits * sizes.rounds
    worker = committer(bench, "device", bench.corpus.contents, durability="disk")
    at_device(bench.directory)
    before = at_device(bench.directory)
    worker.run(count)
    maintain(bench, worker.repository)
    of_helios = (at_device(bench.directory) - before) / count
    root = _git_repository(bench, "device-git")
    before = at_device(bench.directory)
    _git_commits(bench, root)
    of_git = (at_device(bench.directory) - before) / sizes.git_commits
    return Measured(
        of_helios,
        {GIT: of_git},
        (
            "the device counts what everybody writes: true only where nothing else does",
            f"{100 * of_helios / of_git:.3f}% of git's",
        ),
    )


def model_error(bench: Workbench) -> Measured:
    """How far the model of git in `io_reduction_percent` is from git, in percent of git."""
    volume = helios(bench)
    measured = git(bench)
    reduction = 100 * (1 - volume.asked / measured)
    return Measured(
        abs(100 * (volume.git_modelled / measured - 1)),
        {},
        (
            f"git: modelled {volume.git_modelled:.0f} B per commit, measured {measured:.0f} B",
            f"io_reduction_percent: stats {volume.reduction_percent:.3f}, measured {reduction:.3f}",
        ),
    )


FIGURES = (
    Figure("bytes written per commit", "B", per_commit, Limit(0.01, GIT), Limit(1024)),
    Figure(
        "bytes at the device per commit, durability disk",
        "B",
        at_disk,
        Limit(0.01, GIT),
        Limit(1024),
    ),
    Figure("model of git against git", "% off", model_error, Limit(10)),
)
