"""Figures: merging two branches that each touch 100 of 100,000 files."""

from __future__ import annotations

from pathlib import Path

from helios import Repository
from helios.bench.commands import interleaved
from helios.bench.committer import TIME_US, committer, maintain
from helios.bench.corpus import Corpus, Writer
from helios.bench.figure import GIT, HELIOS, Figure, Limit, Measured
from helios.bench.latencies import seconds_of
from helios.bench.stream import write_stream
from helios.bench.workbench import Workbench

MS = 1000.0
BRANCHES = ("ours", "theirs")


def _changes(bench: Workbench, corpus: Corpus) -> dict[str, dict[str, bytes]]:
    """By branch, what it makes of its files; every tenth of them both have changed."""
    writer = Writer(f"{bench.seed} merge")
    paths = sorted(corpus.contents)
    count = bench.sizes.merged_files
    step = max(1, len(paths) // (2 * count))
    shared = paths[:: 2 * step * 10][: count // 10]
    changes = {}
    for number, branch in enumerate(BRANCHES):
        own = [path for path in paths[number * step :: 2 * step] if path not in shared]
        chosen = [*shared, *own[: count - len(shared)]]
        changed = {path: writer.with_line(corpus.contents[path]) for path in chosen[len(shared) :]}
        for path in shared:
            # At the beginning or at the end: the sides do not conflict.
            line, text = writer.line(), corpus.contents[path]
            changed[path] = text + line if number else line + text
        changes[branch] = changed
    return changes


def merge(bench: Workbench) -> Measured:
    """`Repository.merge` beside the process of `git merge-tree`; neither writes a commit."""
    sizes, programs = bench.sizes, bench.programs
    bench.say(f"  building {sizes.status_files} files to merge")
    corpus = Corpus(f"{bench.seed} merge", sizes.status_files, sizes.status_directories)
    changes = _changes(bench, corpus)
    built = committer(bench, "merge", corpus.contents)
    for branch in BRANCHES:
        vst = built.repository.vst("main").fork(branch)
        for path, content in changes[branch].items():
            vst[path] = content
        vst.commit(branch, time_us=TIME_US + 1)
    maintain(bench, built.repository)
    root = _git(bench, corpus, changes)
    by_git = programs.git("merge-tree", "--write-tree", *BRANCHES)
    repository = bench.open.enter_context(Repository.open(built.root))

    def by_helios() -> float:
        found = []
        elapsed = seconds_of(lambda: found.append(repository.merge(*BRANCHES).outcome))
        if found != ["merged"]:
            raise AssertionError(f"the branches do not merge: {found}")
        return elapsed * MS

    first = by_helios()
    works = {HELIOS: by_helios, GIT: lambda: programs.seconds(by_git, root) * MS}
    samples = interleaved(sizes.merges, works)
    merged = repository.merge(*BRANCHES).commit(time_us=TIME_US + 2)
    bench.record("merged", merged.tree_id)
    wanted = corpus.contents | changes["ours"] | changes["theirs"]
    vst = repository.vst(merged)
    changed = [path for branch in BRANCHES for path in changes[branch]]
    both = set(changes["ours"]) & set(changes["theirs"])
    if any(vst[path] != wanted[path] for path in changed if path not in both):
        raise AssertionError("the merge lacks a change")
    notes = (
        f"the first merge after opening the repository, from L2: {first:.1f} ms",
        f"{len(set(changed))} files changed, {len(both)} of them by both",
    )
    return Measured.of("p50", samples, notes)


def _git(bench: Workbench, corpus: Corpus, changes: dict[str, dict[str, bytes]]) -> Path:
    """The same branches in a bare repository, packed."""
    programs, root = bench.programs, bench.fresh("merge-git")
    root.mkdir()
    programs.run(programs.git("init", "-q", "--bare"), root)
    for branch in ("base", *BRANCHES):
        files, parent = changes.get(branch, corpus.contents), "refs/heads/base^0"
        stream = write_stream(root.parent / branch, [files], "" if branch == "base" else parent)
        programs.run(programs.git("fast-import", "--quiet"), root, stream)
        programs.run(programs.git("branch", branch, "main"), root)
        programs.run(programs.git("update-ref", "-d", "refs/heads/main"), root)
    programs.run(programs.git("repack", "-adq"), root)
    return root


FIGURES = (
    Figure("merge of 100 files a side, of 100,000", "ms", merge, Limit(10), Limit(0.3, GIT)),
)
