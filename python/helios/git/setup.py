"""What git needs in order to find Helios: itself in a version that is new enough, the helper on
PATH, and the settings and hooks of the view."""

from __future__ import annotations

import re
from shutil import which

from helios import errors
from helios.git import push
from helios.git import view as views
from helios.repository.result import Result
from helios.store.git.process import Git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository

HELPER = "git-remote-helios"
VERSION_MIN = (2, 29)
SUBMODULES = "protocol.helios.allow"


class Setup(Result):
    """What is there: paths, None where there is none; git's version; whether git follows submodules
    at URLs `helios::`; and what is wrong, each with the way out."""

    __slots__ = ("git", "helper", "problems", "submodules", "version")

    def __init__(
        self,
        git: str | None,
        version: str,
        helper: str | None,
        submodules: bool,
        problems: list[str],
    ) -> None:
        self.git = git
        self.version = version
        self.helper = helper
        self.submodules = submodules
        self.problems = problems


def setup(repository: Repository | None, *, submodules: bool = False) -> Setup:
    """Checks all of it; gives the view of a repository, if it has one, its hooks again. With
    `submodules` git's own configuration of this user is told to follow them."""
    git, helper = which("git"), which(HELPER)
    problems = []
    if helper is None:
        problems.append(
            f"{HELPER} is not on PATH: add the directory of helios-cli to PATH, and git finds it"
        )
    if git is None:
        problems.append("git is not on PATH: install it (Debian, Ubuntu: `apt-get install git`)")
        return Setup(None, "", helper, False, problems)
    version = (
        Git(None).run("version").decode("utf-8", "replace").removeprefix("git version ").strip()
    )
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if numbers < VERSION_MIN:
        problems.append(f"git {version} is too old for pushes: install 2.29 or later")
    if submodules:
        Git(None).run("config", "--global", SUBMODULES, "always")
    _, allowed = Git(None).ask("config", "--get", SUBMODULES)
    view = None if repository is None else views.of(repository)
    if view is not None:
        try:
            push.install(view)
        except OSError as error:
            message = f"{view.directory}: {error.strerror}"
            raise errors.StorageError(message, errno=error.errno) from error
    return Setup(git, version, helper, allowed.strip() == b"always", problems)
