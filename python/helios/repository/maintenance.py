"""Maintenance: moves the journal into the L2 store.

Run as `python -m helios.repository.maintenance DIRECTORY` it is the short detached process that a
commit starts when the journal has grown. Objects are put first and made durable, then refs and
operations, and only then is the journal discarded: a run that dies anywhere is repeated by the
next one, and finds what it has done already.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from helios import errors
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from helios._core import Engine
    from helios.store import Store

    Caller = Callable[[Callable[[], Any]], Any]


PATIENCE_S = 5.0
"""Seconds that maintenance leaves the processors to everybody else."""


class Maintained(Result):
    """What a run did: segments and objects moved, objects that were new, bytes, seconds."""

    __slots__ = ("bytes_written", "elapsed_s", "new_objects", "objects", "segments")

    def __init__(
        self, segments: int, objects: int, new_objects: int, bytes_written: int, elapsed_s: float
    ) -> None:
        self.segments = segments
        self.objects = objects
        self.new_objects = new_objects
        self.bytes_written = bytes_written
        self.elapsed_s = elapsed_s


def directly(work: Callable[[], Any]) -> Any:
    """Does the work in this thread."""
    return work()


def run(
    engine: Engine,
    open_store: Callable[[], Store],
    *,
    close: bool = True,
    locked: Caller = directly,
) -> Maintained:
    """Moves all that is committed now from the journal into a store that is opened for writing.

    With `close` the store is closed afterwards, which may compact it; what that writes counts.
    `locked` does what is done under the journal's lock, for which commits may have to wait.
    """
    from time import perf_counter

    start = perf_counter()
    written_before = _bytes_written()
    store = open_store()
    try:
        segments, objects, new_objects = move(engine, store, locked)
    finally:
        if close:
            store.close()
    bytes_written = _bytes_written() - written_before
    engine.count_l2_bytes(bytes_written)
    return Maintained(segments, objects, new_objects, bytes_written, perf_counter() - start)


def move(engine: Engine, store: Store, locked: Caller = directly) -> tuple[int, int, int]:
    """Moves the journal into the store: segments, objects, and objects that were new."""
    segments: list[int] = locked(engine.seal_journal)
    if not segments:
        return 0, 0, 0
    engine.raise_format()
    objects, new_objects = _store(engine, store, segments)
    locked(lambda: engine.discard_journal(segments[-1]))
    return len(segments), objects, new_objects


def _store(engine: Engine, store: Store, segments: list[int]) -> tuple[int, int]:
    objects = 0
    new_objects = 0
    references: dict[bytes, bytes | None] = {}
    operations: list[tuple[tuple[int, int], bytes]] = []

    def records(segment: int) -> Iterator[tuple[bytes, bytes]]:
        nonlocal objects
        for position, found, operation in engine.sealed_frames(segment):
            objects += len(found)
            yield from found
            if operation is not None:
                operations.append((position, operation))
                references.update(engine.operation_changes(operation))

    for segment in segments:
        new_objects += store.put_records(records(segment))
    store.flush()
    # Whoever sees a ref also sees what it names.
    store.put_references(references)
    store.put_operations(operations)
    store.flush()
    return objects, new_objects


def _bytes_written() -> int:
    """Bytes that this process has written so far; 0 where the system does not tell."""
    try:
        with open("/proc/self/io", "rb") as file:
            for line in file:
                if line.startswith(b"wchar:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def _yield_to_commits() -> None:
    """Lets this thread, and those that RocksDB starts from it, run only where nobody else wants to.

    A commit is shorter than a time slice: one that shares its processor with maintenance would take
    a hundred times as long.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _insist() -> None:
    """Takes that back for all threads. Where every processor is always busy, maintenance would
    never end otherwise, and the journal would grow without bound."""
    if sys.platform == "linux":
        for thread in os.listdir("/proc/self/task"):
            # It may have ended by now.
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread), os.SCHED_BATCH, os.sched_param(0))


def main(arguments: list[str], locked: Caller = directly) -> int:
    """Runs maintenance on the repository whose directory is the only argument."""
    from helios.repository.repository import Repository

    [directory] = arguments
    try:
        with Repository.at(directory) as repository:
            repository.maintenance(wait_s=0, locked=locked)
    except errors.StoreBusy:
        # Somebody else does it.
        return 0
    except errors.HeliosError as error:
        return error.exit_code
    return 0


def _main() -> int:
    """As `main`, at the lowest priority for some seconds; but whoever holds the journal's lock has
    the usual one, because commits wait for it."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Timer

    patience = Timer(PATIENCE_S, _insist)
    patience.daemon = True
    with ThreadPoolExecutor(1) as usual:
        # The threads must be there before the priority falls, which they would inherit.
        usual.submit(lambda: None).result()
        patience.start()
        _yield_to_commits()
        return main(sys.argv[1:], locked=lambda work: usual.submit(work).result())


if __name__ == "__main__":
    raise SystemExit(_main())
