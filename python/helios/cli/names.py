"""The branches and tags that a snapshot has."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository


class Names:
    """Branches and tags, by the ids of their snapshots."""

    def __init__(self, branches: dict[str, list[str]], tags: dict[str, list[str]]) -> None:
        self._branches = branches
        self._tags = tags

    def as_data(self, id: str) -> dict[str, object]:
        """The JSON form."""
        return {"branches": self._branches.get(id, []), "tags": self._tags.get(id, [])}

    def shown(self, id: str) -> list[str]:
        """For a person, tags marked as such."""
        tags = [f"tag {name}" for name in self._tags.get(id, ())]
        return [*self._branches.get(id, ()), *tags]


def names_of(repository: Repository) -> Names:
    """All of them."""
    return Names(_by_id(repository.branches()), _by_id(repository.tags()))


def _by_id(names: dict[str, str]) -> dict[str, list[str]]:
    by_id: dict[str, list[str]] = {}
    for name, found in names.items():
        by_id.setdefault(found, []).append(name)
    return by_id
