"""The watch: snapshots of a worktree as it changes, on a branch of its own.

The system's reports say when to look, and where. Once a minute everything is scanned, and what was
never reported is found. The watch has its own index, which begins as the worktree's: `status` and
`commit` are as if nobody watched, but that they ask it what has changed (the core does both).
"""

from __future__ import annotations

import os
import select
from time import monotonic

from helios import errors
from helios.repository.claim import claim
from helios.repository.operation import BRANCHES
from helios.repository.place import is_repository
from helios.repository.standing import read_head
from helios.repository.turn import Turn
from helios.repository.worktree import Committed, PathWarning
from helios.store.closing import Closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from helios._core import Engine, Snapshot, Watcher
    from helios.repository.place import Place
    from helios.repository.repository import Repository

PREFIX = "watch/"
COMMAND = "watch"
LOOK_S = 60.0
"""After so long the watch scans everything, whatever was reported."""
POLL_S = 2.0
"""How often it looks where the system reports nothing at all."""
POLL_LOAD_MAX = 0.05
"""But at most this share of the time goes into looking."""


class _Stopped(Exception):
    """The watch was told to stop."""


class Watch(Closing):
    """An iterator over the snapshots of a worktree that changes: `Committed`, one after the other.

    The first is what is on disk at the start, even if a branch has that already (its `stats` are
    None then). After `stop` comes what has changed since the last one, if anything has, and then
    the end. `close`, or the end of a `with` block, lets go at once.
    """

    def __init__(
        self,
        engine: Engine,
        repository: Repository,
        place: Place,
        excludes_file: str | None,
        *,
        branch: str | None,
        settle_s: float,
        wait_s_max: float,
    ) -> None:
        """Use `Worktree.watch`."""
        if not 0 <= settle_s < float("inf") or not 0 < wait_s_max < float("inf"):
            raise errors.Usage("a watch settles in 0 seconds or more, and waits longer than 0")
        if branch is not None:
            engine.branch(branch)
        self._engine = engine
        self._repository = repository
        self._place = place
        self._branch = branch
        self._settle_s = settle_s
        self._wait_s_max = wait_s_max
        self._directory = os.path.join(place.state, "watch")
        self._lock = claim(self._directory, place.root)
        main = None if place.is_main else place.main_root
        # Without a name: an undo in the worktree is not to revert what the watch does.
        self._core = engine.worktree(None, place.root, self._directory, excludes_file, main)
        self._seeded: tuple[int, ...] | None = None
        self._stop_read, self._stop_write = os.pipe()
        # A second `stop` must not block.
        os.set_blocking(self._stop_write, False)
        self._watcher: Watcher | None = None
        self._polls: str | None = None
        self._is_first = True
        self._is_over = False
        # A change may have gone unnoticed.
        self._is_pending = False
        self._look_s = 0.0
        self._scanned = float("-inf")
        try:
            self._watcher = self._core.watcher()
        except errors.StorageError as error:
            self._poll_because(error)

    @property
    def branch(self) -> str:
        """Where the next snapshot goes."""
        return self._branch or PREFIX + read_head(self._place)[0]

    @property
    def polls(self) -> str | None:
        """Why the watch looks every few seconds, and the system does not tell it when to look; None
        if it does."""
        return self._polls

    def stop(self) -> None:
        """Ends the iteration after a last look. For other threads and for signal handlers."""
        from contextlib import suppress

        with suppress(OSError):
            os.write(self._stop_write, b"x")

    def close(self) -> None:
        """Lets go of the worktree, without a last look. Not while another thread iterates."""
        self._is_over = True
        if self._lock.closed:
            return
        self._lock.close()
        self._watcher = None
        os.close(self._stop_read)
        os.close(self._stop_write)
        # A number that the system gives away again must not be written to.
        self._stop_write = -1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Committed:
        while not self._is_over:
            if not self._is_first:
                try:
                    self._wait()
                except _Stopped:
                    self._is_over = True
            done = self._look()
            if done.snapshot.stats is not None or self._is_first:
                self._is_first = False
                return done
        raise StopIteration

    # Waiting

    def _wait(self) -> None:
        """Waits until it is time to look. Raises `_Stopped`."""
        if self._watcher is None:
            self._reported(max(POLL_S, self._look_s / POLL_LOAD_MAX))
            return
        if not self._is_pending and not self._reported(LOOK_S):
            return
        latest = monotonic() + self._wait_s_max
        while (left := latest - monotonic()) > 0:
            if not self._reported(min(self._settle_s, left)):
                return

    def _reported(self, within_s: float) -> bool:
        """Waits for a report of something that may matter; whether there was one.

        Raises `_Stopped`.
        """
        ready = select.poll()
        ready.register(self._stop_read, select.POLLIN)
        if self._watcher is not None:
            ready.register(self._watcher.fileno(), select.POLLIN)
        end = monotonic() + within_s
        while True:
            left = end - monotonic()
            found = [file for file, _ in ready.poll(max(0.0, left) * 1000)]
            if self._stop_read in found:
                raise _Stopped
            if found and self._watcher is not None and self._watcher.take():
                return True
            if left <= 0:
                return False

    # Looking

    def _look(self) -> Committed:
        start = monotonic()
        if not is_repository(self._place.repository) or not self._place.is_linked():
            raise errors.NotARepository(f"the worktree {self._place.root} is gone")
        # What is half way through a restore is no state to keep.
        with Turn(self._place.state):
            self._seed()
            scan = start - self._scanned >= LOOK_S
            snapshot, warnings = self._commit(scan)
        if scan:
            self._scanned = start
        self._cover(is_changed=snapshot.stats is not None)
        self._look_s = monotonic() - start
        return Committed(snapshot, [PathWarning(pair) for pair in warnings])

    def _seed(self) -> None:
        """Takes over the worktree's index whenever that was saved: it knows which ignored files are
        tracked, and the content of what a restore wrote."""
        path = os.path.join(self._place.state, "index")
        try:
            stat = os.stat(path)
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen == self._seeded:
                return
            with open(path, "rb") as file:
                content = file.read()
            own = os.path.join(self._directory, "index")
            temporary = f"{own}.{os.getpid()}"
            with open(temporary, "wb") as file:
                file.write(content)
            os.replace(temporary, own)
        except FileNotFoundError:
            return
        except OSError as error:
            raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
        self._seeded = seen

    def _commit(self, scan: bool) -> tuple[Snapshot, list[tuple[str, str]]]:
        branch = self.branch
        while True:
            base = self._engine.branch(branch)
            try:
                if base is None:
                    base = read_head(self._place)[1]
                    if base is not None:
                        ref = BRANCHES + branch
                        self._engine.operate([(ref, None, base)], COMMAND, notes=[], worktree=None)
                return self._core.commit(
                    branch,
                    base,
                    COMMAND,
                    author=None,
                    metadata=None,
                    allow_empty=False,
                    command=COMMAND,
                    scan=scan,
                )
            except errors.BranchMoved:
                # Somebody else has put it elsewhere; go on from there.
                continue

    def _cover(self, *, is_changed: bool) -> None:
        if self._watcher is None:
            return
        try:
            self._is_pending = self._core.cover(self._watcher, is_changed)
        except errors.StorageError as error:
            self._poll_because(error)

    def _poll_because(self, error: errors.StorageError) -> None:
        import errno

        self._watcher = None
        reason = {
            errno.ENOSPC: "the limit fs.inotify.max_user_watches is reached",
            errno.EMFILE: "the limit fs.inotify.max_user_instances, or of open files, is reached",
        }.get(error.errno or 0, str(error))
        self._polls = f"{reason}; looking every {POLL_S:g} seconds instead"
