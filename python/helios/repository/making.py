"""Making the directory of a new repository."""

from __future__ import annotations

import os

from helios import errors
from helios._core import Engine


def refuse_roots(root: str) -> None:
    """A snapshot of the home directory or of the whole machine is nearly always a mistake."""
    from contextlib import suppress

    refused = {os.path.realpath(os.path.sep)}
    try:
        from pwd import getpwuid
    except ImportError:
        refused.add(os.path.realpath(os.path.expanduser("~")))
    else:
        # A user without an entry has no home directory to protect.
        with suppress(KeyError):
            refused.add(os.path.realpath(getpwuid(os.getuid()).pw_dir))
    if os.path.realpath(root) in refused:
        raise errors.Refused(
            f"{root} is the home directory or the root of the file system; "
            "use a project's directory, or force it"
        )


def _sync(directory: str) -> None:
    """Makes a rename in the directory durable, where the system can."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    """What the process takes off the permissions of new files; reading it means setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def make(root: str, directory: str) -> None:
    """Makes the repository under another name first: nobody sees half of one."""
    from shutil import rmtree
    from tempfile import mkdtemp

    try:
        os.makedirs(root, exist_ok=True)
        # A scan passes over names like this one, and a crash may leave it behind.
        made = mkdtemp(prefix=f"{os.path.basename(directory)}-tmp-", dir=root)
        os.chmod(made, 0o777 & ~_umask())
    except PermissionError as error:
        raise errors.ReadOnlyRepository(f"{root}: {error.strerror}") from error
    except OSError as error:
        message = f"{root}: {error.strerror}"
        raise errors.StorageError(message, errno=error.errno) from error
    try:
        Engine.init(made)
        os.rename(made, directory)
        _sync(root)
    except OSError as error:
        rmtree(made, ignore_errors=True)
        if os.path.exists(os.path.join(directory, "format")):
            # Another process was first.
            return
        if isinstance(error, errors.HeliosError):
            raise
        raise errors.StorageError(f"{directory}: {error.strerror}", errno=error.errno) from error


def make_bare(root: str) -> None:
    """Makes the directory, which is new or empty, a repository without a worktree."""
    try:
        if os.path.isdir(root) and os.listdir(root):
            raise errors.TargetNotEmpty(
                f"{root} is not empty; a bare repository takes a directory of its own"
            )
    except OSError as error:
        if isinstance(error, errors.HeliosError):
            raise
        raise errors.StorageError(f"{root}: {error.strerror}", errno=error.errno) from error
    if os.path.basename(root) == ".helios":
        raise errors.Refused(f"{root}: a bare repository needs another name")
    # A rename replaces an empty directory.
    make(os.path.dirname(root), root)
