"""What goes wrong has a clear message, the documented exit code, and loses nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from helios import Repository
from helios.cli.failure import DEFECT, unexpected

if TYPE_CHECKING:
    from cli.conftest import Result, Run


def check(result: Result, code: int, about: str) -> None:
    assert result.code == code, result.err
    assert result.out == ""
    assert result.err.startswith("helios-cli: error: ")
    assert about in result.err


def test_not_a_repository(run: Run) -> None:
    for command in ("status", "log", "branch", "diff", "stats", "maintenance"):
        check(run(command), 3, "helios-cli init")
    check(run("switch", "main"), 3, "is a Helios repository")
    check(run("restore", "main"), 3, "is a Helios repository")
    check(run("materialize", "main", "out"), 3, "is a Helios repository")


@pytest.mark.parametrize(
    ("revision", "about"),
    [
        ("nope", "no snapshot, branch or tag is called"),
        ("0" * 64, "there is no snapshot"),
        ("0" * 63, "begins with"),
        ("abc", "at least 4 digits"),
        ("@~9", "no parent"),
        ("main~x", "a number"),
        ("", "''"),
        ("../../etc", "no snapshot, branch or tag"),
        ("\x1b[31m", "no snapshot, branch or tag"),
        ("\udcff", "no snapshot, branch or tag"),
    ],
)
@pytest.mark.usefixtures("history")
def test_a_revision_that_names_nothing(run: Run, revision: str, about: str) -> None:
    for arguments in (
        ["log", revision],
        ["restore", revision],
        ["diff", revision],
        ["diff", "main", revision],
        ["materialize", revision, "out"],
        ["branch", "other", revision],
    ):
        result = run(*arguments)
        check(result, 4, about)
        assert "\x1b" not in result.err


def test_an_ambiguous_prefix(run: Run) -> None:
    # Of 65,536 prefixes two are the same after some 300 snapshots.
    ids: dict[str, str] = {}
    for number in range(2000):
        made = run(
            "commit", "--allow-empty", "--durability", "process", "-m", str(number), "--json"
        )
        found = made.json["snapshot_id"]
        if found[:4] in ids:
            result = run("log", found[:4])
            check(result, 4, "give more digits")
            assert run("log", found[:4], "--json").error["code"] == "ambiguous-revision"
            assert run("log", "-n1", found[:16]).code == 0
            return
        ids[found[:4]] = found
    pytest.skip("no two of 2000 snapshots began alike")


@pytest.mark.usefixtures("history")
def test_an_output_directory_that_holds_something(run: Run, project: Path) -> None:
    (project / "out").mkdir()
    assert run("materialize", "main", "out").code == 0
    check(run("materialize", "main", "out"), 9, "not empty")
    assert run("materialize", "main", "out", "--json").error["code"] == "target-not-empty"
    check(run("materialize", "main", "new"), 9, "is a file")


def test_the_home_directory_and_the_root_are_refused(run: Run, environment: Path) -> None:
    check(run("commit", directory=environment), 9, "--force")
    check(run("init", str(environment)), 9, "--force")
    check(run("-C", "/", "commit"), 9, "/")
    assert not (environment / ".helios").exists()
    assert run("init", "--force", str(environment)).code == 0
    assert run("commit", directory=environment).code == 0


@pytest.mark.usefixtures("history")
def test_a_newer_format(run: Run, project: Path) -> None:
    (project / ".helios" / "format").write_text("helios 99\n")
    check(run("log"), 8, "upgrade")
    check(run("commit"), 8, "upgrade")


@pytest.mark.usefixtures("history")
def test_a_read_only_repository(run: Run, project: Path) -> None:
    # Root may write anywhere, so the lock is made something that cannot be opened.
    lock = project / ".helios" / "journal" / "lock"
    lock.unlink()
    lock.mkdir()
    (project / "new").write_text("changed\n")
    assert run("log", "--json").json["snapshots"][0]["message"] == "second"
    result = run("commit")
    check(result, 7, "read-only")


def test_damage_is_told_and_the_rest_is_kept(
    run: Run, project: Path, history: tuple[str, str]
) -> None:
    content = os.urandom(5000)
    (project / "big").write_bytes(content)
    run("commit", "-q", "-m", "third")
    (project / "after").write_text("after\n")
    run("commit", "-q", "-m", "fourth")
    [journal] = (project / ".helios" / "journal").glob("*.journal")
    data = journal.read_bytes()
    assert content[:2000] in data
    journal.write_bytes(data.replace(content[:2000], b"\0" * 2000))
    result = run("materialize", "main", "out")
    assert result.code == 6
    warning, error = result.err.splitlines()
    assert warning.startswith("helios-cli: warning: .helios/journal segment 1: ")
    assert error.startswith("helios-cli: error: object ")
    known = {"object-not-found", "corrupt-object"}
    assert run("materialize", "main", "out", "--json").error["code"] in known
    [damage] = run("stats", "--json").json["damage"]
    assert damage["segment"] == 1
    assert damage["length"] >= 5000
    intact = run("materialize", history[1], "intact")
    assert intact.code == 0
    assert (project / "intact" / "src" / "a.py").read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("error", "code", "exit_code", "about"),
    [
        (PermissionError(13, "Permission denied", "/x"), "permission", 7, "/x: Permission denied"),
        (OSError(28, "No space left on device", "/x"), "system", 10, "No space left"),
        (OSError("plain"), "system", 10, "plain"),
        (MemoryError(), "memory", 10, "memory"),
        (ZeroDivisionError("oops"), "defect", DEFECT, "ZeroDivisionError: oops"),
    ],
)
def test_errors_from_outside_helios(
    error: Exception, code: str, exit_code: int, about: str
) -> None:
    failure = unexpected(error)
    assert (failure.code, failure.exit_code) == (code, exit_code)
    assert about in failure.message


def test_a_defect_shows_where_only_if_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    import helios.cli.commands.stats as module

    def fail(_: object) -> NoReturn:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(module, "run", fail)
    result = run("stats")
    check(result, DEFECT, "please report it (ZeroDivisionError: oops)")
    assert run("stats", "--json").error["code"] == "defect"
    monkeypatch.setenv("HELIOS_TRACEBACK", "1")
    from helios.cli import main

    assert main(["stats"]) == DEFECT
    assert b"Traceback" in capsysbinary.readouterr().err


def test_an_interrupt_has_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import helios.cli.commands.stats as module

    def interrupt(_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run", interrupt)
    assert run("stats") == (130, "", "")


def test_a_commit_over_a_damaged_snapshot(run: Run, project: Path) -> None:
    (project / "d").mkdir()
    for number in range(50):
        (project / "d" / f"{number}").write_text("content\n" * number)
    run("commit", "--durability", "process")
    [segment] = (project / ".helios" / "journal").glob("*.journal")
    content = bytearray(segment.read_bytes())
    (project / "e").write_text("e\n" * 10)
    run("commit")
    content[100] ^= 1
    with segment.open("r+b") as file:
        file.write(content)
    (project / "d" / "7").write_text("changed\n")
    result = run("status", "--json")
    assert (result.code, result.error["code"]) == (6, "corrupt-object")
    assert "`commit` still snapshots what is on disk" in result.error["message"]
    result = run("commit", "-m", "whole")
    assert result.code == 0
    assert "51 files; " in result.out
    assert ".helios: object " in result.err
    result = run("status", "--json")
    assert (result.code, result.json["clean"]) == (0, True)
    assert [warning["path"] for warning in result.json["warnings"]] == [".helios/journal segment 1"]
    assert run("materialize", "main", "out").code == 0
    assert (project / "out" / "d" / "7").read_text() == "changed\n"


def test_a_message_or_author_that_is_not_utf_8(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a").write_text("a")
    run("init")
    for arguments in (["-m", "caf\udce9"], ["--author", "Ren\udce9"]):
        check(run("commit", *arguments), 2, "is not text")
        assert run("commit", *arguments, "--json").error["code"] == "invalid-text"
    assert run("log", "--json").json["snapshots"] == []
    # The environment is not given anew with each commit.
    monkeypatch.setenv("HELIOS_AUTHOR", "Ren\udce9")
    assert run("commit").code == 0
    assert run("log", "--json").json["snapshots"][0]["author"] == "Ren\ufffd"


def test_an_entry_that_the_file_system_does_not_take(run: Run, project: Path) -> None:
    with Repository.init(project) as repository, repository.vst() as vst:
        vst["x" * 256] = b"1"
        vst["b"] = b"2"
    result = run("materialize", "main", "out")
    assert result.code == 10
    assert "1 file, 1 B" in result.out
    assert "File name too long" in result.err
    assert (project / "out" / "b").read_bytes() == b"2"
    result = run("materialize", "main", "again", "--json")
    assert (result.code, result.json["failed"], len(result.json["warnings"])) == (10, 1, 1)
