"""The graph of this project: what is in it, and for what."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from compliance import notices
from compliance.bill import bill
from compliance.distributions import PINNED
from compliance.document import document
from compliance.expression import Verdict
from compliance.graph import Graph, graph
from compliance.package import Scope
from compliance.policy import Policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found() -> Graph:
    """The graph of this checkout."""
    return graph(ROOT, Policy.read(ROOT / "compliance.toml", datetime.now(UTC).date()))


def scopes(found: Graph) -> dict[str, Scope]:
    return {one.package.slug: one.package.scope for one in found.findings}


def locked() -> Iterator[str]:
    for name in ("Cargo.lock", "fuzz/Cargo.lock"):
        for one in tomllib.loads((ROOT / name).read_text())["package"]:
            yield f"cargo/{one['name']}@{one['version']}"
    for name, version in PINNED.findall((ROOT / "requirements-dev.lock").read_text()):
        yield f"pypi/{name}@{version}"


def test_everything_that_is_locked_is_judged(found: Graph) -> None:
    judged = {one.package.reference for one in found.findings if one.package.within is None}
    assert judged == set(locked())
    assert len(judged) > 100
    assert {one.verdict for one in found.findings} == {Verdict.ALLOWED}
    assert found.problems == []


@pytest.mark.parametrize(
    ("slug", "scope"),
    [
        ("cargo/blake3", Scope.WHEEL),
        ("cargo/zstd-sys", Scope.WHEEL),
        ("cargo/windows-sys", Scope.WHEEL),
        ("native/zstd", Scope.WHEEL),
        ("native/RocksDB", Scope.BESIDE),
        ("pypi/rocksdict", Scope.BESIDE),
        ("cargo/cc", Scope.BUILD),
        ("cargo/syn", Scope.BUILD),
        ("pypi/maturin", Scope.BUILD),
        ("cargo/proptest", Scope.DEVELOPMENT),
        ("cargo/libfuzzer-sys", Scope.DEVELOPMENT),
        ("pypi/pytest", Scope.DEVELOPMENT),
    ],
)
def test_the_scope_of_a_package_is_known(found: Graph, slug: str, scope: Scope) -> None:
    if slug == "native/zstd":
        # Once in the wheel, and once in rocksdict.
        assert {one.package.scope for one in found.findings if one.package.slug == slug} == {
            Scope.WHEEL,
            Scope.BESIDE,
        }
    else:
        assert scopes(found)[slug] is scope


def bill_of(found: Graph) -> Any:
    return json.loads(bill(found, "helios-engine", "Apache-2.0"))


def test_the_bill_of_materials_is_valid_and_whole(found: Graph) -> None:
    text = bill(found, "helios-engine", "Apache-2.0")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    data = bill_of(found)
    assert {one["bom-ref"] for one in data["components"]} == set(locked())
    by_reference = {one["bom-ref"]: one for one in data["components"]}
    sys_crate = next(one for key, one in by_reference.items() if key.startswith("cargo/zstd-sys@"))
    assert sys_crate["licenses"][0]["expression"] == "BSD-3-Clause AND BSD-2-Clause"
    assert [one["name"] for one in sys_crate["components"]] == ["zstd"]
    assert sys_crate["purl"].startswith("pkg:cargo/zstd-sys@")
    assert len(sys_crate["hashes"][0]["content"]) == 64
    depends = {one["ref"]: one.get("dependsOn", []) for one in data["dependencies"]}
    root = data["metadata"]["component"]["bom-ref"]
    assert any(one.startswith("cargo/helios-py@") for one in depends[root])
    assert any(one.startswith("pypi/rocksdict@") for one in depends[root])
    helios_py = next(key for key in depends if key.startswith("cargo/helios-py@"))
    assert any(one.startswith("cargo/pyo3@") for one in depends[helios_py])


def test_the_bill_of_materials_is_the_same_each_time(found: Graph) -> None:
    text = bill(found, "helios-engine", "Apache-2.0")
    assert text == bill(found, "helios-engine", "Apache-2.0")
    assert str(ROOT) not in text
    fewer = Graph(found.findings[1:], [], [])
    assert bill_of(found)["serialNumber"] != bill_of(fewer)["serialNumber"]


def test_a_broken_bill_is_not_valid(found: Graph) -> None:
    data = bill_of(found)
    data["components"][0]["type"] = "nonsense"
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(data)) is not None


def test_the_committed_documents_are_up_to_date(found: Graph) -> None:
    texts, missing = notices.texts(found)
    assert missing == []
    for name, text in (
        ("docs/LICENSES.md", document(found)),
        ("NOTICE", notices.notice(found)),
        (notices.TEXTS_NAME, texts),
    ):
        assert (ROOT / name).read_text() == text, f"{name}: run make licenses"


def test_the_texts_are_those_of_what_is_taken(found: Graph) -> None:
    text, _ = notices.texts(found)
    assert "Apache License" in text
    assert "Copyright (c) Meta Platforms" in text
    assert "Daan Leijen" in text
    assert "GNU GENERAL PUBLIC LICENSE" not in text
    for finding in found.of(Scope.WHEEL):
        if not finding.package.local and not finding.package.within:
            assert f"{finding.package.name} {finding.package.version}" in text


def test_a_package_that_ships_no_text_is_a_problem(found: Graph) -> None:
    wheel = [
        one for one in found.of(Scope.WHEEL) if one.package.name in {"fastcdc", "r-efi", "blake3"}
    ]
    assert len(wheel) == 3
    assert notices.texts(Graph(wheel, [], []))[1] == []
    # Of r-efi's choice Apache-2.0 is taken, which it ships no text of; another's is the same.
    alone = [one for one in wheel if one.package.name == "r-efi"]
    assert len(notices.texts(Graph(alone, [], []))[1]) == 1
