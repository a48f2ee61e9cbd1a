"""The view: the bare git repository `.helios/git`, which stock git serves, and which keeps what
came from git for ever, byte for byte.

Its refs hold every ref of git, those too that Helios has no notion of. git never collects in it.
"""

from __future__ import annotations

import os

from helios import errors
from helios.store.git.derived import ID_BYTES
from helios.store.git.objects import object_format
from helios.store.git.process import Git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from helios import Repository
    from helios.repository.turn import Turn

DIRECTORY = "git"
DEFAULT_BRANCH = "main"
OBJECT_FORMATS = tuple(ID_BYTES)
"""Names of the kinds of ids that git has."""

SETTINGS = {
    # What is in the view is in Helios' history, whatever git's refs say.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "gc.pruneExpire": "never",
    "core.logAllRefUpdates": "false",
    "core.fsyncMethod": "batch",
    # Whatever is reachable may be asked for; clones may be partial.
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "receive.advertisePushOptions": "true",
    "receive.denyCurrentBranch": "ignore",
    "receive.autogc": "false",
    # The hook moves all refs of a push, in Helios too.
    "receive.procReceiveRefs": "refs",
    # A push never leaves loose objects behind: objects stay in packs.
    "transfer.unpackLimit": "1",
    # It is soon made in memory where it is needed, and takes a fifth of what the map does.
    "pack.writeReverseIndex": "false",
}


class View:
    """The view of one repository. `directory` is its path, `git` runs git in it."""

    __slots__ = ("directory", "git", "object_format")

    def __init__(self, directory: str, object_format: str) -> None:
        """Of a view that is there; use `of`, `make` or `of_or_make`."""
        self.directory = directory
        self.object_format = object_format
        self.git = Git(directory)

    @property
    def id_bytes(self) -> int:
        """Bytes in a git id: 20 or 32."""
        return ID_BYTES[self.object_format]

    @property
    def state(self) -> str:
        """Where Helios keeps what it knows of the view: the map, and how far it is in step."""
        return os.path.join(self.directory, "helios")

    def turn(self) -> Turn:
        """Of whoever writes refs of the view: one at a time, over threads and processes. The system
        ends it with its holder, so that what is locked meanwhile is a leftover."""
        from helios.repository.turn import Turn

        return Turn(self.state)

    def unlock(self) -> None:
        """Takes away the locks of refs that a killed git has left; for who has the turn."""
        from contextlib import suppress

        locks = [os.path.join(self.directory, name) for name in ("HEAD.lock", "packed-refs.lock")]
        for directory, _, names in os.walk(os.path.join(self.directory, "refs")):
            # No ref is called so.
            locks += (os.path.join(directory, name) for name in names if name.endswith(".lock"))
        for lock in locks:
            with suppress(FileNotFoundError):
                os.unlink(lock)

    def with_variables(self, variables: Mapping[str, str] | None) -> Git:
        """git in the view, in an environment with `variables`, such as those of a quarantine."""
        return Git(self.directory, variables=variables) if variables else self.git

    def references(self, *prefixes: str) -> dict[str, str]:
        """Git id by full name of the refs, those of `prefixes` only if some are given.

        A name that is not UTF-8 has lone surrogates for its bytes, as a path has.
        """
        digits = 2 * self.id_bytes
        out = self.git.run("for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
        lines = os.fsdecode(out).split("\n")
        return {line[digits + 1 :]: line[:digits] for line in lines if line}

    def head(self) -> str | None:
        """The ref that HEAD names, be it unborn or not; None if HEAD names a commit itself."""
        code, out = self.git.ask("symbolic-ref", "-q", "HEAD", accepted=(0, 1, 128))
        return os.fsdecode(out).strip() if code == 0 else None

    def update_references(
        self,
        changes: Mapping[str, tuple[str | None, str | None]],
        *,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Moves refs, all or none: name to (old, new), where None is "is not there".

        Raises `GitFailed` if a ref is not where it should be. Hooks do not run.
        """
        if not changes:
            return
        none = "0" * (2 * self.id_bytes)
        lines = [
            f"update {name}\0{new or none}\0{old or none}\0" for name, (old, new) in changes.items()
        ]
        self.with_variables(variables).run(
            "update-ref", "--stdin", "-z", "--no-deref", input=os.fsencode("".join(lines))
        )


def directory_of(repository: Repository) -> str:
    """Where the view of a repository is, or would be. Raises `Refused` for one in memory."""
    if repository.directory is None:
        raise errors.Refused("a repository in memory has no git view; use one on disk")
    return os.path.join(repository.directory, DIRECTORY)


def of(repository: Repository) -> View | None:
    """The view of a repository; None if it has none."""
    directory = directory_of(repository)
    if not os.path.exists(os.path.join(directory, "HEAD")):
        return None
    return View(directory, object_format(directory))


def of_or_make(repository: Repository, format: str | None = None) -> View:
    """The view of a repository, made if it is not there, in the object format `format` (`sha1` by
    default).


    Raises `Refused` if it is there in another format, `GitNotFound`, `GitFailed`.
    """
    found = of(repository)
    if found is None:
        branch = DEFAULT_BRANCH if repository.root is None else repository.worktree.branch
        return make(directory_of(repository), format or "sha1", branch)
    if format not in {None, found.object_format}:
        raise errors.Refused(
            f"the git view of this repository has ids of {found.object_format}; "
            "one repository has one object format"
        )
    return found


def make(directory: str, format: str, branch: str = DEFAULT_BRANCH) -> View:
    """Makes an empty view under another name first: nobody sees half of one."""
    from shutil import rmtree

    if format not in ID_BYTES:
        raise errors.Usage(f"the object format is sha1 or sha256, not {format!r}")
    made = f"{directory}-tmp-{os.getpid()}"
    rmtree(made, ignore_errors=True)
    try:
        Git(None).run(
            "init",
            "--quiet",
            "--bare",
            "--template=",
            f"--object-format={format}",
            f"--initial-branch={branch}",
            made,
        )
        configure(made)
        os.rename(made, directory)
    except OSError as error:
        rmtree(made, ignore_errors=True)
        if os.path.exists(os.path.join(directory, "HEAD")):
            # Another process was first.
            return View(directory, object_format(directory))
        if isinstance(error, errors.HeliosError):
            raise
        raise errors.StorageError(f"{directory}: {error.strerror}", errno=error.errno) from error
    return View(directory, format)


def configure(directory: str) -> None:
    """Gives a view its settings, and the directory for what Helios knows of it."""
    os.makedirs(os.path.join(directory, "helios", "map"), exist_ok=True)
    with open(os.path.join(directory, "config"), "a", encoding="utf-8") as file:
        for name, value in SETTINGS.items():
            section, key = name.split(".")
            file.write(f"[{section}]\n\t{key} = {value}\n")
