"""Figures: sessions as agents have them, made up from a seed, done by Helios and by git.

A session is a list of steps over one tree: edits of 1 to 20 files with a commit, attempts on 2 to
50 branches of which one is kept, rollbacks to an earlier commit, and reads in between. What every
step must leave is known from a model in memory, a plain dict, and the last state of each repository
is compared with it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Literal

from helios import VST, Repository
from helios.bench.corpus import Writer, edit_files
from helios.bench.figure import GIT, HELIOS, Figure, Measured, Unmeasurable
from helios.bench.latencies import NS_PER_US, statistic_of
from helios.bench.workbench import Workbench

EDITED_MAX = 20
FORKS_MIN, FORKS_MAX = 2, 50
READS_MAX = 10
MAIN = "main"
KINDS: tuple[tuple[Literal["edit", "fork", "rollback", "read"], int], ...] = (
    ("edit", 55),
    ("fork", 5),
    ("rollback", 10),
    ("read", 30),
)

Files = dict[str, bytes]


@dataclass(frozen=True)
class Step:
    """One thing that an agent does."""

    kind: Literal["edit", "fork", "rollback", "read"]
    changes: Files = field(default_factory=dict)
    """Of `edit`: what is written. The commit follows."""
    attempts: tuple[Files, ...] = ()
    """Of `fork`: what each branch writes; the last one is kept as main."""
    back: int = 0
    """Of `rollback`: how many of the commits on main so far are left."""
    reads: tuple[str, ...] = ()


def session(seed: str, contents: Files, steps: int) -> Iterator[tuple[Step, Files]]:
    """The steps of a session, and what is on main after each."""
    chance = random.Random(seed)  # noqa: S311
    writer = Writer(seed)
    states = [dict(contents)]

    def edits(state: Files) -> Files:
        paths = chance.sample(sorted(state), min(len(state), chance.randint(1, EDITED_MAX)))
        changes = {path: writer.with_line(state[path]) for path in paths}
        if chance.random() < 0.2:
            changes[f"new/file{len(state):05d}.py"] = writer.any_text()
        return changes

    for _ in range(steps):
        names, weights = zip(*KINDS, strict=True)
        kind = chance.choices(names, weights)[0]
        now = states[-1]
        if kind == "rollback" and len(states) > 1:
            left = chance.randrange(1, len(states))
            del states[left:]
            step = Step("rollback", back=left)
        elif kind == "fork":
            count = chance.randint(FORKS_MIN, FORKS_MAX)
            attempts = tuple(edits(now) for _ in range(count))
            states.append(now | attempts[-1])
            step = Step("fork", attempts=attempts)
        elif kind == "read":
            step = Step("read", reads=tuple(chance.choices(sorted(now), k=READS_MAX)))
        else:
            changes = edits(now)
            states.append(now | changes)
            step = Step("edit", changes=changes)
        yield step, states[-1]


class WithHelios:
    """An agent on the Python API: no file is written."""

    def __init__(self, bench: Workbench, contents: Files) -> None:
        """Commits the tree."""
        self._repository = Repository.init(bench.fresh("agent-helios"), author="bench")
        bench.open.callback(self._repository.close)
        self._vst = self._repository.vst(MAIN)
        self._write(self._vst, contents)
        self._ids = [self._vst.commit("base").id]
        self._forks = 0

    def do(self, step: Step) -> list[bytes]:
        """Does one step; what was read."""
        if step.kind == "edit":
            self._write(self._vst, step.changes)
            self._ids.append(self._vst.commit("edit").id)
        elif step.kind == "rollback":
            del self._ids[step.back :]
            self._vst.restore(self._ids[-1])
            self._vst.commit("rollback", allow_empty=True)
        elif step.kind == "fork":
            kept = ""
            for changes in step.attempts:
                self._forks += 1
                fork = self._vst.fork(f"attempt-{self._forks}")
                self._write(fork, changes)
                kept = fork.commit("attempt").id
            self._vst.restore(kept)
            self._ids.append(self._vst.commit("kept", allow_empty=True).id)
        return [self._vst.read(path) for path in step.reads]

    def contents(self) -> Files:
        """All of main."""
        vst = self._repository.vst(MAIN)
        return {path: vst.read(path) for path in vst.walk()}

    @staticmethod
    def _write(vst: VST, changes: Files) -> None:
        for path, content in changes.items():
            vst.write(path, content)


class WithGit:
    """An agent on the git command line: files on disk, and a process for each command."""

    def __init__(self, bench: Workbench, contents: Files) -> None:
        """Commits the tree. Raises `Unmeasurable` if git is not installed."""
        self._bench = bench
        self._root = bench.fresh("agent-git")
        edit_files(self._root, contents)
        self._script("init -q", "add -A", "commit -q -m base")
        self._ids = [self._head()]
        self._forks = 0

    def do(self, step: Step) -> list[bytes]:
        """Does one step; what was read."""
        if step.kind == "edit":
            edit_files(self._root, step.changes)
            self._script("add -A", "commit -q --allow-empty -m edit")
            self._ids.append(self._head())
        elif step.kind == "rollback":
            del self._ids[step.back :]
            self._script(f"reset -q --hard {self._ids[-1]}")
        elif step.kind == "fork":
            for changes in step.attempts:
                self._forks += 1
                self._script(f"switch -q -c attempt-{self._forks} {MAIN}")
                edit_files(self._root, changes)
                self._script("add -A", "commit -q --allow-empty -m attempt")
            self._script(f"switch -q {MAIN}", f"merge -q --ff-only attempt-{self._forks}")
            self._ids.append(self._head())
        return [(self._root / path).read_bytes() for path in step.reads]

    def contents(self) -> Files:
        """All of main, from disk, where nothing else may be."""
        if self._bench.programs.run(self._bench.programs.git("status", "--short"), self._root):
            raise AssertionError("git's worktree is not what was committed")
        return {
            str(path.relative_to(self._root)): path.read_bytes()
            for path in self._root.rglob("*")
            if path.is_file() and ".git" not in path.parts
        }

    def _script(self, *commands: str) -> None:
        self._bench.programs.run(self._bench.programs.git_script(*commands), self._root)

    def _head(self) -> str:
        found = self._bench.programs.run(self._bench.programs.git("rev-parse", "HEAD"), self._root)
        return found.decode().strip()


def sessions(bench: Workbench) -> Measured:
    """The time of a step, of which each is done by one and then by the other."""
    sizes = bench.sizes
    samples: dict[str, list[list[float]]] = {HELIOS: []}
    by_kind: dict[str, dict[str, list[float]]] = {}
    missing = ""
    for number in range(sizes.sessions):
        agents: dict[str, WithHelios | WithGit] = {HELIOS: WithHelios(bench, bench.corpus.contents)}
        try:
            agents[GIT] = WithGit(bench, bench.corpus.contents)
        except Unmeasurable as reason:
            missing = f"git is missing: {reason}"
        for name in agents:
            samples.setdefault(name, []).append([])
        state: Files = {}
        seed = f"{bench.seed} session {number}"
        for step, after in session(seed, bench.corpus.contents, sizes.session_steps):
            state = after
            found = {}
            for name, agent in agents.items():
                start = perf_counter_ns()
                found[name] = agent.do(step)
                elapsed = (perf_counter_ns() - start) / NS_PER_US
                samples[name][-1].append(elapsed)
                by_kind.setdefault(step.kind, {}).setdefault(name, []).append(elapsed)
            for name, read in found.items():
                if read != [state[path] for path in step.reads]:
                    raise AssertionError(f"{name} reads something else than was written")
        for name, agent in agents.items():
            if agent.contents() != state:
                raise AssertionError(f"{name}: main is not what the session has made it")
    notes = [
        f"{kind}: " + ", ".join(f"{name} {statistic_of([v], 'p50'):.0f}" for name, v in of.items())
        for kind, of in sorted(by_kind.items())
    ]
    whole = {name: sum(map(sum, series)) / 1e6 for name, series in samples.items()}
    notes.append("in all: " + ", ".join(f"{name} {s:.2f} s" for name, s in whole.items()))
    notes.append("the last state of each session is compared with a model of it, byte by byte")
    return Measured.of("mean", samples, (*notes, missing) if missing else tuple(notes))


FIGURES = (Figure("step of an agent's session", "us", sessions),)
