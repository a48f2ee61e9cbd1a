"""Which ref of git is which ref of Helios: `refs/heads/X` is the branch X, `refs/tags/X` the tag X,
where Helios takes the name. All other refs of git are in the view alone."""

from __future__ import annotations

PREFIXES = {"refs/heads/": "heads/", "refs/tags/": "tags/"}

_BAD = set(" ~^:?*[\\\x7f")
NAME_BYTES_MAX = 255
ID_DIGITS = 64


def helios_ref(name: str) -> str | None:
    """The Helios ref (`heads/main`) for a ref of git (`refs/heads/main`); None if there is none.

    The rules are those of `crates/helios-core/src/engine/refs.rs`.
    """
    for theirs, ours in PREFIXES.items():
        if name.startswith(theirs) and is_allowed(name.removeprefix(theirs)):
            return ours + name.removeprefix(theirs)
    return None


def git_ref(name: str) -> str | None:
    """The ref of git for a Helios ref; None for what is no branch and no tag."""
    for theirs, ours in PREFIXES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return None


def is_allowed(name: str) -> bool:
    """Whether a branch or tag of Helios may have this name."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    return (
        0 < len(encoded) <= NAME_BYTES_MAX
        and not any(sign in _BAD or sign < "!" for sign in name)
        and not name.startswith("-")
        and name != "@"
        and "@{" not in name
        and ".." not in name
        and not name.endswith(".")
        and not any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        and not (len(name) == ID_DIGITS and not name.lower().strip("0123456789abcdef"))
    )
