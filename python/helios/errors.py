"""Every error that Helios raises on purpose, grouped by what the caller would do about it.

Catch a group (`Conflict`, `Corruption`, ...) or one class; groups are not raised themselves. Where
a builtin exception says the same, the class is one of those too, so `except FileNotFoundError` and
the like work. The message, `str(error)`, says what happened, to which object or path, and what to
do next. `code` is a stable name for machines: codes are added, never changed or used again.

`exit_code` is what the command line returns:

====  ==========================================================================================
code  meaning
====  ==========================================================================================
0     done
1     differences or conflicts, where that was the question (no error)
2     usage: an argument is malformed (`InvalidInput`)
3     not a repository (`NotARepository`)
4     a revision, operation or path names not one thing (`RevisionError`, `PathError`)
5     somebody else was first (`Conflict`)
6     an object is corrupt or missing (`Corruption`)
7     read-only, or no permission (`ReadOnlyRepository`)
8     the format is newer than this Helios (`FormatTooNew`)
9     refused, because it would lose work or leave the root (`Refusal`)
10    the file system or the L2 store failed (`StorageError`)
11    git is missing or has failed (`GitError`)
====  ==========================================================================================

The names of the classes that the Rust core raises are those of `Error::name` in
`crates/helios-core/src/error.rs`; `tests/test_errors.py` keeps both sides agreed.
"""

from __future__ import annotations


class HeliosError(Exception):
    """The root of all errors of Helios; raise one of the subclasses."""

    code: str = "error"
    exit_code: int = 10

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        # OSError and KeyError, which some subclasses are too, would decorate the message.
        return str(self.args[0])

    def _details(self) -> dict[str, object]:
        """The keyword arguments that, with the message, make this error again."""
        return {}

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), str(self), self._details())


def _restore(kind: type[HeliosError], message: str, details: dict[str, object]) -> HeliosError:
    return kind(message, **details)


class InvalidInput(HeliosError, ValueError):
    """An argument is malformed whatever the repository holds: correct the call."""

    code = "invalid-input"
    exit_code = 2


class InvalidId(InvalidInput):
    """Not an id: 64 hexadecimal digits, or 32 bytes; or not a prefix of one."""

    code = "invalid-id"


class InvalidPath(InvalidInput):
    """Not a path within a tree."""

    code = "invalid-path"


class InvalidName(InvalidInput):
    """Not a name that a branch may have."""

    code = "invalid-name"


class InvalidText(InvalidInput):
    """Not text: it holds a lone surrogate, which UTF-8 cannot express."""

    code = "invalid-text"


class InvalidConfig(InvalidInput):
    """The repository's `config` does not say what it should: correct the file."""

    code = "invalid-config"


class Usage(InvalidInput):
    """Arguments that do not go together, or an option that does not exist."""

    code = "usage"


class NotARepository(HeliosError, FileNotFoundError):
    """Neither the directory nor one above it is a Helios repository: `init` one."""

    code = "not-a-repository"
    exit_code = 3


class RevisionError(HeliosError, LookupError):
    """A revision does not name exactly one snapshot, or one operation: name another."""

    code = "revision"
    exit_code = 4


class UnknownRevision(RevisionError):
    """No snapshot, branch or id prefix is called that."""

    code = "unknown-revision"


class AmbiguousRevision(RevisionError):
    """An id prefix fits several snapshots: give more digits."""

    code = "ambiguous-revision"


class Collected(RevisionError):
    """Gc has dropped the snapshot, as the repository's policy says: name one that is kept."""

    code = "collected"


class UnknownOperation(RevisionError):
    """No operation has this id."""

    code = "unknown-operation"


class AmbiguousOperation(RevisionError):
    """A prefix fits several operations: give more digits."""

    code = "ambiguous-operation"


class NothingToUndo(RevisionError):
    """No operation is there that could be undone or redone."""

    code = "nothing-to-undo"


class PathError(HeliosError):
    """A path of a tree is not there, or not of the kind asked for: name another."""

    code = "path"
    exit_code = 4


class PathNotFound(PathError, FileNotFoundError, KeyError):
    """Nothing in the tree has this path."""

    code = "path-not-found"


class PathIsADirectory(PathError, IsADirectoryError):
    """A file was asked for, and the path is a directory."""

    code = "path-is-a-directory"


class PathNotADirectory(PathError, NotADirectoryError):
    """A directory was asked for, and the path, or one above it, is not one."""

    code = "path-not-a-directory"


class Conflict(HeliosError):
    """Somebody else was first: take in what is there now, and try again."""

    code = "conflict"
    exit_code = 5


class BranchMoved(Conflict):
    """The branch had another snapshot than the one that the caller built upon.

    `branch` is its name; `expected` and `actual` are hexadecimal ids, None where the branch was
    expected not to exist, or does not; `snapshot` is the id of the caller's own snapshot, which is
    kept (None if the branch was to be deleted): put a branch on it to go on from there.
    """

    code = "branch-moved"

    def __init__(
        self,
        message: str,
        *,
        branch: str,
        expected: str | None,
        actual: str | None,
        snapshot: str | None,
    ) -> None:
        super().__init__(message)
        self.branch = branch
        self.expected = expected
        self.actual = actual
        self.snapshot = snapshot

    def _details(self) -> dict[str, object]:
        return {
            "branch": self.branch,
            "expected": self.expected,
            "actual": self.actual,
            "snapshot": self.snapshot,
        }


class MergeConflict(Conflict):
    """Two sides have changed the same in different ways: somebody has to choose.

    `paths` are where; `Repository.merge` gives the versions. `snapshot` is the id of the caller's
    own snapshot where one was made and kept, else None.
    """

    code = "merge-conflict"

    def __init__(self, message: str, *, paths: list[str], snapshot: str | None = None) -> None:
        super().__init__(message)
        self.paths = paths
        self.snapshot = snapshot

    def _details(self) -> dict[str, object]:
        return {"paths": self.paths, "snapshot": self.snapshot}


class BranchExists(Conflict, FileExistsError):
    """A branch or a tag of this name is there already."""

    code = "branch-exists"


class Corruption(HeliosError):
    """Stored data is damaged or gone: restore it from a copy of the repository."""

    code = "corruption"
    exit_code = 6


class ObjectNotFound(Corruption, LookupError):
    """Neither the journal nor the L2 store has an object that something refers to."""

    code = "object-not-found"


class CorruptObject(Corruption):
    """An object's bytes do not give its id, or do not decode."""

    code = "corrupt-object"


class CorruptJournal(Corruption):
    """A segment of the journal cannot be read."""

    code = "corrupt-journal"


class ReadOnlyRepository(HeliosError, PermissionError):
    """The repository, or this handle of it, cannot be written to."""

    code = "read-only"
    exit_code = 7


class FormatTooNew(HeliosError):
    """A newer Helios has written this: upgrade Helios to open it."""

    code = "format-too-new"
    exit_code = 8


class Refusal(HeliosError):
    """Helios could do it, but it would lose work or leave the root: ask for something else."""

    code = "refusal"
    exit_code = 9


class Refused(Refusal):
    """The request is not safe, for the reason that the message gives."""

    code = "refused"


class UnsafePath(Refusal, ValueError):
    """A path would lead out of the worktree, or through a symbolic link."""

    code = "unsafe-path"


class TargetNotEmpty(Refusal, FileExistsError):
    """The directory to write to holds something already."""

    code = "target-not-empty"


class StorageError(HeliosError, OSError):
    """The file system or the L2 store failed. `errno` is the system's number where known."""

    code = "storage"
    exit_code = 10

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno

    def _details(self) -> dict[str, object]:
        return {"errno": self.errno}


class StoreBusy(StorageError):
    """Another process has the L2 store open for writing; it is the only one that may."""

    code = "store-busy"


class GitError(HeliosError):
    """git, which Helios runs for what came from git, did not do what it was asked for."""

    code = "git"
    exit_code = 11


class GitNotFound(GitError):
    """git is not installed: install it. Whatever did not come from git works without."""

    code = "git-not-found"


class GitFailed(GitError):
    """git has failed; the message has what it said."""

    code = "git-failed"
