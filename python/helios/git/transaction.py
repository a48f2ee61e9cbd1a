"""Several refs of the view moved in one transaction, in git's two phases: locked and compared
first, then all or none, with room for something else in between."""

from __future__ import annotations

import os
from contextlib import suppress
from subprocess import PIPE
from typing import TYPE_CHECKING, cast

from helios.store.closing import Closing
from helios.store.git.process import failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from helios.git.view import View
    from helios.repository.turn import Turn


class Transaction(Closing):
    """Prepared when it is made: its refs are locked, and where they should be. A context manager,
    which aborts what was not committed. `turn` is the view's, which git keeps as long as it lives:
    its locks are nobody's leftovers before.

    `changes` are as for `View.update_references`. Raises `GitFailed` if a ref is not where it
    should be, or cannot have its name.
    """

    def __init__(
        self, view: View, turn: Turn, changes: Mapping[str, tuple[str | None, str | None]]
    ) -> None:
        self.changes = changes
        self._git = view.git.start(
            *("update-ref", "--stdin", "-z", "--no-deref"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=[turn.fileno()],
        )
        self._to = cast("IO[bytes]", self._git.stdin)
        self._from = cast("IO[bytes]", self._git.stdout)
        none = "0" * (2 * view.id_bytes)
        updates = "".join(
            f"update {name}\0{new or none}\0{old or none}\0" for name, (old, new) in changes.items()
        )
        self._say(f"start\0{updates}prepare\0", b"start: ok\n", b"prepare: ok\n")

    def commit(self) -> None:
        """Moves the refs. Raises `GitFailed` if that fails half way, for want of space, say."""
        self._say("commit\0", b"commit: ok\n")

    def close(self) -> None:
        """At the end of its input, git aborts what was not committed, and drops its locks."""
        if self._git.returncode is None:
            with self._git:
                self._git.communicate()

    def _say(self, words: str, *answers: bytes) -> None:
        with suppress(BrokenPipeError):
            # If it has failed already, it says why.
            self._to.write(os.fsencode(words))
            self._to.flush()
        if any(self._from.readline() != answer for answer in answers):
            with self._git as git:
                _, problem = git.communicate()
            raise failure(("update-ref",), git.returncode, problem)
