"""The policy file is checked before it is believed, and expressions are evaluated."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from compliance.errors import Unusable
from compliance.expression import Judgement, Verdict, evaluate, identifier
from compliance.policy import Policy

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 6, 1)
ALLOWED = ["Apache-2.0", "MIT"]


def judge(licence: str) -> Judgement:
    if licence in ALLOWED:
        return Judgement(Verdict.ALLOWED, (licence,), ALLOWED.index(licence))
    return Judgement(Verdict.DENIED if "GPL" in licence else Verdict.UNKNOWN, (licence,))


@pytest.mark.parametrize(
    ("text", "verdict", "taken"),
    [
        ("MIT", Verdict.ALLOWED, ["MIT"]),
        ("mit", Verdict.ALLOWED, ["MIT"]),
        ("MIT OR Apache-2.0", Verdict.ALLOWED, ["Apache-2.0"]),
        ("MIT AND Apache-2.0", Verdict.ALLOWED, ["MIT", "Apache-2.0"]),
        ("MIT OR AGPL-3.0", Verdict.ALLOWED, ["MIT"]),
        ("MIT AND AGPL-3.0", Verdict.DENIED, ["MIT", "AGPL-3.0-only"]),
        ("MIT AND (AGPL-3.0 OR Apache-2.0)", Verdict.ALLOWED, ["MIT", "Apache-2.0"]),
        ("MIT OR AGPL-3.0 AND Apache-2.0", Verdict.ALLOWED, ["MIT"]),
        ("(MIT OR AGPL-3.0) AND Zlib", Verdict.UNKNOWN, ["MIT", "Zlib"]),
        ("GPL-2.0+ OR Zlib", Verdict.UNKNOWN, ["Zlib"]),
        ("Apache-2.0 WITH LLVM-exception", Verdict.ALLOWED, ["Apache-2.0 WITH LLVM-exception"]),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            Verdict.DENIED,
            ["GPL-2.0-only WITH Classpath-exception-2.0"],
        ),
        ("Made-Up-1.0", Verdict.UNKNOWN, ["Made-Up-1.0"]),
        ("MIT OR Made-Up-1.0", Verdict.UNKNOWN, ["MIT OR Made-Up-1.0"]),
        ("MIT AND", Verdict.UNKNOWN, ["MIT AND"]),
        ("", Verdict.UNKNOWN, []),
    ],
)
def test_an_expression_is_evaluated(text: str, verdict: Verdict, taken: list[str]) -> None:
    found = evaluate(text, judge)
    assert (found.verdict, list(found.taken)) == (verdict, taken)


def test_only_a_single_licence_has_an_identifier() -> None:
    assert identifier("AGPL-3.0") == "AGPL-3.0-only"
    assert identifier("Apache-2.0 WITH LLVM-exception") == "Apache-2.0 WITH LLVM-exception"
    assert identifier("MIT OR Apache-2.0") is None
    assert identifier("Made-Up-1.0") is None


MINIMAL = 'allowed = ["MIT"]\ndenied = ["AGPL-3.0-only"]\n'
EXCEPTION = '[[exception]]\npackage = "cargo/a"\nlicence = "Zlib"\n'
NATIVE = '[[native]]\npackage = "cargo/a"\nreviewed = 2026-01-01\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("allowed = [", "Invalid value"),
        ('allowed = ["MIT"]', "'denied' is missing"),
        ('allowed = ["Expat"]\ndenied = []', "'Expat' is no SPDX licence"),
        ('allowed = ["AGPL-3.0"]\ndenied = []', "did you mean 'AGPL-3.0-only'"),
        ('allowed = ["MIT OR Zlib"]\ndenied = []', "no SPDX licence"),
        ('allowed = ["MIT"]\ndenied = ["MIT"]', "both allowed and denied: MIT"),
        (MINIMAL + "permitted = []", "unknown key: permitted"),
        (MINIMAL + EXCEPTION + 'reason = "x"', "until"),
        (MINIMAL + EXCEPTION + 'reason = "x"\nuntil = "soon"', "'soon' is no date"),
        (MINIMAL + EXCEPTION + 'reason = " "\nuntil = 2026-07-01', "cargo/a: give the reason"),
        (MINIMAL + EXCEPTION + 'reason = "x"\nuntil = 2026-07-01\nby = "me"', "by"),
        (
            MINIMAL + EXCEPTION.replace("Zlib", "AGPL-3.0-only") + 'reason = "x"\nuntil = '
            "2026-07-01",
            "which is denied",
        ),
        (
            MINIMAL + NATIVE + 'components = [{ name = "b", licence = "?", evidence = "x" }]',
            "'?' is no SPDX expression",
        ),
        (
            MINIMAL + NATIVE + 'components = [{ name = "b", licence = "MIT", evidence = "" }]',
            "b in cargo/a: give the reason",
        ),
        (MINIMAL + '[[advisory]]\nid = "X-1"\nreason = ""\nuntil = 2026-07-01', "X-1: give"),
    ],
)
def test_a_wrong_policy_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "compliance.toml"
    path.write_text(text)
    with pytest.raises(Unusable) as refused:
        Policy.read(path, TODAY)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="the policy is missing"):
        Policy.read(tmp_path / "compliance.toml", TODAY)


def test_the_policy_of_this_project_denies_agpl() -> None:
    policy = Policy.read(ROOT / "compliance.toml", TODAY)
    assert {"AGPL-3.0-only", "AGPL-3.0-or-later", "SSPL-1.0"} <= {*policy.denied}
    assert not any("GPL" in licence for licence in [*policy.allowed, *policy.beside])
