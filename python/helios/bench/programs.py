"""The programs that are measured, in an environment that holds nothing of the user's.

No variable is inherited: no GIT_*, no HELIOS_*, no user's configuration. HOME is an empty
directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import helios
from helios.bench.figure import Unmeasurable

GIT_SETTINGS = (
    "user.name=bench",
    "user.email=bench@localhost",
    "init.defaultBranch=main",
    "gc.auto=0",
    "maintenance.auto=false",
)


class Started:
    """A process that runs beside this one, and is spoken to through pipes."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        """Starts it."""
        self._command = command
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def running(self) -> bool:
        """Whether it has not ended. Raises `CalledProcessError` if it has failed."""
        code = self._process.poll()
        if code:
            raise subprocess.CalledProcessError(code, self._command)
        return code is None

    def line(self) -> bytes:
        """Waits for a line; empty if the process has ended."""
        return self._process.stdout.readline() if self._process.stdout else b""

    def expect(self, line: bytes) -> None:
        """Waits for a line. Raises `OSError` if another one comes, or none."""
        found = self.line()
        if found != line:
            raise OSError(f"{' '.join(self._command)} said {found!r}, not {line!r}")

    def tell(self, line: bytes) -> None:
        """Sends a line."""
        if self._process.stdin:
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def rest(self) -> bytes:
        """The rest of its output, when it has ended."""
        return self._process.communicate()[0]

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        with self._process:
            self._process.kill()


class Programs:
    """How to run git, helios-cli, the floor program and Python."""

    def __init__(self, home: Path, floor: Path | None) -> None:
        """`home` is made; `floor` is the built program of crates/helios-core/examples/floor.rs."""
        home.mkdir(parents=True)
        self._floor = floor
        self._git = shutil.which("git")
        # Beside this Python is what git runs for `helios::` URLs.
        wanted = (self._git, Path(sys.executable).with_name("git-remote-helios"))
        found = [str(Path(program).parent) for program in wanted if program]
        self.environment = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join([*found, os.defpath]),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HELIOS_AUTHOR": "bench",
            # The Helios that runs this is the one that is measured.
            "PYTHONPATH": str(Path(helios.__file__).parents[1]),
        }

    def run(self, command: list[str], directory: Path, stdin: Path | None = None) -> bytes:
        """The output of a command. Raises `CalledProcessError` if it fails."""
        with open(stdin or os.devnull, "rb") as file:
            return subprocess.run(
                command,
                check=True,
                cwd=directory,
                env=self.environment,
                stdin=file,
                capture_output=True,
            ).stdout

    def seconds(self, command: list[str], directory: Path) -> float:
        """How long a command takes from its start to its end. Raises as `run`."""
        start = perf_counter()
        self.run(command, directory)
        return perf_counter() - start

    def start(self, command: list[str]) -> Started:
        """Starts a command that runs beside this process."""
        return Started(command, self.environment)

    def python(self, *arguments: str) -> list[str]:
        """The command that runs this Python."""
        return [sys.executable, *arguments]

    def helios_cli(self, *arguments: str) -> list[str]:
        """The command that runs helios-cli: the installed script, else the module."""
        if find_spec("helios.cli") is None:
            raise Unmeasurable("this Helios has no command line")
        script = Path(sys.executable).with_name("helios-cli")
        start = [str(script)] if script.exists() else self.python("-m", "helios.cli")
        return [*start, *arguments]

    def files_of(self, directory: Path, revision: str) -> dict[str, bytes]:
        """All files of a commit in a git repository, which may be bare. Raises as `run`."""
        listed = self.run(self.git("ls-tree", "-r", "-z", revision), directory).decode()
        entries = [line.partition("\t") for line in listed.split("\0") if line]
        wanted = Path(self.environment["HOME"], "wanted")
        wanted.write_text("".join(f"{about.split()[2]}\n" for about, _, _ in entries))
        data = self.run(self.git("cat-file", "--batch"), directory, wanted)
        found, at = {}, 0
        for _, _, path in entries:
            start = data.index(b"\n", at) + 1
            size = int(data[at:start].split()[2])
            found[path] = data[start : start + size]
            at = start + size + 1
        return found

    def git(self, *arguments: str) -> list[str]:
        """The command that runs git, without automatic gc."""
        if self._git is None:
            raise Unmeasurable("git is not installed")
        options = [part for setting in GIT_SETTINGS for part in ("-c", setting)]
        return [self._git, *options, *arguments]

    def git_script(self, *commands: str) -> list[str]:
        """Git commands one after the other, in one shell, as a person or an agent runs them."""
        prefix = " ".join(self.git())
        return ["sh", "-c", " && ".join(f"{prefix} {command}" for command in commands)]

    def git_version(self) -> str:
        """What `git --version` prints."""
        try:
            return self.run(self.git("--version"), Path.cwd()).decode().strip()
        except Unmeasurable as reason:
            return str(reason)

    def require_floor(self) -> Path:
        """The floor program. Raises `Unmeasurable` if it is not there."""
        if self._floor is None or not self._floor.exists():
            raise Unmeasurable("the floor program is not built; `make bench` builds it")
        return self._floor

    def floor_ns(self, *arguments: str | Path | int) -> list[int]:
        """The durations in nanoseconds that the floor program measures."""
        command = [str(self.require_floor()), *map(str, arguments)]
        return [int(line) for line in self.run(command, Path.cwd()).split()]

    def maintenance(self, directory: Path) -> list[str]:
        """The command that moves the journal into L2, as a commit starts it."""
        return self.python("-m", "helios.repository.maintenance", str(directory / ".helios"))
