"""The commands, one module each, and the line that the overview shows of each.

A command's module has `DESCRIPTION` and `EXAMPLES` for its `--help`, `add_arguments(parser)`, and
`run(context)`, which gives the exit code. Of a name of two words, as `git fetch`, the first is a
family of commands, and the module is `git_fetch`.
"""

COMMANDS = {
    "init": "make a repository in a directory",
    "commit": "snapshot the worktree (makes the repository on first use)",
    "status": "show what has changed since the last snapshot",
    "log": "list snapshots, newest first",
    "show": "show a snapshot and what it changed",
    "branch": "list, make, rename or delete branches",
    "tag": "list, make or delete tags",
    "switch": "put the worktree on another branch",
    "merge": "bring another branch's changes into this one",
    "restore": "bring the worktree, or paths in it, back to a snapshot",
    "undo": "undo the last operation, or another one",
    "redo": "take back the last undo",
    "op": "show the operation log, or go back to an operation",
    "worktree": "give each agent a directory and a branch of its own",
    "watch": "snapshot the worktree whenever it changes",
    "diff": "show what differs between snapshots, or from the worktree",
    "ls": "list the files of a snapshot",
    "cat": "write out a file of a snapshot",
    "materialize": "write a snapshot to a directory of its own",
    "stats": "show latencies, sizes, cache and savings",
    "verify": "check all that is stored, and repair it",
    "gc": "drop history that the policy does not keep, and free its space",
    "maintenance": "move the journal into the L2 store",
    "git import": "make a repository of a git repository",
    "git export": "make a git repository of a repository",
    "git fetch": "bring what is new from a git repository elsewhere",
    "git push": "send branches and tags to a git repository elsewhere",
    "git remote": "list, add or remove git repositories elsewhere",
    "git status": "show what differs between branches and their git counterparts",
    "git commit": "make a snapshot a commit of the git checkout beside it",
    "git setup": "check that git finds Helios, and set what it needs",
    "benchmark": "measure speed and size beside git and other peers",
    "completion": "print a completion script for a shell",
}

FAMILIES = frozenset(name.partition(" ")[0] for name in COMMANDS if " " in name)

ALIASES = {"fsck": "verify"}
"""Other names of commands."""
