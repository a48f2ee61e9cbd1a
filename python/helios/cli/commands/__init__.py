"""The commands, one module each, and the line that the overview shows of each.

A command's module has `DESCRIPTION` and `EXAMPLES` for its `--help`, `add_arguments(parser)`, and
`run(context)`, which gives the exit code.
"""

COMMANDS = {
    "init": "make a repository in a directory",
    "commit": "snapshot the worktree (makes the repository on first use)",
    "status": "show what has changed since the last snapshot",
    "log": "list snapshots, newest first",
    "branch": "list, make or delete branches",
    "switch": "put the worktree on another branch",
    "merge": "bring another branch's changes into this one",
    "restore": "bring the worktree, or paths in it, back to a snapshot",
    "worktree": "give each agent a directory and a branch of its own",
    "watch": "snapshot the worktree whenever it changes",
    "diff": "show what differs between snapshots, or from the worktree",
    "materialize": "write a snapshot to a directory of its own",
    "stats": "show latencies, sizes, cache and savings",
    "maintenance": "move the journal into the L2 store",
    "completion": "print a completion script for a shell",
}
