"""A process that edits a worktree at random: `editor.py DIRECTORY SEED`.

For each number on a line of its input it makes as many edits, and answers with a line.
"""

from __future__ import annotations

import os
import random
import shutil
import sys

NAMES = ("a", "b", "a.", "b-", "out", "x.log", "\udcff")
RULES = ("", "out\n", "*.log\n", "a\n!a/b\n")


def edit(chance: random.Random) -> None:
    def path() -> str:
        return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))

    at = path()
    match chance.choice("wwwwwaremmlckiI"):
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
        case "i":
            with open(os.path.join(os.path.dirname(at), ".gitignore"), "w") as file:
                file.write(chance.choice(RULES))
        case "I":
            os.makedirs(".git/info", exist_ok=True)
            with open(".git/info/exclude", "w") as file:
                file.write(chance.choice(RULES))


def main(directory: str, seed: str) -> None:
    os.chdir(directory)
    chance = random.Random(seed)
    for line in sys.stdin:
        for _ in range(int(line)):
            try:
                edit(chance)
            except OSError:
                # What cannot be done is left.
                pass
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
