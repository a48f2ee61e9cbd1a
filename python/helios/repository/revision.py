"""Names of snapshots: ids, branches, tags, prefixes of ids, `@`, and `~N` behind any of them.

A full id goes before a branch, that before a tag, and that before the prefix of an id. Helios makes
no branch and tag of one name. Where there are both all the same, because an undo brought one of
them back, `heads/NAME` and `tags/NAME` tell them apart.
"""

from __future__ import annotations

from helios.errors import AmbiguousRevision, ObjectNotFound, UnknownRevision
from helios.repository.operation import BRANCHES, TAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import Engine, Snapshot
    from helios.store import Store

PREFIX_DIGITS_MIN = 4
ID_DIGITS = 64
SHOWN_MATCHES_MAX = 5
SNAPSHOT_KIND = 3
STEP_DIGITS_MAX = 18


def resolve(
    revision: str | Snapshot,
    engine: Engine,
    store: Store | None,
    head: str | None,
) -> str:
    """The full id of the snapshot that `revision` names; `head` is the branch that `@` means.

    Raises `UnknownRevision` or `AmbiguousRevision`.
    """
    text = str(revision)
    name, *steps = text.split("~")
    found = _base(name, engine, store, head)
    for step in steps:
        found = _ancestor(found, step, text, engine)
    return found


def _base(name: str, engine: Engine, store: Store | None, head: str | None) -> str:
    if name == "@":
        if head is None:
            raise UnknownRevision("'@' names the worktree's branch, and there is no worktree here")
        found = engine.branch(head)
        if found is None:
            raise UnknownRevision(f"branch {head!r} has no snapshot yet; make one with `commit`")
        return found
    digits = name.lower()
    is_hexadecimal = bool(digits) and not digits.strip("0123456789abcdef")
    if is_hexadecimal and len(digits) == ID_DIGITS:
        return _known(digits, engine)
    found = _named(name, engine)
    if found is not None:
        return found
    if is_hexadecimal and PREFIX_DIGITS_MIN <= len(digits) < ID_DIGITS:
        return _only(digits, engine, store)
    hint = (
        f"an id prefix needs at least {PREFIX_DIGITS_MIN} digits"
        if is_hexadecimal
        else "`log`, `branch` and `tag` list what there is"
    )
    raise UnknownRevision(f"no snapshot, branch or tag is called {name!r}; {hint}")


def _known(digits: str, engine: Engine) -> str:
    """A full id, if there is such a snapshot."""
    try:
        return engine.snapshot(digits).id
    except ObjectNotFound:
        raise UnknownRevision(f"there is no snapshot {digits}; `log` lists them") from None


def _named(name: str, engine: Engine) -> str | None:
    """A branch; else a tag; else `heads/` and a branch, or `tags/` and a tag."""
    try:
        found = engine.branch(name) or engine.tag(name)
        if found is None and name.startswith(BRANCHES):
            found = engine.branch(name.removeprefix(BRANCHES))
        if found is None and name.startswith(TAGS):
            found = engine.tag(name.removeprefix(TAGS))
    except ValueError:
        # Not even a possible name of a branch.
        return None
    return found


def _only(prefix: str, engine: Engine, store: Store | None) -> str:
    matches = set(engine.snapshots_with_prefix(prefix))
    if store is not None:
        # Another process may have moved some of them from the journal since L2 was looked at.
        store.refresh()
        matches.update(found.hex() for found in store.ids_with_prefix(prefix, SNAPSHOT_KIND))
    if not matches:
        raise UnknownRevision(f"no snapshot's id begins with {prefix!r}; `log` lists them")
    if len(matches) > 1:
        shown = ", ".join(match[: len(prefix) + 8] for match in sorted(matches)[:SHOWN_MATCHES_MAX])
        raise AmbiguousRevision(
            f"{len(matches)} snapshots' ids begin with {prefix!r} ({shown}); give more digits"
        )
    return matches.pop()


def _ancestor(found: str, step: str, text: str, engine: Engine) -> str:
    if step and not (step.isascii() and step.isdigit()):
        raise UnknownRevision(f"{text!r}: after `~` comes a number, not {step!r}")
    # More steps than any history has; and Python refuses to read much longer numbers.
    if len(step) > STEP_DIGITS_MAX:
        raise UnknownRevision(f"{text[:40]!r}...: history is not that long")
    for _ in range(int(step or "1")):
        parents = engine.snapshot(found).parents
        if not parents:
            raise UnknownRevision(f"{text!r}: {found[:12]} has no parent, history begins there")
        following = engine.dropped(parents[0])
        if following == parents[0]:
            raise UnknownRevision(
                f"{text!r}: gc has dropped the parent of {found[:12]}, history begins there"
            )
        found = following or parents[0]
    return found
