"""A package with a licence that the policy does not allow is refused, in each ecosystem."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from supply_chain.project import MIT, Project

TODAY = datetime.now(UTC).date()


def problems(project: Project) -> list[str]:
    """What is refused; a run that is fine apart from new documents says nothing."""
    code = project.run()
    result = project.result()
    assert code == (result["status"] == "fail")
    assert (result["status"] == "fail") == bool(result["problems"] or result["stale"])
    found: list[str] = result["problems"]
    return found


def test_without_packages_all_is_well(project: Project) -> None:
    assert problems(project) == []
    assert project.run() == 0
    assert project.result()["status"] == "pass"


@pytest.mark.parametrize("table", ["dependencies", "build-dependencies", "dev-dependencies"])
@pytest.mark.parametrize("licence", ["AGPL-3.0", "AGPL-3.0-or-later", "Apache-2.0 AND AGPL-3.0"])
def test_an_agpl_crate_is_refused(project: Project, table: str, licence: str) -> None:
    project.crate("copyleft", licence, table)
    found = problems(project)
    assert len(found) == 1
    assert found[0].startswith("cargo/copyleft 1.0.0: ")
    assert "is denied" in found[0]
    assert not (project.root / "docs" / "LICENSES.md").exists()


@pytest.mark.parametrize("runtime", [True, False])
@pytest.mark.parametrize(
    "metadata",
    [
        "License-Expression: AGPL-3.0-only",
        "License: AGPL-3.0",
        "License-Expression: Apache-2.0 AND AGPL-3.0-or-later",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: GNU Affero General Public License v3"
        ),
    ],
)
def test_an_agpl_distribution_is_refused(project: Project, metadata: str, runtime: bool) -> None:
    project.distribution("copyleft", metadata, runtime)
    found = problems(project)
    assert len(found) == 1
    assert found[0].startswith("pypi/copyleft 1.0: ")
    assert "is denied" in found[0]


def test_what_is_installed_and_not_locked_is_refused_too(project: Project) -> None:
    project.distribution("stray", "License-Expression: AGPL-3.0-only", runtime=False)
    project.unlock("stray")
    assert [line.split(":")[0] for line in problems(project)] == ["pypi/stray 1.0"]


@pytest.mark.parametrize("licence", ["MIT OR AGPL-3.0", "MIT/AGPL-3.0", "AGPL-3.0 OR MIT"])
def test_a_choice_is_taken(project: Project, licence: str) -> None:
    place = project.crate("both", licence, "dev-dependencies")
    (place / "LICENSE").write_text(MIT)
    project.distribution("both", f"License-Expression: {licence.replace('/', ' OR ')}")
    assert problems(project) == []
    document = (project.root / "docs" / "LICENSES.md").read_text()
    assert "| MIT OR AGPL-3.0 | MIT |" in document or "| AGPL-3.0 OR MIT | MIT |" in document


@pytest.mark.parametrize("licence", [None, "Proprietary", "Zlib", "Apache-2.0+"])
def test_an_unknown_licence_is_refused(project: Project, licence: str | None) -> None:
    project.crate("odd", licence)
    assert [line.split(":")[0] for line in problems(project)] == ["cargo/odd 1.0.0"]


@pytest.mark.parametrize(
    "metadata", ["", "License: BSD", "Classifier: License :: OSI Approved :: BSD License"]
)
def test_an_ambiguous_licence_is_refused(project: Project, metadata: str) -> None:
    project.distribution("vague", metadata)
    found = problems(project)
    assert len(found) == 1
    assert "add a clarification" in found[0]


def test_a_distribution_that_is_locked_and_not_there_is_refused(project: Project) -> None:
    project.lock("absent", "1.0")
    project.distribution("older", "License-Expression: MIT")
    project.lock("older", "2.0")
    found = problems(project)
    assert ["not installed" in found[0], "1.0 is installed" in found[1]] == [True, True]
    assert len(found) == 2


def test_a_licence_for_outside_the_wheel_is_refused_within(project: Project) -> None:
    project.distribution("weak", "License-Expression: MPL-2.0")
    project.crate("tool", "MPL-2.0", "build-dependencies")
    assert problems(project) == []
    project.crate("linked", "MPL-2.0")
    assert problems(project) == [
        "cargo/linked 1.0.0: MPL-2.0 is not allowed in the wheel: replace it, or decide on it"
    ]


def test_what_an_extra_of_a_runtime_package_needs_reaches_users(project: Project) -> None:
    project.distribution(
        "tool",
        "License-Expression: MIT\nProvides-Extra: fast\nRequires-Dist: plain\n"
        'Requires-Dist: native; extra == "fast"\nRequires-Dist: other; extra == "slow"',
        runtime=False,
    )
    project.require("tool[fast]")
    for name in ("plain", "native", "other"):
        project.distribution(name, "License-Expression: MIT", runtime=False)
    assert problems(project) == []
    document = (project.root / "docs" / "LICENSES.md").read_text()
    beside, development = document.split("## Development")
    assert all(f"pypi/{name} " in beside for name in ("tool", "plain", "native"))
    assert "pypi/other " in development


def exception(licence: str, days: int) -> str:
    until = TODAY + timedelta(days=days)
    return (
        f'[[exception]]\npackage = "pypi/odd"\nlicence = "{licence}"\n'
        f'reason = "until it is replaced"\nuntil = {until}\n'
    )


def test_an_exception_holds_until_its_day(project: Project) -> None:
    project.distribution("odd", "License-Expression: Zlib")
    project.policy(exception("Zlib", 0))
    assert problems(project) == []
    project.policy(exception("Zlib", -1))
    assert problems(project) == [
        f"pypi/odd 1.0: Zlib: the exception ended on {TODAY - timedelta(days=1)}"
    ]


def test_an_exception_is_for_one_package(project: Project) -> None:
    project.distribution("odd", "License-Expression: Zlib")
    project.distribution("other", "License-Expression: Zlib")
    project.policy(exception("Zlib", 1))
    assert [line.split(":")[0] for line in problems(project)] == ["pypi/other 1.0"]


def test_no_exception_reaches_a_denied_licence(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.distribution("odd", "License-Expression: AGPL-3.0-only")
    project.policy(exception("AGPL-3.0-only", 1))
    assert project.run() == 3
    assert "no exception reaches it" in capsys.readouterr().err
    assert project.result()["status"] == "unknown"


def test_an_entry_for_nothing_is_refused(project: Project) -> None:
    project.policy(exception("Zlib", 1))
    assert problems(project) == [
        "compliance.toml: the exception for pypi/odd applies to nothing: delete it"
    ]


def test_a_clarification_ends_when_its_file_changes(project: Project) -> None:
    place = project.distribution("vague", "License: see the file")
    (place / "LICENSE").write_text(MIT)
    digest = hashlib.sha256(MIT.encode()).hexdigest()
    project.policy(
        '[[clarification]]\npackage = "pypi/vague"\nlicence = "MIT"\nfile = "LICENSE"\n'
        f'sha256 = "{digest}"\nreason = "the file is the MIT License"\n'
    )
    assert problems(project) == []
    (place / "LICENSE").write_text("All rights reserved")
    assert problems(project)[0].startswith("pypi/vague 1.0: no licence (LICENSE has changed")


NATIVE = """\
[[native]]
package = "pypi/compiled"
version = "{version}"
reviewed = 2026-01-01
components = [{{ name = "inner", licence = "{licence}", evidence = "its symbols" }}]
"""


def test_native_code_that_reaches_users_must_be_known(project: Project) -> None:
    place = project.distribution("compiled", "License-Expression: MIT")
    (place / "RECORD").write_text(f"{place.name}/METADATA,,\ncompiled/_inner.so,,\n")
    found = problems(project)
    assert len(found) == 1
    assert "compiled/_inner.so" in found[0]
    assert "has not been looked at in this version" in found[0]
    project.policy(NATIVE.format(version="0.9", licence="MIT"))
    assert len(problems(project)) == 1
    project.policy(NATIVE.format(version="1.0", licence="MIT OR AGPL-3.0-only"))
    assert problems(project) == []
    project.policy(NATIVE.format(version="1.0", licence="AGPL-3.0-only"))
    assert problems(project) == ["native/inner: AGPL-3.0-only is denied: replace the package"]


def test_documents_that_are_out_of_date_fail_once(project: Project) -> None:
    project.distribution("fine", "License-Expression: MIT")
    assert project.run() == 1
    assert project.result()["stale"] == [
        "docs/LICENSES.md",
        "NOTICE",
        "THIRD_PARTY_LICENSES.txt",
    ]
    assert project.run() == 0
    (project.root / "NOTICE").write_text("edited by hand")
    assert project.run() == 1
    assert project.result()["stale"] == ["NOTICE"]
    assert project.run() == 0
