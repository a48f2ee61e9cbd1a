"""Imports point downwards: the table of the design's "Layout and direction of imports", as data.

A module may import what stands on a lower level, never what stands beside or above it. A module
that the table does not know fails: a new one is given its place on purpose.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import rust_source

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "helios"
CORE = ROOT / "crates" / "helios-core" / "src"

PYTHON_LEVELS = (
    {"helios._core"},
    {"helios.errors"},
    {"helios.store", "helios.security"},
    {"helios.repository"},
    {"helios"},
    {"helios.git", "helios.search", "helios.validation", "helios.bench"},
    {"helios.cli", "helios.server"},
)
# At run time the core raises the classes of helios.errors; in the sources the arrow points down.
CORE_IMPORTERS = {"helios.errors", "helios.store", "helios.repository"}
# git is run in the user's environment, but for what would lead it into another repository.
ENVIRONMENT_READERS = (
    "helios.cli",
    "helios.server",
    "helios.git.remote_helper",
    "helios.store.git.process",
)

RUST_LEVELS = (
    {"error", "id", "platform", "words"},
    {"object", "metrics", "threads"},
    {"store"},
    {"cache", "journal"},
    {"tree"},
    {"vst", "diff", "git"},
    {"merge"},
    {"worktree"},
    {"engine"},
)
# An error names ids, and an id that cannot be read is an error.
RUST_GROUND = RUST_LEVELS[0]
RUST_ENVIRONMENT = re.compile(r"\bstd::env\b|\benv::(?:var|vars|home_dir|args)|\boption_env!")
CORE_NEVER_DEPENDS_ON = {"pyo3", "rocksdb", "librocksdb-sys", "rust-rocksdb"}


def level_of(name: str, levels: Iterable[set[str]]) -> int | None:
    return next((level for level, names in enumerate(levels) if name in names), None)


# Python


def place_of(module: str) -> str:
    """The row of the table that a module belongs to: `helios.git.export` is `helios.git`."""
    return ".".join(module.split(".")[:2])


def imports_of(tree: ast.AST, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and name of each module of Helios that is imported, wherever in the file."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=base, names=names, level=dots):
                if dots:
                    parts = module.split(".")
                    parts = parts[: len(parts) - dots + is_package]
                    base = ".".join([*parts, *([base] if base else [])])
                found = [f"{base}.{a.name}" if base == "helios" else str(base) for a in names]
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                found = [name]
            case _:
                continue
        for name in found:
            if name == "helios" or name.startswith("helios."):
                yield node.lineno, name


def known(name: str) -> str:
    """`from helios import Repository` takes a name, not a module: it imports the package."""
    place = place_of(name)
    return "helios" if level_of(place, PYTHON_LEVELS) is None else place


def reads_environment(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(
                value=ast.Name(id="os"),
                attr="environ" | "environb" | "getenv" | "getenvb" | "putenv" | "unsetenv",
            ):
                yield node.lineno
            case ast.ImportFrom(module="os", names=names) if {a.name for a in names} & {
                "environ",
                "environb",
                "getenv",
                "getenvb",
            }:
                yield node.lineno


def check_python(text: str, module: str, is_package: bool = False) -> list[str]:
    tree = ast.parse(text)
    mine = place_of(module)
    level = level_of(mine, PYTHON_LEVELS)
    if level is None:
        return [f"{module}: no place in PYTHON_LEVELS; give it one"]
    problems = []
    for line, name in imports_of(tree, module, is_package):
        other = known(name)
        if other == mine:
            continue
        other_level = level_of(other, PYTHON_LEVELS)
        if other_level is None or other_level >= level:
            problems.append(f"{module}:{line}: imports {name}, which is not below it")
        if other == "helios._core" and mine not in CORE_IMPORTERS:
            problems.append(f"{module}:{line}: only {sorted(CORE_IMPORTERS)} import _core")
    if not any(module == name or module.startswith(f"{name}.") for name in ENVIRONMENT_READERS):
        problems += [f"{module}:{n}: reads the environment" for n in reads_environment(tree)]
    return problems


def test_python_imports_point_downwards() -> None:
    problems = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["helios", *path.relative_to(PACKAGE).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        problems += check_python(path.read_text(encoding="utf-8"), module, is_package)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("helios.store.l2", "from helios.repository import Repository"),
        ("helios.store.l2", "import helios.security.paths"),
        ("helios.store.l2", "from helios import repository"),
        ("helios.git.export", "def f():\n    from helios import search"),
        ("helios.git.export", "from ..cli import main"),
        ("helios.git.export", "from helios._core import Id"),
        ("helios.security.paths", "from helios import Repository"),
        ("helios.cli.main", "from helios import _core"),
        ("helios.search.index", "import importlib\nimportlib.import_module('helios.server')"),
        ("helios.repository", "import os\nhome = os.environ['HOME']"),
        ("helios.git.export", "from os import getenv"),
        ("helios.misc", "import os"),
    ],
)
def test_a_python_violation_is_found(module: str, text: str) -> None:
    assert check_python(text, module)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            "helios.cli.commit",
            "import os\nfrom helios import Repository, errors\nos.environ.get('X')",
        ),
        ("helios.store.l2", "from helios._core import Id\nfrom helios.store.batch import Batch"),
        (
            "helios.git.remote_helper",
            "import os\nfrom helios.git.export import run\nos.getenv('X')",
        ),
        ("helios.repository", "from helios.store import l2\nfrom helios.errors import HeliosError"),
    ],
)
def test_an_import_that_points_down_is_allowed(module: str, text: str) -> None:
    assert check_python(text, module) == []


# Rust


def rust_imports(code: str) -> Iterator[tuple[int, str]]:
    """Offset and name of each module of the crate that is named, in groups too."""
    for found in re.finditer(r"\bcrate\s*::\s*(?:(\w+)|\{)", code):
        if found[1]:
            yield found.start(), found[1]
            continue
        depth, name_may_start = 1, True
        for token in re.compile(r"[{},]|\w+").finditer(code, found.end()):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                break
            if token[0] not in "{}," and depth == 1 and name_may_start:
                yield token.start(), token[0]
            name_may_start = token[0] == ","


def check_rust(text: str, module: str) -> list[str]:
    source = rust_source.without_tests(rust_source.parse(text))
    level = level_of(module, RUST_LEVELS)
    if level is None:
        return [f"{module}: no place in RUST_LEVELS; give it one"]
    problems = []
    for offset, name in rust_imports(source.code):
        place = f"{module}:{source.line_of(offset)}"
        if name == module or {name, module} <= RUST_GROUND:
            continue
        other = level_of(name, RUST_LEVELS)
        if other is None or other >= level:
            problems.append(f"{place}: imports {name}, which is not below it")
    problems += [
        f"{module}:{source.line_of(found.start())}: reads the environment"
        for found in RUST_ENVIRONMENT.finditer(source.code)
    ]
    return problems


def test_rust_imports_point_downwards() -> None:
    problems = []
    for path in sorted(CORE.rglob("*.rs")):
        relative = path.relative_to(CORE)
        if relative.name == "lib.rs" or rust_source.is_test_file(relative):
            continue
        module = relative.with_suffix("").parts[0]
        problems += check_rust(path.read_text(encoding="utf-8"), module)
    assert not problems, "\n".join(problems)


def test_the_core_links_neither_python_nor_rocksdb() -> None:
    manifest = tomllib.loads((CORE.parent / "Cargo.toml").read_text(encoding="utf-8"))
    assert not CORE_NEVER_DEPENDS_ON & set(manifest["dependencies"])


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("store", "use crate::journal::Journal;"),
        ("cache", "use crate::journal::frame;"),
        ("diff", "fn f() { crate::merge::three_way(); }"),
        ("tree", "use crate::{error::Result, object::{self, Kind}, vst::Vst};"),
        ("journal", "fn f() -> Option<String> { std::env::var(name).ok() }"),
        ("misc", "use crate::id::Id;"),
        ("object", "use crate::misc::Thing;"),
    ],
)
def test_a_rust_violation_is_found(module: str, text: str) -> None:
    assert check_rust(text, module)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("error", "use crate::id::Id;"),
        ("journal", "use crate::{id::{Id, IdMap}, metrics, store::record};"),
        ("store", "// crate::engine uses this\nuse crate::store::record;"),
        ("store", "#[cfg(test)]\nmod tests { use crate::engine::Engine; }"),
    ],
)
def test_a_rust_import_that_points_down_is_allowed(module: str, text: str) -> None:
    assert check_rust(text, module) == []
