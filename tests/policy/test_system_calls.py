"""No command asks the kernel for a privileged operation: each runs under strace.

The scan of the sources cannot see into a compiled dependency or a helper program; a trace of the
system calls of the process and of all its children can. A call counts even where the kernel
refuses it. strace is a system tool: where it is missing these tests fail in CI, and are skipped
elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from helios._core import ask_to_leave

FORBIDDEN = {
    "mounts": "mount umount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount"
    " open_tree open_tree_attr mount_setattr swapon swapoff",
    "namespaces": "unshare setns",
    "other processes": "ptrace process_vm_writev kcmp",
    "capabilities": "capset",
    "identities": "setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid",
    "kernel": "bpf init_module finit_module delete_module kexec_load kexec_file_load reboot"
    " keyctl add_key request_key iopl ioperm quotactl acct sethostname setdomainname settimeofday",
}
FORBIDDEN_CALLS = {name: why for why, names in FORBIDDEN.items() for name in names.split()}

HELPERS = (
    "mount|umount|fusermount3?|unshare|nsenter|sudo|su|doas|pkexec|modprobe|insmod|losetup|bwrap"
    "|chroot|setcap|systemd-run"
)
# Calls that are forbidden only with some arguments: name, pattern, reason.
FORBIDDEN_ARGUMENTS = (
    ("clone3?", r"\bCLONE_NEW\w+", "namespaces"),
    ("prctl", r"\bPR_(CAP_AMBIENT|CAPBSET_DROP|SET_SECUREBITS|SET_KEEPCAPS)\b", "capabilities"),
    ("mknod(at)?", r"\bS_IF(BLK|CHR)\b", "device files"),
    ("open(at2?)?|creat", r'"/dev/fuse"', "FUSE"),
    (
        "open(at2?)?|creat",
        r'"/sys/fs/cgroup[^"]*".*\b(O_WRONLY|O_RDWR|O_CREAT)\b',
        "control groups",
    ),
    ("mkdir(at)?|rmdir|rename(at2?)?", r'"/sys/fs/cgroup', "control groups"),
    ("open(at2?)?", r'"/proc/[^"]+/(ns/\w+|[ug]id_map|setgroups)"', "namespaces"),
    (
        "execve(at)?",
        rf'^(-?\w+, )?"([^"]*/)?({HELPERS})"',
        "helper programs",
    ),
)
# The question mark lets strace pass over a name that this machine's kernel does not have.
ALSO_TRACED = (
    "clone clone3 prctl mknod mknodat mkdir mkdirat rmdir rename renameat renameat2"
    " open openat openat2 creat execveat"
)
TRACED = ["execve", *(f"?{name}" for name in [*FORBIDDEN_CALLS, *ALSO_TRACED.split()])]
LINE = re.compile(r"^(?:\d+\s+)?(?P<name>\w+)\((?P<arguments>.*)")
TIMEOUT_S = 180

COMMANDS = (
    "init",
    "commit",
    "status",
    "log",
    "branch",
    "switch",
    "merge",
    "restore",
    "diff",
    "materialize",
    "worktree",
    "watch",
    "monitor",
    "stats",
    "verify",
    "maintenance",
)


def violations(trace: str) -> Iterator[str]:
    """The lines of a trace that no command may cause, each with the reason."""
    for line in trace.splitlines():
        call = LINE.match(line)
        if not call:
            continue
        name, arguments = call["name"], call["arguments"]
        if name in FORBIDDEN_CALLS:
            yield f"{FORBIDDEN_CALLS[name]}: {line}"
        for names, pattern, why in FORBIDDEN_ARGUMENTS:
            if re.fullmatch(names, name) and re.search(pattern, arguments):
                yield f"{why}: {line}"


@dataclass(frozen=True)
class Traced:
    """What a traced command did."""

    code: int
    output: str
    errors: str
    trace: str


@pytest.fixture(scope="session")
def strace() -> str:
    program = shutil.which("strace")
    if program is None:
        message = "strace is missing; install it with: apt-get install strace"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return program


def run_traced(
    strace: str, command: list[str], directory: Path, environment: dict[str, str] | None = None
) -> Traced:
    log = directory / "trace"
    options = ["-f", "-qq", "-s", "256", "-e", "signal=none", "-e", "trace=" + ",".join(TRACED)]
    done = subprocess.run(
        [strace, *options, "-o", str(log), *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    trace = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    assert "execve(" in trace, f"strace traced nothing: {done.stderr}"
    return Traced(done.returncode, done.stdout, done.stderr, trace)


def stop_watch(tree: Path) -> None:
    """Ends the watch of a worktree, once it has an index and so has begun to look."""
    directory = tree / ".helios" / "worktree" / "watch"
    end = time.monotonic() + TIMEOUT_S / 2
    while time.monotonic() < end and not (directory / "index").exists():
        time.sleep(0.05)
    os.kill(int((directory / "watching").read_text()), signal.SIGTERM)


def end_monitor(tree: Path) -> None:
    """Ends the monitor of a worktree, once it listens."""
    directory = tree / ".helios" / "worktree" / "watch"
    end = time.monotonic() + TIMEOUT_S / 2
    while time.monotonic() < end and ask_to_leave(str(directory)) is not True:
        time.sleep(0.05)


@pytest.fixture(scope="session")
def session(strace: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Traced]:
    """One life of a worktree; each command once, traced."""
    cli = Path(sys.executable).parent / "helios-cli"
    base = tmp_path_factory.mktemp("traced")
    tree = base / "tree"
    tree.mkdir()
    done: dict[str, Traced] = {}

    def helios(command: str, *arguments: str) -> Traced:
        line = [str(cli), "-C", str(tree), command, *arguments, "--json"]
        done[command] = run_traced(strace, line, base)
        return done[command]

    def commit(message: str) -> str:
        result = helios("commit", "-m", message)
        assert result.code == 0, result.errors
        return str(json.loads(result.output)["snapshot_id"])

    helios("init")
    (tree / "kept.txt").write_text("kept\n")
    (tree / "changed.txt").write_text("before\n")
    (tree / "folder").mkdir()
    (tree / "folder" / "link").symlink_to("../kept.txt")
    first = commit("first")
    (tree / "changed.txt").write_text("after\n")
    (tree / "large.bin").write_bytes(bytes(range(256)) * (3 << 12))
    second = commit("second")
    (tree / "kept.txt").write_text("edited\n")
    helios("status")
    helios("log")
    helios("branch", "attempt")
    helios("switch", "attempt")
    helios("merge", "main")
    helios("restore", first)
    helios("diff", first, second)
    helios("materialize", second, str(base / "materialized"))
    (tree / ".worktreeinclude").write_text("*.log\n")
    (tree / ".heliosignore").write_text("*.log\n")
    (tree / "some.log").write_text("comes along\n")
    helios("worktree", "add", str(base / "agent"), "agent")
    stopper = threading.Thread(target=stop_watch, args=(tree,))
    stopper.start()
    helios("watch")
    stopper.join()
    state = tree / ".helios" / "worktree"
    program = [sys.executable, "-P", "-m", "helios.repository.monitor"]
    stopper = threading.Thread(target=end_monitor, args=(tree,))
    stopper.start()
    # Commands start it by themselves where a worktree is large.
    done["monitor"] = run_traced(strace, [*program, str(tree), str(state), "", ""], base)
    stopper.join()
    helios("stats")
    helios("verify", "--repair")
    helios("maintenance")
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_makes_no_privileged_system_call(
    session: dict[str, Traced], command: str
) -> None:
    traced = session[command]
    # 1 is how `diff` says that there are differences.
    assert traced.code in ({0, 1} if command == "diff" else {0}), traced.errors
    found = list(violations(traced.trace))
    assert not found, "\n".join(found)


def test_each_listed_command_is_run(session: dict[str, Traced]) -> None:
    assert set(session) == set(COMMANDS)


@pytest.fixture(scope="session")
def git_session(strace: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Traced]:
    """An import, and a clone and a push through `git-remote-helios`, each traced with all the
    processes of git and hooks that it starts."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    scripts = Path(sys.executable).parent
    base = tmp_path_factory.mktemp("traced-git")
    (base / "home").mkdir()
    environment = {
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "HOME": str(base / "home"),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@b" for who in ("AUTHOR", "COMMITTER")},
    }

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, cwd=base, env=environment)

    def traced(*command: str) -> Traced:
        return run_traced(strace, list(command), base, environment)

    source, imported, clone = str(base / "source"), str(base / "imported"), str(base / "clone")
    git("init", "-q", "-b", "main", source)
    git("-C", source, "commit", "-q", "--allow-empty", "-m", "first")
    cli = str(scripts / "helios-cli")
    done = {"import": traced(cli, "git", "import", "-q", source, imported)}
    done["clone"] = traced("git", "clone", "-q", f"helios::{imported}", clone)
    git("-C", clone, "commit", "-q", "--allow-empty", "-m", "second")
    done["push"] = traced("git", "-C", clone, "push", "-q", "origin", "HEAD:refs/heads/pushed")
    done["log"] = traced(cli, "-C", imported, "log", "--oneline", "pushed")
    return done


@pytest.mark.parametrize("command", ["import", "clone", "push", "log"])
def test_git_and_what_serves_it_make_no_privileged_system_call(
    git_session: dict[str, Traced], command: str
) -> None:
    traced = git_session[command]
    assert traced.code == 0, traced.errors
    found = list(violations(traced.trace))
    assert not found, "\n".join(found)


def test_a_push_is_traced_down_to_its_hook(git_session: dict[str, Traced]) -> None:
    assert "git-remote-helios" in git_session["push"].trace
    assert "proc-receive" in git_session["push"].trace
    assert "second" in git_session["log"].output


# A call that the kernel refuses is a call all the same, so these harm nobody: each is made in a
# process of its own, with arguments that cannot succeed.
CAUGHT = {
    "mount": "libc.mount(None, None, None, 0, None)",
    "umount": "libc.umount2(b'/nonexistent', 0)",
    "chroot": "libc.chroot(b'/nonexistent')",
    "unshare": "libc.unshare(0x7fffffff)",
    "setns": "libc.setns(-1, 0)",
    "identity": "libc.setresuid(os.getuid(), os.geteuid(), os.getuid())",
    "in a child": "os.fork() == 0 and libc.chroot(b'/nonexistent')",
    "fuse": "os.path.exists('/dev/fuse'); libc.open(b'/dev/fuse', 0)",
    "cgroup": "libc.open(b'/sys/fs/cgroup/nonexistent/x', os.O_WRONLY)",
    "helper": "os.execv('/nonexistent/fusermount3', ['fusermount3'])",
}


@pytest.mark.parametrize("statement", CAUGHT.values(), ids=CAUGHT)
def test_a_forbidden_call_is_caught(strace: str, tmp_path: Path, statement: str) -> None:
    program = f"import ctypes, os\nlibc = ctypes.CDLL(None)\n{statement}\n"
    traced = run_traced(strace, [sys.executable, "-S", "-c", program], tmp_path)
    assert list(violations(traced.trace))


def test_an_ordinary_program_is_not_blamed(strace: str, tmp_path: Path) -> None:
    program = (
        "import subprocess, threading, os\n"
        "threading.Thread(target=os.getpid).start()\n"
        "subprocess.run(['true'])\n"
        "open('/proc/self/status').close()\n"
    )
    traced = run_traced(strace, [sys.executable, "-c", program], tmp_path)
    assert traced.code == 0
    assert list(violations(traced.trace)) == []


@pytest.mark.parametrize(
    "line",
    [
        "12 clone(child_stack=NULL, flags=CLONE_NEWNS|SIGCHLD) = -1 EPERM",
        "12 clone3({flags=CLONE_VM|CLONE_NEWUSER, exit_signal=SIGCHLD}, 88 <unfinished ...>",
        '12 mknodat(AT_FDCWD, "loop", S_IFBLK|0600, makedev(0x7, 0)) = 0',
        '12 openat(AT_FDCWD, "/sys/fs/cgroup/a/memory.max", O_WRONLY|O_CLOEXEC) = 3',
        "12 prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0, 0, 0) = 0",
        '12 execve("/usr/bin/sudo", ["sudo", "ls"], 0x7ffe /* 3 vars */) = 0',
    ],
)
def test_a_forbidden_argument_is_recognised(line: str) -> None:
    assert list(violations(line))


@pytest.mark.parametrize(
    "line",
    [
        "12 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD, stack=0x7f}, 88) = 13",
        '12 openat(AT_FDCWD, "/sys/fs/cgroup/cpu.max", O_RDONLY|O_CLOEXEC) = 3',
        '12 openat(AT_FDCWD, "notes about mount(2).txt", O_RDONLY) = 3',
        '12 mknodat(AT_FDCWD, "pipe", S_IFIFO|0600) = 0',
        '12 prctl(PR_SET_NAME, "helios") = 0',
        '12 execve("/usr/bin/git", ["git", "mount"], 0x7ffe /* 3 vars */) = 0',
        "12 +++ exited with 0 +++",
    ],
)
def test_an_allowed_argument_is_left_alone(line: str) -> None:
    assert list(violations(line)) == []
