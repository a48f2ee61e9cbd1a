"""The environment: its variables, and git's personal ignore file found without git."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helios.cli import environment as variables
from helios.cli.git_config import entries, last_value
from helios.errors import Usage
from helios.repository.account import user_at_host

if TYPE_CHECKING:
    from cli.conftest import Run


def test_the_author(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variables.author() == "Ada Lovelace <ada@example.org>"
    monkeypatch.delenv("HELIOS_AUTHOR")
    assert variables.author() == user_at_host()
    assert "@" in user_at_host()
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "g@example.org")
    assert variables.author() == "g@example.org"
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    assert variables.author() == "Grace <g@example.org>"


def test_an_account_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert user_at_host().startswith(f"{os.getuid()}@")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", None),
        ("0", 0),
        ("67108864", 64 << 20),
        ("64MiB", 64 << 20),
        ("64 mb", 64 << 20),
        ("1G", 1 << 30),
        ("7b", 7),
    ],
)
def test_the_cache_size(monkeypatch: pytest.MonkeyPatch, text: str, size: int | None) -> None:
    monkeypatch.setenv("HELIOS_CACHE_BYTES", text)
    assert variables.cache_bytes() == size


@pytest.mark.parametrize("text", ["much", "-1", "1.5G", "64XiB", "\u0661"])
def test_what_is_not_a_cache_size(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HELIOS_CACHE_BYTES", text)
    with pytest.raises(Usage, match="HELIOS_CACHE_BYTES"):
        variables.cache_bytes()


def test_durability(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert variables.durability() == "disk"
    monkeypatch.setenv("HELIOS_DURABILITY", "process")
    assert variables.durability() == "process"
    assert run("commit").code == 0
    monkeypatch.setenv("HELIOS_DURABILITY", "memory")
    assert run("commit").code == 2
    assert run("commit", "--durability", "disk").code == 0


def test_the_cache_variable_reaches_the_repository(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELIOS_CACHE_BYTES", "1MiB")
    assert run("init").code == 0
    monkeypatch.setenv("HELIOS_CACHE_BYTES", "x")
    assert run("log").code == 2


def test_git_ignore_files_of_the_person(
    run: Run, project: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (environment / ".config" / "git").mkdir(parents=True)
    (environment / ".config" / "git" / "ignore").write_text("*.default\n")
    (environment / "mine").write_text("*.mine\n")
    for name in ("a.default", "a.mine"):
        (project / name).write_text("a\n")

    def added() -> list[str]:
        return [each["path"] for each in run("status", "--json").json["added"]]

    run("init")
    assert added() == ["a.mine"]
    (environment / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    assert added() == ["a.default"]
    (environment / ".gitconfig").write_text("[core]\n\texcludesFile =\n")
    assert added() == ["a.default", "a.mine"]
    (environment / "other").write_text("[core] excludesfile = ~/mine\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(environment / "other"))
    assert added() == ["a.default"]
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(environment / "missing"))
    assert added() == ["a.mine"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(environment))
    assert added() == ["a.default", "a.mine"]
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    assert variables.excludes_file("/") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("[core]\n  a = b\n", [("core", "a", "b")]),
        ("[CORE]\nA-b=c", [("core", "a-b", "c")]),
        ("[core] a = b", [("core", "a", "b")]),
        ("[core]\na\nb", [("core", "a", "true"), ("core", "b", "true")]),
        ("[core]\na = b ; c\nd = e # f\n", [("core", "a", "b"), ("core", "d", "e")]),
        ('[core]\na = "b # c"  \n', [("core", "a", "b # c")]),
        ('[core]\na = "b " c\n', [("core", "a", "b  c")]),
        ("[core]\na = b  c  \n", [("core", "a", "b  c")]),
        ("[core]\na = b\\\nc\n", [("core", "a", "bc")]),
        ('[core]\na = \\"b\\\\ \\t\n', [("core", "a", '"b\\ \t')]),
        ('[remote "x]y"]\na = b', [("remote.x]y", "a", "b")]),
        ('[a "b\\"c"]\nd = e', [('a.b\\"c', "d", "e")]),
        ("; comment\n# another\n[a]\nb=", [("a", "b", "")]),
        ("[a]\nb = \\x\nc = d", []),
        ('[a]\nb = "open\nc = d', []),
        ("[open\na = b", []),
        ("[a]\nb = c\n= d\n", [("a", "b", "c")]),
    ],
)
def test_entries_of_a_git_configuration(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert list(entries(text)) == expected


def test_included_files_are_read_and_the_last_value_wins(tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.write_text("\ufeff[core]\na = 1\n[include]\npath = more\n[core]\nb = 1\n")
    (tmp_path / "more").write_text("[core]\na = 2\nb = 2\n")
    assert last_value(str(main), "core", "a") == "2"
    assert last_value(str(main), "core", "b") == "1"
    assert last_value(str(main), "core", "c") is None
    assert last_value(str(tmp_path / "none"), "core", "a") is None


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("[include]\npath = two\n[core]\na = 1\n")
    (tmp_path / "two").write_text("[include]\npath = one\n[core]\na = 2\n")
    assert last_value(str(tmp_path / "one"), "core", "a") == "1"
