"""Running git: in an environment that names no other repository, with errors that say what to do.

The only place that starts git. What a user's environment says of *which* repository is meant
(`GIT_DIR` and whatever else `git rev-parse --local-env-vars` lists) is taken off; what it says of
people, proxies, keys and prompts stays. Hooks are off unless asked for, replacements
(`refs/replace`) are stored and never followed, and nothing is fetched behind a caller's back.
"""

from __future__ import annotations

import os

from helios import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from subprocess import Popen
    from typing import IO

LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
)
"""What `git rev-parse --local-env-vars` lists, of all versions, and two more that redirect git."""

NO_HOOKS = "core.hooksPath=/dev/null"
SHOWN_BYTES = 4000


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for git: the user's, but for what names a repository; then `variables`."""
    kept = {name: value for name, value in os.environ.items() if name not in LOCAL_VARIABLES}
    kept |= {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    return kept | dict(variables or {})


def missing() -> errors.GitNotFound:
    """The error that git is not there."""
    return errors.GitNotFound(
        "git is not installed, or not on PATH; what came from git, and all `git` commands, need "
        "it. Install it (Debian, Ubuntu: `apt-get install git`) and try again"
    )


class Git:
    """git in one repository, or in none (`directory` is None: `clone`, `init`, `--version`).

    `variables` are set in its environment: those of a quarantine, say.
    """

    __slots__ = ("directory", "hooks", "variables")

    def __init__(
        self,
        directory: str | None,
        *,
        variables: Mapping[str, str] | None = None,
        hooks: bool = False,
    ) -> None:
        self.directory = directory
        self.variables = dict(variables or {})
        self.hooks = hooks

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        line = ["git"] if self.directory is None else ["git", f"--git-dir={self.directory}"]
        if not self.hooks:
            line += ["-c", NO_HOOKS]
        return [*line, *arguments]

    def start(
        self,
        *arguments: str,
        stdin: int | IO[bytes] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        directory: str | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Popen[bytes]:
        """Starts git; files as for `subprocess.Popen`. Raises `GitNotFound`."""
        from subprocess import Popen

        try:
            return Popen(
                self.command(*arguments),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=directory,
                env=environment(self.variables),
                pass_fds=pass_fds,
            )
        except FileNotFoundError as error:
            if directory is not None and not os.path.isdir(directory):
                raise errors.StorageError(f"{directory}: {error.strerror}") from error
            raise missing() from error
        except OSError as error:
            raise errors.GitFailed(f"git cannot be run: {error}") from error

    def run(
        self,
        *arguments: str,
        input: bytes = b"",
        accepted: Sequence[int] = (0,),
        directory: str | None = None,
    ) -> bytes:
        """What git prints. Raises `GitNotFound`, and `GitFailed` for another exit code than one
        of `accepted`, with what git says."""
        return self.ask(*arguments, input=input, accepted=accepted, directory=directory)[1]

    def ask(
        self,
        *arguments: str,
        input: bytes = b"",
        accepted: Sequence[int] = (0, 1),
        directory: str | None = None,
    ) -> tuple[int, bytes]:
        """The exit code, one of `accepted`, and what git prints; errors as for `run`."""
        from subprocess import PIPE

        process = self.start(*arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, directory=directory)
        with process:
            out, problem = process.communicate(input)
        if process.returncode not in accepted:
            raise failure(arguments, process.returncode, problem)
        return process.returncode, out


def failure(arguments: Sequence[str], code: int, problem: bytes) -> errors.GitFailed:
    """The error that git has failed, with what it said."""
    said = problem[-SHOWN_BYTES:].decode("utf-8", "replace").strip()
    words = [word for at, word in enumerate(arguments) if at == 0 or arguments[at - 1] != "-c"]
    name = next((word for word in words if not word.startswith("-")), "git")
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    return errors.GitFailed(f"`git {name}` failed ({reason}): {said or 'it does not say why'}")
