"""A repository with a tree in it, and the loop of small commits that most figures time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Literal

from helios import VST, Repository
from helios.bench.corpus import Edits
from helios.bench.workbench import Workbench

Durability = Literal["process", "disk"]

TIME_US = 1_700_000_000_000_000
"""The time of the first commit, in microseconds since 1970; each later one is one more."""
MAINTENANCE_ATTEMPTS_MAX = 100


class Committer:
    """Commits one edit after the other: a line is inserted into one file."""

    def __init__(
        self, repository: Repository, vst: VST, edits: Iterator[tuple[str, bytes]]
    ) -> None:
        """`vst` is over the tree that `edits` began with."""
        self.repository = repository
        self.vst = vst
        self._edits = edits
        self._commits = 0
        self.head = ""
        """The id of the last snapshot."""

    @property
    def root(self) -> Path:
        """The directory of the repository's worktree, which is empty."""
        return root_of(self.repository)

    def on(self, repository: Repository, branch: str) -> Committer:
        """Goes on with the same edits, in another opening of the repository."""
        return Committer(repository, repository.vst(branch), self._edits)

    def run(self, count: int) -> list[int]:
        """The latencies of so many commits in nanoseconds: the write and the commit together."""
        latencies = []
        vst, edits = self.vst, self._edits
        for _ in range(count):
            path, content = next(edits)
            self._commits += 1
            time_us = TIME_US + self._commits
            start = perf_counter_ns()
            vst.write(path, content)
            snapshot = vst.commit("edit", time_us=time_us)
            latencies.append(perf_counter_ns() - start)
            self.head = snapshot.id
        return latencies


def committer(
    bench: Workbench,
    name: str,
    contents: dict[str, bytes],
    texts: dict[str, bytes] | None = None,
    durability: Durability = "process",
) -> Committer:
    """A repository on disk with `contents` committed and in L2; edits go to `texts` of them."""
    repository = Repository.init(bench.fresh(name), durability=durability, author="bench")
    bench.open.callback(repository.close)
    vst = repository.vst("main")
    for path, content in contents.items():
        vst.write(path, content)
    vst.commit("base", time_us=TIME_US)
    edits = Edits(f"{bench.seed} {name}", contents if texts is None else texts)
    made = Committer(repository, vst, edits)
    maintain(bench, repository)
    return made


def on_corpus(bench: Workbench, durability: Durability = "process") -> Committer:
    """The repository that figures over the 10,000 files share, warmed up."""

    def make() -> Committer:
        made = committer(bench, durability, bench.corpus.contents, durability=durability)
        made.run(bench.sizes.commits)
        return made

    return bench.once(("committer", durability), make)


def maintain(bench: Workbench, repository: Repository) -> None:
    """Moves the journal into L2, in a process of its own, and waits until all is moved.

    A run that a commit has started may be at it already, and is waited for.
    """
    root = root_of(repository)
    command = bench.programs.maintenance(root)
    for _ in range(MAINTENANCE_ATTEMPTS_MAX):
        bench.programs.run(command, bench.directory)
        # Another opening of the repository: this one looks at the journal when it needs to.
        with Repository.open(root) as opened:
            if opened.stats()["journal"]["objects"] == 0:
                return
    raise AssertionError(f"{root}: the journal is not empty after maintenance")


def root_of(repository: Repository) -> Path:
    """The directory of a repository on disk."""
    return Path(repository.root or "")
