"""The operation log, `cat`, `ls`, graphs and long lists: what transcripts cannot show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.conftest import AUTHOR
from helios import Repository
from helios.cli.quoting import COMMAND_LEN_MAX, command_line
from helios.cli.references import LISTED_MAX
from helios.repository import Graph
from helios.store.rocksdb import RocksStore

if TYPE_CHECKING:
    from cli.conftest import Process, Run


def test_the_operation_log_has_the_real_command_line(project: Path, run: Run) -> None:
    (project / "a").write_text("1")
    run("commit", "-m", "it's\nfine", "--author", AUTHOR)
    run("-C", str(project), "tag", "v1")
    run("undo")
    listed = run("op", "log", "--json").json["operations"]
    assert [each["command"] for each in listed] == [
        "helios-cli undo",
        f"helios-cli -C {project} tag v1",
        f"helios-cli commit -m $'it\\'s\\nfine' --author '{AUTHOR}'",
    ]
    assert [each["verb"] for each in listed] == ["undo", None, None]
    assert listed[0]["of"] == listed[1]["operation_id"]
    assert listed[1]["changes"][0]["ref"] == "tags/v1"
    assert {each["worktree"] for each in listed} == {"main"}
    shown = run("op", "log", "-n", "1").out
    assert "undo of " in shown
    assert "tags/v1: deleted, was at " in shown
    assert len(run("op", "log", "-n", "1", "--json").json["operations"]) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["log"], "helios-cli log"),
        (["a b", ""], "helios-cli 'a b' ''"),
        (["it's"], "helios-cli 'it'\\''s'"),
        (['say "x"\t'], "helios-cli $'say \"x\"\\t'"),
        (["\udcff"], "helios-cli $'\\377'"),
    ],
)
def test_command_lines_are_quoted_for_a_shell(words: list[str], line: str) -> None:
    assert command_line(words) == line


def test_a_long_command_line_is_cut() -> None:
    line = command_line(["commit", "-m", "x" * 10_000])
    assert len(line) == COMMAND_LEN_MAX + 3


def test_cat_gives_the_bytes(project: Path, process: Process, run: Run) -> None:
    content = bytes(range(256)) * 20_000
    (project / "binary").write_bytes(content)
    (project / "link").symlink_to("binary")
    run("commit")
    (project / "binary").unlink()
    ended = process("cat", "main:binary")
    out, err = ended.communicate()
    assert (ended.returncode, err) == (0, b"")
    assert out == content
    assert process("cat", "@:link").communicate()[0] == b"binary"


def test_cat_ends_quietly_when_nobody_reads(project: Path, process: Process, run: Run) -> None:
    (project / "large").write_bytes(b"line\n" * 2_000_000)
    run("commit")
    ended = process("cat", "main:large")
    assert ended.stdout is not None
    assert ended.stderr is not None
    ended.stdout.read(10)
    ended.stdout.close()
    assert ended.stderr.read() == b""
    ended.stderr.close()
    assert ended.wait() == 141


def test_ls_as_data(project: Path, run: Run) -> None:
    (project / "src").mkdir()
    (project / "src" / "run").write_text("#!")
    (project / "src" / "run").chmod(0o755)
    (project / "link").symlink_to("src")
    (project / "new\nline").write_text("")
    run("commit")
    listed = run("ls", "--json", "-r").json
    assert listed["path"] == ""
    assert [(each["path"], each["kind"], each["size"]) for each in listed["entries"]] == [
        ("link", "symlink", 3),
        ("new\nline", "file", 0),
        ("src", "directory", 1),
        ("src/run", "executable", 2),
    ]
    assert run("ls", "main:src/run", "--json").json["entries"][0]["kind"] == "executable"
    assert '"new\\nline"' in run("ls").out


GRAPH = """\
o      octopus
+-+-.
| | o  third
| o |    second
| +---.
o | | |  first
'-+---+
  o | |  right
  |/  |
  |   o  left
  +---'
  o  base
"""


def merge(repo: Repository, parents: list[str], message: str) -> str:
    tree = repo.snapshot(parents[0]).tree_id
    return repo._engine.store_snapshot(tree, parents, message)


def test_graphs_of_criss_cross_and_octopus(project: Path, run: Run) -> None:
    (project / "a").write_text("1")
    run("commit", "-m", "base")
    with Repository.open(project) as repo:
        base = repo.resolve("main")
        left, right = merge(repo, [base], "left"), merge(repo, [base], "right")
        first = merge(repo, [left, right], "first")
        second = merge(repo, [right, left], "second")
        third = merge(repo, [base], "third")
        octopus = merge(repo, [first, second, third], "octopus")
        log = list(repo.log(octopus, topological=True))
    assert len(log) == 7
    seen: set[str] = set()
    for snapshot in reversed(log):
        assert set(snapshot.parents) <= seen
        seen.add(snapshot.id)
    assert run("log", "--graph", octopus).out.count("snapshot ") == 7
    graph = Graph()
    ids = {each.id: each.message for each in log}
    assert [
        line.rstrip()
        for each in log
        for line in graph.draw(each.id, each.parents, "o", ids[each.id]).splitlines()
    ] == GRAPH.splitlines()


def test_a_parent_with_a_later_clock_is_drawn_below(project: Path, run: Run) -> None:
    with Repository.init(project) as repo, repo.vst("main") as vst:
        vst["a"] = "1"
        vst.commit("parent", time_us=2_000_000)
        vst["a"] = "2"
        vst.commit("child", time_us=1_000_000)
    with Repository.open(project) as repo:
        vst = repo.vst("main")
        vst.fork("side").commit("side", time_us=3_000_000)
        top = merge(repo, [repo.resolve("main"), repo.resolve("side")], "top")
        log = [each.message for each in repo.log(top, topological=True)]
    assert log.index("child") < log.index("parent")
    assert len(log) == 4
    assert run("log", "--graph", "--oneline", top).out.endswith("parent\n")


def test_a_long_list_of_branches_is_cut(project: Path, run: Run) -> None:
    (project / "a").write_text("1")
    run("commit", "-m", "base")
    with Repository.open(project) as repo:
        found = repo.resolve("main")
        names = [f"agent-{number:05d}" for number in range(LISTED_MAX + 50)]
        changes: list[tuple[str, str | None, str | None]] = [
            (f"heads/{name}", None, found) for name in names
        ]
        repo._engine.operate(changes, "test", notes=[], worktree=None)
        for move in (False, True):
            if move:
                repo.maintenance()
                repo.delete_branch(names.pop(0))
            lines = run("branch").out.splitlines()
            assert len(lines) == LISTED_MAX + 1
            assert lines[0].startswith("* main")
            assert lines[1].split()[0] == names[0]
            assert lines[-2].split()[0] == names[LISTED_MAX - 2]
            assert "first 1,000" in lines[-1]
            assert len(run("branch", "--json").json["branches"]) == len(names) + 1
            assert list(repo.branches(3)) == names[:3]


def test_names_are_looked_up_in_order(project: Path, run: Run) -> None:
    (project / "a").write_text("1")
    run("commit", "-m", "one")
    with Repository.open(project) as repo:
        one = repo.resolve("main")
        repo.create_tag(one[:8])
        (project / "a").write_text("2")
        two = repo.worktree.commit("two").snapshot.id
        assert repo.resolve(f"tags/{one[:8]}") == repo.resolve(one[:8]) == one
        repo.create_tag("both", one)
        tagged = next(repo.operations())
        repo.delete_tag("both")
        repo.create_branch("both", two)
        # Back comes a tag although there is a branch: the branch goes before it.
        repo.undo(next(each.id for each in repo.operations() if each.command == "tag -d both"))
        assert repo.resolve("both") == repo.resolve("heads/both") == two
        assert repo.resolve("tags/both") == one
        assert tagged.changes[0].name == "tags/both"
        for name in ("a b", "-x", "x..y", "@", "", "\udcff"):
            assert run("tag", "--", name).code == 2


def test_verify_names_the_operations_that_damage_keeps_from_being_undone(
    project: Path, run: Run
) -> None:
    for text in ("1", "2", "3"):
        (project / "a").write_text(text)
        run("commit", "-m", text)
    run("maintenance")
    operations = run("op", "log", "--json").json["operations"]
    with RocksStore.open(project / ".helios" / "l2", writable=True) as store:
        positions = [position for position, _ in store.operations()]
        store.delete_operations(positions[1:2])
    told = run("verify")
    assert told.code == 1
    newest, oldest = operations[0]["operation_id"][:12], operations[2]["operation_id"][:12]
    assert told.out.startswith(f"operation: operation {newest} (segment ")
    assert f"the one before it, {oldest}, left it at" in told.out
    assert "  affects branch main: " in told.out
    assert run("verify", "--repair").code == 1, "it is not made again"


def test_verify_names_the_undo_that_a_damaged_snapshot_is_for(project: Path, run: Run) -> None:
    (project / "a").write_text("1")
    run("commit")
    run("switch", "-c", "side")
    (project / "a").write_text("2")
    side = run("commit", "--json").json["snapshot_id"]
    run("switch", "main")
    run("branch", "-d", "side")
    run("maintenance")
    with RocksStore.open(project / ".helios" / "l2", writable=True) as store:
        store.replace_records([(bytes.fromhex(side), b"\x03\x00\x00\x01x")])
    deleted = run("op", "log", "--json").json["operations"][0]["operation_id"]
    told = run("verify")
    assert told.code == 1
    assert f"  affects undo of operation {deleted[:12]}: {side[:12]}\n" in told.out
