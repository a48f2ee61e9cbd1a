"""How arguments are read: options before and after the command, `--`, and mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios import __version__
from helios.cli.arguments import command_module, read
from helios.cli.commands import COMMANDS
from helios.cli.parser import Parser
from helios.errors import Usage

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
    words = name.split(" ")
    result = run(*words, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: helios-cli {name}")
    assert "examples:\n  helios-cli" in result.out
    assert run("help", *words) == result


def test_a_family_of_commands_has_an_overview_of_its_own(run: Run) -> None:
    result = run("git", "--help")
    assert result.code == 0
    listed = [name for name in COMMANDS if f"\n  {name} " in result.out]
    assert listed == [name for name in COMMANDS if name.startswith("git ")]
    assert run("help", "git") == result
    assert run("git").code == Usage.exit_code
    assert "did you mean `git fetch`?" in run("git", "fetsh").err


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
        ["--", "status"],
        ["comit"],
        ["commit", "--nope"],
        ["commit", "--mess", "abbreviated"],
        ["commit", "unexpected"],
        ["commit", "-m"],
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
    assert all(word in result.out for name in COMMANDS for word in name.split(" "))


# Not `--`, which ends the options where it stands alone, and which argparse drops where it is a
# value (`--message=--`).
WORDS = st.sampled_from(
    ["main", "a b", "-", "-x", "", "7", "=", "human", "bash", "=7", "-1", "--no", "disk"]
)


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A command, and arguments of which most are its own."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    options = sorted(Parser("x", command_module(name))._option_string_actions)
    own = st.sampled_from([each for each in options if each not in {"-h", "--help"}])
    shapes = st.one_of(
        own,
        WORDS,
        st.tuples(own, WORDS).map("=".join),
        st.tuples(own, WORDS).map("".join),
        st.tuples(st.sampled_from(["-q", "-qq", "-c"]), own).map(
            lambda pair: pair[0] + pair[1].lstrip("-")
        ),
    )
    return name, draw(st.lists(shapes, max_size=5))


@given(command_lines())
def test_plain_arguments_mean_what_argparse_says(line: tuple[str, list[str]]) -> None:
    name, arguments = line
    module = command_module(name)
    found = read(module, arguments)
    if found is not None:
        assert found == vars(Parser("x", module).parse_intermixed_args(arguments))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("commit", ["-qm", "message", "--author=A", "-C", "a", "-Cb", "--json"]),
        ("commit", ["-m", "a", "-m", "b", "--message", ""]),
        ("log", ["main~2", "-n3", "--oneline", "--limit", "4"]),
        ("diff", ["a", "b", "--stat", "--stat", "--exit-code"]),
        ("restore", ["id", "--dry-run", "a", "b"]),
        ("materialize", ["id", "out", "--include", "*.py", "--include", "*.c", "--exclude", "x"]),
        ("branch", ["-d", "name"]),
        ("switch", ["-cq", "name", "--durability", "process"]),
        ("stats", ["--format=json"]),
        ("completion", ["zsh"]),
        ("init", []),
    ],
)
def test_everyday_arguments_do_not_need_argparse(name: str, arguments: list[str]) -> None:
    module = command_module(name)
    found = read(module, arguments)
    assert found == vars(Parser("x", module).parse_intermixed_args(arguments))


@pytest.mark.parametrize("arguments", [["--mess", "x"], ["-m"], ["word"], ["-m", "-x"], ["-"]])
def test_what_is_not_plain_is_left_to_argparse(arguments: list[str]) -> None:
    module = command_module("commit")
    assert read(module, arguments) is None
    with pytest.raises(Usage):
        Parser("x", module).parse_intermixed_args(arguments)
