"""A process that edits a worktree at random: `editor.py DIRECTORY SEED`.

For each number on a line of its input it makes as many edits, and answers with a line.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from contextlib import suppress

NAMES = ("a", "b", "a.", "b-", "out", "x.log", "\udcff")
RULES = ("", "out\n", "*.log\n", "a\n!a/b\n")


def edit(chance: random.Random) -> None:
    def path() -> str:
        return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))

    at = path()
    match chance.choice("wwwwwaremmlckii"):
        case "w":
            with open(at, "w") as file:
                file.write(str(chance.randrange(100)))
        case "a":
            with open(at, "a") as file:
                file.write("more")
        case "r" if os.path.isdir(at) and not os.path.islink(at):
            shutil.rmtree(at)
        case "r":
            os.unlink(at)
        case "e":
            os.makedirs(at)
        case "m":
            os.rename(at, path())
        case "l":
            os.symlink("a", at)
        case "c":
            os.chmod(at, chance.choice((0o644, 0o755)))
        case "k":
            # The same size and the same time, as a tool that restores files has it.
            before = os.stat(at)
            with open(at, "r+") as file:
                file.write("9")
            os.utime(at, ns=(before.st_atime_ns, before.st_mtime_ns))
        case _:
            rule(chance, os.path.dirname(at))


def rule(chance: random.Random, directory: str) -> None:
    os.makedirs(".git/info", exist_ok=True)
    place = chance.choice((os.path.join(directory, ".gitignore"), ".git/info/exclude"))
    with open(place, "w") as file:
        file.write(chance.choice(RULES))


def main(directory: str, seed: str) -> None:
    os.chdir(directory)
    chance = random.Random(seed)
    for line in sys.stdin:
        for _ in range(int(line)):
            # What cannot be done is left.
            with suppress(OSError):
                edit(chance)
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
