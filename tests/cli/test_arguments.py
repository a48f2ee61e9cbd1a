"""How arguments are read: options before and after the command, `--`, and mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helios import __version__
from helios.cli.arguments import parse
from helios.cli.commands import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Run


@pytest.mark.parametrize("arguments", [["--version"], ["-V"], ["-q", "--version"]])
def test_version(run: Run, arguments: list[str]) -> None:
    assert run(*arguments) == (0, f"helios-cli {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["--json", "-h"]])
def test_the_overview_names_every_command(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 0
    assert all(f"  {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: helios-cli {name}")
    assert "examples:\n  helios-cli" in result.out
    assert run("help", name) == result


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "log", "-n", "1"],
        ["log", "--json", "-n1"],
        ["log", "-n", "1", "main", "--json"],
        ["log", "main", "--limit=1", "--json"],
        ["--durability", "process", "log", "--limit", "1", "--json"],
        ["-q", "log", "--json", "--oneline", "-n", "1"],
    ],
)
@pytest.mark.usefixtures("history")
def test_options_stand_before_or_after(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 0, result.err
    assert [each["message"] for each in result.json["snapshots"]] == ["second"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--json"],
        ["--nope"],
        ["--nope", "status"],
        ["-C"],
        ["--durability", "memory", "status"],
        ["--", "status"],
        ["comit"],
        ["commit", "--nope"],
        ["commit", "--mess", "abbreviated"],
        ["commit", "unexpected"],
        ["commit", "-m"],
        ["commit", "-m", "-x"],
        ["commit", "-"],
        ["commit", "--json=yes"],
        ["commit", "--", "path"],
        ["status", "--durability", "memory"],
        ["log", "-n", "-1"],
        ["log", "-n", "many"],
        ["log", "a", "b"],
        ["switch"],
        ["restore"],
        ["restore", "main", "--", ""],
        ["materialize", "main"],
        ["diff", "a", "b", "c"],
        ["diff", "--stat", "--name-status"],
        ["stats", "--format", "xml"],
        ["stats", "--json", "--format", "prometheus"],
        ["branch", "a", "-d", "b"],
        ["completion"],
        ["completion", "cmd"],
        ["-C", "nowhere", "status"],
        ["help", "nothing"],
    ],
)
@pytest.mark.usefixtures("history")
def test_a_usage_error_is_one_line_and_exits_with_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    if "--json" in arguments:
        assert result.error["code"] == "usage"
    else:
        assert result.err.startswith("helios-cli: error: ")
        assert result.err.count("\n") == 1


def test_directories_add_up(run: Run, project: Path) -> None:
    (project / "a" / "b").mkdir(parents=True)
    assert run("-C", "a", "init", "-C", "b").code == 0
    assert (project / "a" / "b" / ".helios").is_dir()


def test_a_repository_is_found_from_below(
    run: Run, project: Path, history: tuple[str, str]
) -> None:
    result = run("log", "--json", directory=project / "src")
    assert result.json["snapshots"][0]["snapshot_id"] == history[1]


@pytest.mark.usefixtures("history")
def test_paths_are_given_from_where_the_command_runs(run: Run, project: Path) -> None:
    (project / "src" / "a.py").write_text("three\n")
    (project / "new").write_text("newer\n")
    result = run("restore", "main", "a.py", "--json", directory=project / "src")
    assert result.json["written"] == ["src/a.py"]
    assert (project / "src" / "a.py").read_text() == "one\ntwo\n"
    assert (project / "new").read_text() == "newer\n"
    result = run("restore", "main~1", "--", "../new", directory=project / "src")
    assert result.code == 0
    assert run("diff", "main~1", "main", "--json", "--", ".", directory=project / "src").code == 0


@pytest.mark.usefixtures("history")
def test_what_looks_like_an_option_is_a_path_after_the_mark(run: Run, project: Path) -> None:
    (project / "--json").write_text("odd\n")
    run("commit", "-q")
    (project / "--json").write_text("changed\n")
    assert run("restore", "@", "--", "--json").code == 0
    assert (project / "--json").read_text() == "odd\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_knows_the_commands(run: Run, shell: str) -> None:
    pytest.importorskip("shtab")
    result = run("completion", shell)
    assert result.code == 0
    assert all(name in result.out for name in COMMANDS)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        (
            "commit",
            ["-qm", "message", "--author=A", "-C", "a", "-Cb", "--json"],
            {"message": ["message"], "author": "A", "directories": ["a", "b"], "quiet": True},
        ),
        ("commit", ["-m", "a", "-m", "b", "--message", ""], {"message": ["a", "b", ""]}),
        ("commit", ["--author==A", "--message=-b"], {"author": "=A", "message": ["-b"]}),
        ("log", ["main~2", "-n3", "--limit", "4"], {"revision": "main~2", "limit": 4}),
        ("log", ["--oneline", "main", "-n3"], {"revision": "main", "oneline": True, "limit": 3}),
        ("diff", ["a", "--stat", "b", "--stat"], {"old": "a", "new": "b", "stat": True}),
        ("diff", ["a", "--", "-p"], {"old": "a", "new": None, "patch": False, "paths": ["-p"]}),
        ("restore", ["id", "--dry-run", "a", "b"], {"snapshot": "id", "paths": ["a", "b"]}),
        ("restore", ["id", "a", "--", "--", "-b"], {"snapshot": "id", "paths": ["a", "--", "-b"]}),
        ("restore", ["id"], {"snapshot": "id", "paths": [], "dry_run": False}),
        (
            "materialize",
            ["id", "--include", "*.py", "out", "--include", "*.c", "--exclude", "x"],
            {"out": "out", "include": ["*.py", "*.c"], "exclude": ["x"], "paths": []},
        ),
        ("branch", ["-d", "name"], {"delete": "name", "name": None, "start": "@"}),
        ("switch", ["-cq", "name", "--durability", "process"], {"branch": "name", "create": True}),
        ("stats", ["--format=json"], {"format": "json", "json": False}),
        ("init", [], {"directory": ".", "force": False, "directories": None}),
    ],
)
def test_values(name: str, arguments: list[str], expected: dict[str, object]) -> None:
    module, values = parse([name, *arguments])
    assert module.__name__ == f"helios.cli.commands.{name}"
    assert expected.items() <= vars(values).items()


@pytest.mark.parametrize("name", COMMANDS)
def test_options_for_every_command_mean_the_same_on_both_sides_of_its_name(name: str) -> None:
    required = {"switch": ["b"], "restore": ["s"], "materialize": ["s", "o"]}
    words = ["zsh"] if name == "completion" else required.get(name, [])
    common = ["-C", "log", "--json", "-q", "--durability", "disk"]
    _, before = parse([*common, name, *words])
    _, after = parse([name, *words, *common])
    assert before == after
    _, both = parse(["-C", "a", "-q", name, "-C", "b", *words])
    assert (both.directories, both.quiet, both.json) == (["a", "b"], True, False)
