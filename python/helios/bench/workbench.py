"""The workbench: sizes, seed, directory and programs of a run, and what its figures share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar, cast

from helios.bench.corpus import Corpus
from helios.bench.programs import Programs

T = TypeVar("T")


@dataclass(frozen=True)
class Sizes:
    """How much work each figure does."""

    files: int = 10_000
    directories: int = 100
    rounds: int = 5
    """How often what is compared takes turns."""
    commits: int = 1_500
    """Commits of a round, after as many to warm up."""
    synced_commits: int = 300
    """Commits of a round with durability `disk`."""
    maintained_commits: int = 20_000
    """Commits at least while maintenance runs."""
    steady_commits: int = 60_000
    """Commits over which written bytes are counted: the journal is moved into L2 three times."""
    git_commits: int = 30
    process_commits: int = 32_000
    """Commits of a round of one or of several processes."""
    many_files: int = 1_000_000
    many_directories: int = 1_000
    many_texts: int = 2_000
    """Of the many files so many are of 1 to 4 KiB, and are edited; the others are tiny."""
    forks: int = 2_000
    reads: int = 1_000
    first_commits: int = 3
    small_commits: int = 15
    status_files: int = 100_000
    status_directories: int = 1_000
    statuses: int = 10
    checkouts: int = 3
    starts: int = 20
    branches: int = 100_000
    verified_bytes: int = 1 << 29
    soak_commits: int = 100_000
    soak_kept: int = 1_000
    merged_files: int = 100
    """Files that each of two branches changes, of `status_files`."""
    merges: int = 20
    changes: int = 1
    """Files that a commit changes, beside peers."""
    turn_works: int = 1_500
    """Pieces of work of a peer's turn, at most."""
    turn_s: float = 0.6
    """Seconds of a peer's turn, after which no further piece of work is begun."""
    seconds: float = 12.0
    """How long load is sustained."""
    diffs: int = 200
    switches: int = 10
    switched_files: int = 10
    sizes_max: int = 100_000
    """The largest tree of those over which cost is shown."""
    gate_branches: int = 400
    sessions: int = 3
    session_steps: int = 60
    replayed: int = 200
    history_commits: int = 20_000
    """Of a git repository that is imported and cloned."""
    history_files: int = 2_000
    exported_commits: int = 1_000
    listened_s: float = 0.2
    """How long the noise is listened to before and after each figure."""


SMOKE = Sizes(
    files=300,
    directories=10,
    rounds=2,
    commits=20,
    synced_commits=5,
    maintained_commits=20,
    steady_commits=50,
    git_commits=2,
    process_commits=16,
    many_files=2_000,
    many_directories=20,
    many_texts=20,
    forks=20,
    reads=20,
    first_commits=1,
    small_commits=2,
    status_files=300,
    status_directories=10,
    statuses=2,
    checkouts=1,
    starts=2,
    branches=1_500,
    verified_bytes=3 << 20,
    soak_commits=200,
    soak_kept=20,
    merged_files=10,
    merges=2,
    turn_works=4,
    turn_s=0.05,
    seconds=0.3,
    diffs=3,
    switches=2,
    switched_files=3,
    sizes_max=1_000,
    gate_branches=20,
    sessions=1,
    session_steps=12,
    replayed=5,
    history_commits=160,
    history_files=60,
    exported_commits=10,
    listened_s=0.01,
)
"""Smoke size: shows that each figure can be measured, and says nothing about speed."""


class Workbench:
    """What the figures of one run share. Close it to let go of repositories."""

    def __init__(
        self,
        sizes: Sizes,
        seed: int,
        directory: Path,
        floor: Path | None,
        peers: Collection[str] | None = None,
        replay: Path | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Works below `directory`, which exists; deletes nothing there.

        `peers` are those that are asked for, None for all; `replay` is a git repository whose
        history is to be replayed; `say` takes progress.
        """
        self.sizes = sizes
        self.seed = seed
        self.directory = directory
        self.peers = peers
        self.replay = replay
        self.say = say or _unsaid
        self.programs = Programs(directory / "home", floor)
        self.open = ExitStack()
        self._made: dict[Hashable, object] = {}
        self._fresh = 0
        self._contents: dict[str, str] = {}

    def fresh(self, name: str) -> Path:
        """A path that nobody has used, in a directory of its own; it is not made.

        Nothing is deleted while the benchmark runs: on some file systems creating files is slow
        after a mass delete.
        """
        self._fresh += 1
        above = self.directory / f"{self._fresh:03d}"
        above.mkdir()
        return above / name

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes, the first time; the same afterwards."""
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    @property
    def corpus(self) -> Corpus:
        """The tree that most figures work on."""
        sizes = self.sizes
        return self.once(
            "corpus", lambda: Corpus(f"{self.seed} corpus", sizes.files, sizes.directories)
        )

    def record(self, name: str, content: str) -> None:
        """Remembers the id of what a figure made, which depends on the seed and sizes alone."""
        self._contents[name] = content

    @property
    def contents(self) -> dict[str, str]:
        """What was recorded, by name."""
        return dict(sorted(self._contents.items()))

    @property
    def content_hash(self) -> str:
        """A hash of all that was recorded: equal runs made equal content."""
        text = "".join(f"{name} {content}\n" for name, content in self.contents.items())
        return sha256(text.encode()).hexdigest()

    def close(self) -> None:
        """Closes the repositories."""
        self.open.close()


def _unsaid(text: str) -> None:
    del text
