"""`--json` on every command: one object on standard output, errors as one on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

if TYPE_CHECKING:
    from cli.conftest import Run

HEX = set("0123456789abcdef")


def is_id(text: str) -> bool:
    return len(text) == 64 and set(text) <= HEX


def test_init(run: Run, project: Path) -> None:
    expected = {
        "repository": str(project / ".helios"),
        "root": str(project),
        "branch": "main",
        "created": True,
        "warnings": [],
    }
    assert run("init", "--json").json == expected
    assert run("init", "--json").json == {**expected, "created": False}


def test_commit(run: Run, project: Path) -> None:
    (project / "a").write_text("a\n")
    made = run("commit", "--json").json
    assert is_id(made["snapshot_id"])
    assert is_id(made["tree_id"])
    assert (made["parents"], made["branch"]) == ([], "main")
    assert (made["created"], made["initialized"]) == (True, True)
    assert made["new_objects"] == 3
    assert made["new_bytes"] > 0
    assert made["journal_bytes"] > 0
    assert made["elapsed_us"] > 0
    again = run("commit", "--json").json
    assert again["snapshot_id"] == made["snapshot_id"]
    assert (again["created"], again["initialized"]) == (False, False)
    assert (again["new_objects"], again["journal_bytes"]) == (0, 0)
    empty = run("commit", "--json", "--allow-empty").json
    assert empty["created"] is True
    assert (empty["parents"], empty["tree_id"]) == ([made["snapshot_id"]], made["tree_id"])


def test_an_author_and_a_message_are_kept(run: Run, history: tuple[str, str]) -> None:
    run("commit", "--allow-empty", "--author", "Grace", "-m", "a", "-m", "b")
    latest, earlier, _ = run("log", "--json").json["snapshots"]
    assert (latest["author"], latest["message"]) == ("Grace", "a\n\nb")
    assert latest["parents"] == [history[1]]
    assert latest["branches"] == ["main"]
    assert (earlier["author"], earlier["branches"]) == ("Ada Lovelace <ada@example.org>", [])
    assert latest["time"].endswith("Z")
    assert latest["time_us"] >= earlier["time_us"]


def test_diff_of_two_snapshots(run: Run, history: tuple[str, str]) -> None:
    first, second = history
    diff = run("diff", first[:10], "main", "--json").json
    assert (diff["from"], diff["to"]) == (first, second)
    assert diff["counts"] == {"added": 1, "changed": 1, "deleted": 0, "renamed": 1}
    [added], [changed], [renamed] = diff["added"], diff["changed"], diff["renamed"]
    assert added["path"] == "new"
    assert (added["old_id"], added["old_size"], added["old_kind"]) == (None, None, None)
    assert is_id(added["new_id"])
    assert (added["new_size"], added["new_kind"]) == (4, "file")
    assert (changed["path"], changed["old_size"], changed["new_size"]) == ("src/a.py", 4, 8)
    assert (renamed["old_path"], renamed["path"], renamed["size"]) == ("b.txt", "c.txt", 2)
    assert "patch" not in changed
    patched = run("diff", "main~1", "main", "--json", "--patch").json
    assert patched["changed"][0]["patch"].endswith("@@ -1 +1,2 @@\n one\n+two\n")


def test_diff_of_the_worktree(run: Run, project: Path, history: tuple[str, str]) -> None:
    first, second = history
    clean = run("diff", "--json", "--exit-code")
    assert clean.code == 0
    assert (clean.json["from"], clean.json["to"]) == (second, None)
    (project / "new").unlink()
    diff = run("diff", "--json")
    assert diff.code == 0
    assert [each["path"] for each in diff.json["deleted"]] == ["new"]
    assert run("diff", "--exit-code").code == 1
    assert run("diff", "--exit-code", "--json", "--", "src").code == 0
    older = run("diff", first, "--json").json
    assert (older["from"], older["to"]) == (first, None)
    assert older["counts"] == {"added": 0, "changed": 1, "deleted": 0, "renamed": 1}


def test_status(run: Run, project: Path, history: tuple[str, str]) -> None:
    clean = run("status", "--json", "--exit-code")
    assert clean.code == 0
    assert clean.json["clean"] is True
    assert (clean.json["branch"], clean.json["snapshot_id"]) == ("main", history[1])
    assert clean.json["root"] == str(project)
    (project / "more").write_text("more\n")
    dirty = run("status", "--json", "--exit-code")
    assert dirty.code == 1
    assert dirty.json["clean"] is False
    assert [each["path"] for each in dirty.json["added"]] == ["more"]


def test_restore(run: Run, project: Path, history: tuple[str, str]) -> None:
    (project / "extra").write_text("extra\n")
    plan = run("restore", history[0], "--dry-run", "--json").json
    assert (plan["restored"], plan["dry_run"]) == (history[0], True)
    assert plan["safety_snapshot"] is None
    assert (project / "extra").exists()
    done = run("restore", history[0], "--json").json
    assert done["restored"] == history[0]
    assert is_id(done["safety_snapshot"])
    assert sorted(done["written"]) == ["b.txt", "src/a.py"]
    assert sorted(done["deleted"]) == ["c.txt", "extra", "new"]
    assert not (project / "extra").exists()
    run("restore", done["safety_snapshot"])
    assert (project / "extra").read_text() == "extra\n"


def test_materialize(run: Run, project: Path, history: tuple[str, str]) -> None:
    done = run("materialize", "main", "out", "--json").json
    assert done["materialized"] == history[1]
    assert done["out"] == str(project / "out")
    assert (done["files"], done["bytes"]) == (3, 14)
    assert (project / "out" / "src" / "a.py").read_text() == "one\ntwo\n"
    some = run("materialize", "main", "some", "--include", "*.py", "--json").json
    assert some["files"] == 1
    rest = run("materialize", "main", "rest", "--exclude", "*.py", "--json").json
    assert rest["files"] == 2
    below = run("materialize", "main", "below", "--json", "--", "src").json
    assert below["files"] == 1


def test_branch_and_switch(run: Run, history: tuple[str, str]) -> None:
    first, second = history
    assert run("branch", "old", first, "--json").json["created"] == "old"
    listed = run("branch", "--json").json
    assert listed["current"] == "main"
    assert listed["branches"] == [
        {"name": "main", "snapshot_id": second, "current": True},
        {"name": "old", "snapshot_id": first, "current": False},
    ]
    switched = run("switch", "old", "--json").json
    assert (switched["branch"], switched["snapshot_id"]) == ("old", first)
    assert (switched["created"], switched["safety_snapshot"]) == (False, None)
    assert sorted(switched["written"]) == ["b.txt", "src/a.py"]
    deleted = run("branch", "-d", "main", "--json").json
    assert (deleted["deleted"], deleted["snapshot_id"]) == ("main", second)


def test_log_before_the_first_snapshot(run: Run) -> None:
    run("init")
    assert run("log", "--json").json == {"snapshots": [], "warnings": []}
    assert run("branch", "--json").json["branches"] == []


@pytest.mark.usefixtures("history")
def test_stats(run: Run) -> None:
    stats = run("stats", "--json").json
    assert stats == run("stats", "--format", "json").json or stats["engine"]["commits"] == 2
    assert {"hits", "misses", "evictions", "size", "items"} <= stats["l1"].keys()
    assert {
        "commit_latency_us_p50",
        "commit_latency_us_p95",
        "commit_latency_us_p99",
        "new_objects",
        "new_bytes",
        "io_reduction_percent",
    } <= stats["engine"].keys()
    assert stats["damage"] == []
    text = run("stats", "--format", "prometheus").out
    assert "# TYPE helios_commits_total counter\nhelios_commits_total 2\n" in text
    assert "commit latency us p50" in run("stats").out


@pytest.mark.usefixtures("history")
def test_maintenance(run: Run) -> None:
    done = run("maintenance", "--json").json
    assert done["segments"] == 1
    assert done["objects"] > 0
    assert run("maintenance").out == "The journal is empty; there is nothing to move\n"
    assert len(run("log", "--json").json["snapshots"]) == 2


@pytest.mark.usefixtures("history")
def test_verify(run: Run, project: Path) -> None:
    found = run("verify", "--json").json
    assert (found["clean"], found["damage"], found["notes"]) == (True, [], [])
    assert found["objects"] == found["records"] > 5
    assert found["bytes"] > 100
    [segment] = (project / ".helios" / "journal").glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[40] ^= 1
    segment.write_bytes(content)
    result = run("fsck", "--json")
    assert result.code == 1
    kinds = [damage["kind"] for damage in result.json["damage"]]
    assert not result.json["clean"]
    assert "journal" in kinds
    [missing, *_] = [each for each in result.json["damage"] if each["kind"] == "missing"]
    assert missing["reachable"]
    assert missing["effects"][0]["branch"] == "main"
    repaired = run("verify", "--repair", "--json")
    assert (repaired.code, repaired.json["clean"]) == (0, True)
    assert repaired.json["restored"] > 0
    result = run("verify", "--repair", "--from", "nowhere")
    assert result.code == 3


def test_errors_are_objects_too(run: Run) -> None:
    result = run("--json", "log")
    assert (result.code, result.out) == (3, "")
    assert result.error["code"] == "not-a-repository"
    assert "helios-cli init" in result.error["message"]


def test_warnings_are_in_the_object_and_else_on_standard_error(run: Run, project: Path) -> None:
    import socket

    run("init")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("control")
        (project / "a").write_text("a\n")
        [warning] = run("status", "--json").json["warnings"]
        assert warning["path"] == "control"
        assert warning["reason"]
        result = run("commit", "--quiet")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("helios-cli: warning: control: ")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_worktrees(run: Run, project: Path, history: tuple[str, str]) -> None:
    agent = project.parent / "agent"
    added = run("worktree", "add", "../agent", "attempt", "main~1", "--json").json
    assert added == {
        "name": "agent",
        "root": str(agent),
        "branch": "attempt",
        "snapshot_id": history[0],
        "created": True,
        "files": 2,
        "bytes": 6,
        "carried": 0,
        "shared": added["shared"],
        "warnings": [],
    }
    main = {
        "name": "main",
        "root": str(project),
        "branch": "main",
        "snapshot_id": history[1],
        "main": True,
        "missing": False,
        "current": True,
    }
    other = {
        "name": "agent",
        "root": str(agent),
        "branch": "attempt",
        "snapshot_id": history[0],
        "main": False,
        "missing": False,
        "current": False,
    }
    assert run("worktree", "list", "--json").json["worktrees"] == [main, other]
    (agent / "x").write_text("x")
    removed = run("worktree", "remove", "../agent", "--json").json
    assert removed["removed"] == str(agent)
    assert not removed["missing"]
    assert removed["branch"] == "attempt"
    assert (
        removed["safety_snapshot"]
        == run("log", "attempt", "--json").json["snapshots"][0]["snapshot_id"]
    )
    run("worktree", "add", "../agent", "attempt")
    agent.rename(project.parent / "away")
    pruned = run("worktree", "prune", "--json").json["pruned"]
    assert [each["name"] for each in pruned] == ["agent"]
    assert pruned[0]["missing"]
