"""`git-remote-helios`: what git runs for a URL `helios::PATH` (gitremote-helpers(7)).

It has one capability, `connect`: git says which service it wants, the view is brought in step with
Helios, and then stock git serves it, in the place of this process. So every feature is git's own.
What a push brings goes to Helios by the view's hook, `helios.git.push`.
"""

from __future__ import annotations

import os
import sys

from helios import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from helios import Repository
    from helios.git.view import View

    Asked = tuple[int, int]
    """A process, and the pipe that its answer comes from."""

SERVICES = ("git-upload-pack", "git-receive-pack", "git-upload-archive")
FAILED = 128
"""The exit code with which git itself gives up."""
INTERRUPTED = 130
LINE_BYTES_MAX = 4096
PROTOCOL_VERSIONS = ("0", "1", "2")
PROTOCOL_VERSION = "2"
VERSION_SETTING = "protocol.version"


def main(arguments: list[str]) -> int:
    """Answers git on standard input and output; arguments are its name, a remote's, and a URL."""
    if len(arguments) not in {2, 3}:
        return _fail("git runs this for a URL such as helios::/path/to/repository; see docs/GIT.md")
    try:
        return _converse(arguments[-1])
    except errors.HeliosError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # git has gone; nobody is there to be told.
        return FAILED
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}")


def _converse(url: str) -> int:
    asked = None
    while line := _read_line():
        match line.split(" "):
            case ["capabilities"]:
                os.write(1, b"connect\n\n")
                # While git thinks about that, and its setting is read, what follows is imported.
                asked = _ask_for_version()
                import helios.git.sync
                import helios.repository  # noqa: F401
            case ["connect", service] if service in SERVICES:
                _serve(service, url, asked)
            case _:
                return _fail(f"git asks for {line!r}, which is not known here")
    return 0


def _read_line() -> str:
    """A line without its end; empty at the end of input. Not one byte behind it is taken: that
    belongs to whoever serves."""
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return os.fsdecode(line.removesuffix(b"\n"))


def _fail(problem: str) -> int:
    print(f"helios: {problem}", file=sys.stderr)
    return FAILED


def _serve(service: str, url: str, asked: Asked | None) -> NoReturn:
    """Makes this process stock git that serves the view. Answers git once nothing can fail."""
    # `signal` would import `enum`, which takes as long as to open a repository.
    from _signal import SIG_DFL, SIGPIPE, signal  # type: ignore[import-not-found]

    from helios.git import view as views
    from helios.git.sync import sync
    from helios.store.git.derived import ID_BYTES
    from helios.store.git.process import environment, missing

    program = _git()
    if program is None:
        raise missing()
    asked = asked or _ask(program, VERSION_SETTING)
    with repository_at(path_of(url)) as repository:
        view = views.of(repository)
        if view is None:
            # The first push decides what ids there are.
            told = _answer(_ask(program, "extensions.objectformat"))
            view = views.of_or_make(repository, told if told in ID_BYTES else None)
        sync(repository)
        _point_head(repository, view)
    if service == "git-receive-pack":
        from helios.git.push import install, tidy

        install(view)
        tidy(view)
    # Python ignores it, and what is ignored stays so.
    signal(SIGPIPE, SIG_DFL)
    said = _answer(asked)
    version = said if said in PROTOCOL_VERSIONS else PROTOCOL_VERSION
    os.write(1, b"\n")
    # The view's own hooks, whatever the user's configuration says.
    command = ["git", "-c", "core.hooksPath=hooks", service.removeprefix("git-"), view.directory]
    variables = environment({"GIT_PROTOCOL": f"version={version}"})
    os.execve(program, command, variables)  # noqa: S606 - no shell is wanted


def _point_head(repository: Repository, view: View) -> None:
    """HEAD of the view is the branch of the worktree, as in a git checkout: clones begin there. Not
    if HEAD names a commit itself, which only an import has made of it."""
    branch = repository.head
    if repository.root is None or repository.branch(branch) is None:
        return
    with open(os.path.join(view.directory, "HEAD"), "rb") as file:
        said = os.fsdecode(file.read())
    wanted = f"refs/heads/{branch}"
    if said.startswith("ref: ") and said != f"ref: {wanted}\n":
        # In a repository that cannot be written to, it is where it was.
        try:
            with view.turn():
                view.git.run("symbolic-ref", "HEAD", wanted)
        except errors.ReadOnlyRepository:
            pass


def _git() -> str | None:
    for directory in os.get_exec_path():
        program = os.path.join(directory, "git")
        if os.access(program, os.X_OK) and not os.path.isdir(program):
            return program
    return None


def path_of(url: str) -> str:
    """The path that a URL names, with or without `helios::` before it: a path, or `file://` and
    one. Raises `Usage` for a URL of another machine."""
    path = url.removeprefix("helios::")
    scheme, mark, rest = path.partition("://")
    if not mark or "/" in scheme:
        return path
    host, slash, path = rest.partition("/")
    if scheme not in {"file", "helios"} or host not in {"", "localhost"} or not slash:
        raise errors.Usage(
            f"{url!r} names no repository of this machine; "
            "give helios::/path or helios::file:///path"
        )
    if "%" in path:
        from urllib.parse import unquote_to_bytes

        path = os.fsdecode(unquote_to_bytes(os.fsencode(path)))
    return f"/{path}"


def repository_at(path: str) -> Repository:
    """The repository of a worktree's root, or with this directory (`.helios`) of its own."""
    from helios import Repository
    from helios.repository import place as places

    if places.is_repository(path):
        return Repository.at(path, durability="disk", command="git")
    return Repository.open(path, durability="disk", command="git")


def _ask_for_version() -> Asked | None:
    """The version that git is set to speak. It does not tell a helper; so its settings are read, in
    its own environment, while that still names the repository that it works in."""
    program = _git()
    return None if program is None else _ask(program, VERSION_SETTING)


def _ask(program: str, name: str) -> Asked:
    """Starts `git config`. `subprocess` would take longer to import than all of this takes."""
    reading, writing = os.pipe()
    try:
        child = os.posix_spawn(
            program,
            ["git", "config", "--get", name],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
        )
    finally:
        os.close(writing)
    return child, reading


def _answer(asked: Asked) -> str:
    """What it says; empty if there is no such setting."""
    child, reading = asked
    with open(reading, "rb") as file:
        said = file.read(LINE_BYTES_MAX)
    os.waitpid(child, 0)
    return said.decode("utf-8", "replace").strip()
