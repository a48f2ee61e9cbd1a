"""Objects of git, read by one `git cat-file --batch` that lives as long as whoever asks it.

It is started on first need, once in each process: a fork does not share it. Threads take turns.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from helios import errors
from helios.store.git.process import Git, failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from subprocess import Popen
    from typing import IO

    Answer = tuple[int, bytes] | None

KINDS = {b"blob": 1, b"tree": 2, b"commit": 3}
"""Helios' kinds of objects by git's names. Tags are in git alone."""

ASKED_AT_ONCE = 256
CHECK = "--batch-check=%(objectname) %(objecttype)"
PIECE_BYTES = 1 << 20
# As long as a history is read oldest first, deltas need what was read long before.
CACHE = "core.deltaBaseCacheLimit=256m"


class GitObjects:
    """The objects of the git repository in `directory`."""

    def __init__(self, directory: str) -> None:
        self._contents = _Conversation(directory, "--batch", _content)
        self._checks = _Conversation(directory, CHECK, _kind)

    def read(self, oids: Sequence[str]) -> list[tuple[int, bytes] | None]:
        """Kind and content of each object; None where git has none, or it is a tag.

        Raises `GitNotFound`, `GitFailed`.
        """
        return self._contents.ask(oids)

    def existing(self, oids: Sequence[str]) -> list[str]:
        """Those of these objects that git has. Raises as `read`."""
        checked = self._checks.ask(oids)
        return [oid for oid, found in zip(oids, checked, strict=True) if found is not None]

    def close(self) -> None:
        """Ends git, if it runs; it is started again when something is asked."""
        self._contents.close()
        self._checks.close()


class _Conversation:
    """One `git cat-file`, started on first need, and what it is asked."""

    def __init__(self, directory: str, option: str, answer: Callable[[IO[bytes]], Answer]) -> None:
        self._git = Git(directory)
        self._option = option
        self._answer = answer
        self._lock = allocate_lock()
        self._process: Popen[bytes] | None = None
        self._owner = 0

    def ask(self, oids: Sequence[str]) -> list[Answer]:
        found: list[Answer] = []
        with self._lock:
            # Not more at once than a pipe holds: git answers while it is asked.
            for start in range(0, len(oids), ASKED_AT_ONCE):
                found += self._ask(oids[start : start + ASKED_AT_ONCE])
        return found

    def _ask(self, oids: Sequence[str]) -> list[Answer]:
        to_git, out = _pipes(self._running())
        try:
            to_git.write("".join(f"{oid}\n" for oid in oids).encode())
            to_git.flush()
            return [self._answer(out) for _ in oids]
        except (OSError, EOFError, ValueError) as error:
            self._end()
            raise errors.GitFailed(
                f"`git cat-file` in {self._git.directory} has ended: {error}"
            ) from error
        except BaseException:
            # Interrupted between question and answer: what comes next would be another's.
            self._end()
            raise

    def _running(self) -> Popen[bytes]:
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._process
            self._end()
        from subprocess import DEVNULL, PIPE

        arguments = ("-c", CACHE, "cat-file", self._option)
        self._process = self._git.start(*arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        self._owner = os.getpid()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        for file in (process.stdin, process.stdout):
            try:
                if file is not None:
                    file.close()
            except OSError:
                continue
        process.kill()
        process.wait()

    def close(self) -> None:
        with self._lock:
            self._end()


def _header(out: IO[bytes]) -> list[bytes] | None:
    """The fields of a line about an object; None if it is missing."""
    line = out.readline()
    fields = line.split()
    if len(fields) == 2 and fields[1] == b"missing":
        return None
    if len(fields) not in {2, 3}:
        raise EOFError(f"it printed {line[:100]!r}")
    return fields


def _content(out: IO[bytes]) -> tuple[int, bytes] | None:
    fields = _header(out)
    if fields is None:
        return None
    length = int(fields[2])
    content = out.read(length)
    if len(content) != length or out.read(1) != b"\n":
        raise EOFError("an object was cut off")
    kind = KINDS.get(fields[1])
    return None if kind is None else (kind, content)


def _kind(out: IO[bytes]) -> tuple[int, bytes] | None:
    fields = _header(out)
    return None if fields is None else (KINDS.get(fields[1], 0), b"")


def _pipes(process: Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise errors.GitFailed("`git cat-file` was started without pipes")
    return process.stdin, process.stdout


def stream(git: Git, *arguments: str, wanted: bytes | None = None) -> Iterator[bytes]:
    """What a git command prints, in pieces of up to 1 MiB; `wanted` is its input.

    Raises `GitNotFound`, and `GitFailed` behind the last piece if git fails.
    """
    from subprocess import DEVNULL, PIPE
    from tempfile import TemporaryFile

    # Files for input and errors, so that nobody waits for somebody else to read.
    with TemporaryFile() as given, TemporaryFile() as problems:
        if wanted is not None:
            given.write(wanted)
            given.seek(0)
        process = git.start(
            *arguments,
            stdin=DEVNULL if wanted is None else given,
            stdout=PIPE,
            stderr=problems,
        )
        try:
            if process.stdout is not None:
                descriptor = process.stdout.fileno()
                _widen(descriptor)
                while piece := os.read(descriptor, PIECE_BYTES):
                    yield piece
        except BaseException:
            process.kill()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
            code = process.wait()
        if code != 0:
            problems.seek(0)
            raise failure(arguments, code, problems.read())


def _widen(descriptor: int) -> None:
    """Lets git go on while what it printed is worked at; where that cannot be, it waits more."""
    try:
        from fcntl import F_SETPIPE_SZ, fcntl

        fcntl(descriptor, F_SETPIPE_SZ, PIECE_BYTES)
    except (ImportError, OSError):
        return


def object_format(directory: str) -> str:
    """`sha1` or `sha256`, read from the configuration of a git repository: to start git for it
    would cost more than all the rest. Raises `StorageError`."""
    path = os.path.join(directory, "config")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip().lower().replace(" ", "") for line in file]
    except OSError as error:
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
    return "sha256" if "objectformat=sha256" in lines else "sha1"
