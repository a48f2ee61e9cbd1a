"""No source asks for a privileged operation: Helios stays in user space.

Helios needs no mount, no namespace, no control group and no capability, so none may creep in,
neither called directly nor through a helper program. The rules below are data, each with its
reason. A rule that fires on nothing is worthless, so each has a snippet that must trip it.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

import rust_source

ROOT = Path(__file__).resolve().parents[2]
SCANNED = ("python", "crates", "tools", "tests", "fuzz", ".ci", "Makefile")
# This folder names what is forbidden in order to look for it.
EXEMPT = PurePosixPath("tests/policy")
NEVER_SOURCES = {"target", "corpus", "artifacts", "coverage", "__pycache__", ".venv"}


@dataclass(frozen=True)
class Rule:
    """What must not appear, and why."""

    name: str
    reason: str
    calls: frozenset[str] = frozenset()
    """Identifiers: functions, constants and modules of any language."""
    programs: frozenset[str] = frozenset()
    """Programs that must not be run."""
    packages: frozenset[str] = frozenset()
    """Python distributions, modules and crates that must not be depended on."""
    texts: str = r"(?!)"
    """A pattern of forbidden string content: paths of kernel interfaces."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RULES = (
    Rule(
        "mount",
        "mounting needs CAP_SYS_ADMIN, and a mount outlives a crash",
        calls=words(
            "mount umount umount2 mount_setattr move_mount fsopen fsmount fsconfig fspick"
            " open_tree pivot_root SYS_mount SYS_umount2 SYS_pivot_root MS_BIND MNT_DETACH"
        ),
        programs=words("mount umount mount.nfs mount.cifs losetup swapon swapoff pivot_root"),
        packages=words("sys-mount libmount proc-mounts"),
        texts=r"^overlay(fs)?$|\blowerdir=|\bupperdir=",
    ),
    Rule(
        "fuse",
        "a FUSE mount is slow, can drop writes and hangs when its server dies",
        calls=words("fuse fuser fuse_main fuse_mount fuse_session_new"),
        programs=words("fusermount fusermount3 mount.fuse fuse-overlayfs bindfs sshfs unionfs"),
        packages=words("fuse fuser fuse3 fuse-backend-rs polyfuse fusepy pyfuse3 llfuse mfusepy"),
        texts=r"/dev/fuse",
    ),
    Rule(
        "namespace",
        "a namespace needs CAP_SYS_ADMIN or a kernel setting that many machines lack",
        calls=words("unshare setns CloneFlags SYS_unshare SYS_setns SYS_clone SYS_clone3"),
        programs=words("unshare nsenter bwrap firejail runc crun docker podman systemd-nspawn"),
        packages=words("unshare nsenter pyroute2 libcontainer"),
        texts=r"/proc/(self|thread-self|\d+|[^/]*\{[^/]*)/(ns|uid_map|gid_map|setgroups)\b",
    ),
    Rule(
        "root-directory",
        "changing the root directory needs CAP_SYS_CHROOT",
        calls=words("chroot SYS_chroot"),
        programs=words("chroot fakechroot proot"),
    ),
    Rule(
        "control-group",
        "limits are the business of whoever runs Helios",
        packages=words("cgroups-rs controlgroup cgroupspy"),
        programs=words("cgcreate cgexec cgset systemd-run"),
        texts=r"/sys/fs/cgroup",
    ),
    Rule(
        "capability",
        "Helios must work without any capability",
        calls=words("capset capget cap_set_proc prctl SYS_prctl SYS_capset"),
        programs=words("setcap capsh setpriv"),
        packages=words("caps capctl capng libcap python-prctl prctl"),
        texts=r"\bCAP_[A-Z]+(_[A-Z]+)*\b",
    ),
    Rule(
        "identity",
        "Helios acts as the user who runs it",
        calls=words(
            "setuid setgid seteuid setegid setreuid setregid setresuid setresgid setgroups"
            " initgroups setfsuid setfsgid"
        ),
        programs=words("sudo su doas pkexec runuser gosu"),
    ),
    Rule(
        "other-processes",
        "no process is traced or rewritten from outside",
        calls=words("ptrace process_vm_writev PTRACE_ATTACH SYS_ptrace"),
        programs=words("gdb ltrace"),
        packages=words("python-ptrace"),
    ),
    Rule(
        "kernel",
        "the kernel's modules, devices and programs are none of Helios's business",
        calls=words("init_module finit_module delete_module SYS_bpf mknod mknodat keyctl"),
        programs=words("modprobe insmod rmmod mknod sysctl kexec dmsetup"),
        packages=words("aya libbpf-rs bcc keyutils"),
        texts=r"^/dev/(mem|kmem|loop|mapper|dm-)|^/proc/sys/",
    ),
    Rule(
        "raw-calls",
        "a system call by number or through a foreign function escapes these rules",
        calls=words("syscall asm global_asm dlopen dlsym"),
        packages=words("ctypes cffi libloading dlopen syscalls"),
    ),
)

STARTS_PROCESS = re.compile(
    r"^(run|call|check_call|check_output|Popen|getoutput|getstatusoutput|system|popen|which"
    r"|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|create_subprocess_(exec|shell))$"
)


@dataclass(frozen=True)
class Finding:
    """One place that a rule refuses."""

    place: str
    rule: Rule
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what!r} ({self.rule.name}: {self.rule.reason})"


def program_rule(word: str) -> Rule | None:
    name = word.rsplit("/", 1)[-1]
    return next((rule for rule in RULES if name in rule.programs), None)


def check_identifier(name: str, place: str) -> Iterator[Finding]:
    for rule in RULES:
        named = name in rule.calls
        flag = rule.name == "namespace" and name.startswith("CLONE_NEW")
        capability = rule.name == "capability" and re.fullmatch(rule.texts, name)
        if named or flag or capability:
            yield Finding(place, rule, name)


def check_text(text: str, place: str) -> Iterator[Finding]:
    for rule in RULES:
        if found := re.search(rule.texts, text):
            yield Finding(place, rule, found.group())


def check_package(name: str, place: str) -> Iterator[Finding]:
    for rule in RULES:
        if name in rule.packages:
            yield Finding(place, rule, name)


def check_command(text: str, place: str) -> Iterator[Finding]:
    """The words of a command, wherever they stand: `env sudo ...`, `sh -c "..."`."""
    for word in re.split(r"[\s;|&()`'\"]+", text):
        if rule := program_rule(word):
            yield Finding(place, rule, word)


# Python


def docstrings(tree: ast.AST) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
    return found


def call_name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def text_of(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def check_call(call: ast.Call, place: str) -> Iterator[Finding]:
    name = call_name(call)
    if STARTS_PROCESS.match(name):
        for inner in filter(is_text, ast.walk(call)):
            yield from check_command(text_of(inner), place)
    if name in {"getattr", "import_module", "__import__"}:
        for argument in filter(is_text, call.args):
            yield from check_identifier(text_of(argument), place)
            yield from check_package(text_of(argument).partition(".")[0], place)


def check_import(module: str, names: list[str], place: str) -> Iterator[Finding]:
    yield from check_package(module.partition(".")[0], place)
    for name in names:
        yield from check_identifier(name, place)


def check_python_node(node: ast.AST, place: str) -> Iterator[Finding]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield from check_import(alias.name, [], place)
        case ast.ImportFrom(module=module, names=names):
            yield from check_import(module or "", [alias.name for alias in names], place)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield from check_identifier(name, place)
        case ast.Call():
            yield from check_call(node, place)
        case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]):
            # A command that is put together before it is run.
            rule = program_rule(text_of(first))
            if rule:
                yield Finding(place, rule, text_of(first))


def check_python(text: str, path: str) -> Iterator[Finding]:
    tree = ast.parse(text, path)
    documentation = docstrings(tree)
    for node in ast.walk(tree):
        place = f"{path}:{getattr(node, 'lineno', 0)}"
        if is_text(node) and id(node) not in documentation:
            yield from check_text(text_of(node), place)
        yield from check_python_node(node, place)


# Rust


def check_rust(text: str, path: str) -> Iterator[Finding]:
    source = rust_source.parse(text)
    for word in re.finditer(r"\b[A-Za-z_][A-Za-z0-9_]*\b", source.code):
        yield from check_identifier(word.group(), f"{path}:{source.line_of(word.start())}")
    runs_programs = re.search(r"\bCommand\b", source.code) is not None
    for line, content in source.strings:
        yield from check_text(content, f"{path}:{line}")
        if runs_programs:
            yield from check_command(content, f"{path}:{line}")


# Shell and make

COMMAND_START = re.compile(
    r"""^|[;|&({`"'!]|\b(?:then|do|else|if|while|until|exec|env|command|nohup|time|xargs|eval)\s"""
)
COMMAND = re.compile(
    r"""[\s@+-]*(?:(?:exec|env|command|nohup|time|xargs|eval|\w+=\S*)\s+)*"""
    r"""(?P<word>[\w./+-]+)(?=$|[\s;|&)"'`])"""
)


def check_shell(text: str, path: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"(^|\s)#.*", "", line)
        place = f"{path}:{number}"
        yield from check_text(code, place)
        for start in COMMAND_START.finditer(code):
            found = COMMAND.match(code, start.end())
            if found and (rule := program_rule(found["word"])):
                yield Finding(place, rule, found["word"])


# Dependencies


def check_manifest(text: str, path: str) -> Iterator[Finding]:
    """Names in Cargo.toml, Cargo.lock or pyproject.toml, transitive ones too."""
    data = tomllib.loads(text)
    # In a lock this is a list of packages, in a manifest one table.
    locked = data.get("package", {})
    names = {entry["name"] for entry in locked} if isinstance(locked, list) else set()
    for table in ("dependencies", "dev-dependencies", "build-dependencies"):
        names |= set(data.get(table, {}))
    project = data.get("project", {})
    for requirement in project.get("dependencies", []):
        names.add(re.split(r"[^\w.-]", requirement)[0])
    for name in sorted(names):
        yield from check_package(name, path)


def check_requirements(text: str, path: str) -> Iterator[Finding]:
    for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE):
        yield from check_package(name, path)


def check(text: str, path: str) -> list[Finding]:
    name = PurePosixPath(path)
    if name.suffix in {".py", ".pyi"}:
        return list(check_python(text, path))
    if name.suffix == ".rs":
        return list(check_rust(text, path))
    if name.suffix == ".toml" or name.name == "Cargo.lock":
        return list(check_manifest(text, path))
    if name.name.startswith("requirements"):
        return list(check_requirements(text, path))
    if name.suffix == ".sh" or name.name == "Makefile" or text.startswith("#!"):
        return list(check_shell(text, path))
    return []


def sources() -> list[Path]:
    found = [ROOT / name for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml")]
    found += ROOT.glob("requirements*")
    for name in SCANNED:
        start = ROOT / name
        found += [start] if start.is_file() else start.rglob("*")
    return sorted(
        path
        for path in found
        if path.is_file()
        and not NEVER_SOURCES & set(path.relative_to(ROOT).parts)
        and EXEMPT not in PurePosixPath(path.relative_to(ROOT)).parents
        and path.suffix not in {".so", ".pyc", ".profraw"}
    )


def test_no_source_asks_for_a_privileged_operation() -> None:
    scanned = sources()
    suffixes = {path.suffix for path in scanned}
    assert {".py", ".rs", ".sh", ".toml"} <= suffixes, f"nothing to scan under {ROOT}"
    findings: list[Finding] = []
    for path in scanned:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # test data, not a source
        findings += check(text, path.relative_to(ROOT).as_posix())
    assert not findings, "\n".join(map(str, findings))


MUST_FIRE = [
    ("mount", "a.py", "libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)"),
    ("mount", "a.py", "import subprocess\nsubprocess.run(['umount', '-l', path])"),
    ("mount", "a.py", "import os\nos.system('cd / && mount -a')"),
    ("mount", "a.py", "command = ['/usr/bin/mount', '-t', kind]"),
    ("mount", "a.py", "options = f'lowerdir={lower},upperdir={upper}'"),
    ("mount", "a.rs", "fn f() { unsafe { libc::mount(a, b, c, 0, d) }; }"),
    ("mount", "a.rs", "use nix::mount::{self, MsFlags};"),
    ("mount", "a.rs", 'fn f() { Command::new("umount").arg("x").status() }'),
    ("mount", "a.rs", 'fn f() { Command::new("sh").args(["-c", "exec mount -a"]) }'),
    ("mount", "a.sh", "if true; then mount --bind a b; fi"),
    ("mount", "Makefile", "setup:\n\t@losetup -f image"),
    ("fuse", "a.py", "open('/dev/fuse', 'rb')"),
    ("fuse", "a.py", "import shutil\nshutil.which('fusermount3')"),
    ("fuse", "Cargo.toml", '[dependencies]\nfuser = "0.15"'),
    ("fuse", "Cargo.lock", '[[package]]\nname = "fuse3"\nsource = "registry"'),
    ("fuse", "requirements-dev.lock", "pyfuse3==3.4.0 \\\n    --hash=sha256:00"),
    ("namespace", "a.py", "import os\nos.unshare(os.CLONE_NEWNS)"),
    ("namespace", "a.py", "from os import setns"),
    ("namespace", "a.rs", "const FLAGS: i32 = libc::CLONE_NEWUSER;"),
    ("namespace", "a.sh", "exec nsenter -t 1 -m"),
    ("namespace", "a.py", "path = '/proc/self/uid_map'"),
    ("root-directory", "a.py", "getattr(os, 'chroot')('/srv')"),
    ("root-directory", "a.rs", "std::os::unix::fs::chroot(dir)?;"),
    ("control-group", "a.py", "(root / '/sys/fs/cgroup/helios').mkdir()"),
    ("control-group", "a.sh", "echo 1 >/sys/fs/cgroup/helios/memory.max"),
    ("capability", "a.rs", "let wanted = CAP_SYS_ADMIN;"),
    ("capability", "a.py", "wanted = 'CAP_DAC_OVERRIDE'"),
    ("capability", "a.rs", "unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1) };"),
    ("identity", "a.py", "import os\nos.setresuid(0, 0, 0)"),
    ("identity", ".ci/run", "#!/bin/sh\nDEBIAN_FRONTEND=x sudo apt-get install git"),
    ("identity", "a.py", "subprocess.check_call(['env', 'sudo', 'ls'])"),
    ("other-processes", "a.rs", "nix::sys::ptrace::attach(pid)?;"),
    ("kernel", "a.py", "subprocess.Popen('modprobe overlay', shell=True)"),
    ("kernel", "a.py", "os.mknod(path, mode, device)"),
    ("raw-calls", "a.py", "import ctypes.util"),
    ("raw-calls", "a.py", "import importlib\nimportlib.import_module('ctypes')"),
    ("raw-calls", "a.rs", "unsafe { libc::syscall(165, 0) };"),
]


@pytest.mark.parametrize(("rule", "path", "text"), MUST_FIRE)
def test_a_forbidden_snippet_is_found(rule: str, path: str, text: str) -> None:
    assert rule in {finding.rule.name for finding in check(text, path)}


def test_every_rule_has_a_snippet_that_trips_it() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in MUST_FIRE}


MUST_NOT_FIRE = [
    ("a.py", '"""A snapshot engine without a mount; see CAP_SYS_ADMIN."""\namount = 1'),
    ("a.py", "import os\nos.path.ismount(path)\nprint('the amount of sudoku, unmounted')"),
    ("a.py", "import subprocess\nsubprocess.run(['git', 'commit', '--amend'])"),
    ("a.py", "def refuse() -> None:\n    # never unshare or chroot\n    raise ValueError('mount')"),
    ("a.py", "os.getuid()\nos.umask(0o022)"),
    ("a.rs", "/// Unlike mount(2), copies.\nfn f(amount: u64) -> u64 { remount_count + amount }"),
    ("a.rs", 'fn f() -> &\'static str { "no mount is needed" } // libc::umount'),
    ("a.rs", "fn owner(m: &Metadata) -> u32 { m.uid() }"),
    ("a.sh", "# mount nothing\necho the amount; grep mount /dev/null; ls /mnt/mount"),
    ("Makefile", "setup: ## no sudo needed\n\tcargo build"),
    ("Cargo.toml", '[dependencies]\nmemmap2 = "0.9"'),
]


@pytest.mark.parametrize(("path", "text"), MUST_NOT_FIRE)
def test_harmless_text_is_left_alone(path: str, text: str) -> None:
    assert check(text, path) == []
