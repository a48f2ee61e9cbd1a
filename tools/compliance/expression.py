"""SPDX licence expressions: parsed by `license-expression`, evaluated here.

A licence is judged by itself. OR takes the best of its operands, AND the worst. `X WITH E` stands
as it is if it is judged by name, else it is X: an SPDX exception only adds permissions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

from license_expression import (
    ExpressionError,
    ExpressionParseError,
    LicenseWithExceptionSymbol,
    get_spdx_licensing,
)


class Verdict(IntEnum):
    """What the policy says of a licence; the larger, the better."""

    DENIED = 0
    UNKNOWN = 1
    ALLOWED = 2


@dataclass(frozen=True)
class Judgement:
    """A verdict on an expression."""

    verdict: Verdict
    taken: tuple[str, ...]
    """The licences that it rests on: those taken where there is a choice."""
    preference: int = 0
    """Among allowed licences the smaller is taken."""


Judge = Callable[[str], Judgement]


@cache
def _licensing() -> Any:
    return get_spdx_licensing()


def parse(text: str) -> Any | None:
    """The tree of an expression; None if it is not one, or names a licence that SPDX has not."""
    if not text.strip():
        return None
    try:
        return _licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, ExpressionParseError):
        return None


def identifier(text: str) -> str | None:
    """The canonical SPDX identifier of a single licence, `X WITH E` included; else None."""
    tree = parse(text)
    return None if tree is None or tree.get_literals() != [tree] else str(tree)


def evaluate(text: str, judge: Judge) -> Judgement:
    """What a policy makes of an expression."""
    tree = parse(text)
    if tree is None:
        return Judgement(Verdict.UNKNOWN, (text,) if text else ())
    return _evaluate(tree, judge)


def _evaluate(tree: Any, judge: Judge) -> Judgement:
    licensing = _licensing()
    if isinstance(tree, (licensing.OR, licensing.AND)):
        judged = [_evaluate(operand, judge) for operand in tree.args]
        if isinstance(tree, licensing.OR):
            return max(judged, key=lambda one: (one.verdict, -one.preference))
        taken = dict.fromkeys(licence for one in judged for licence in one.taken)
        return Judgement(
            min(one.verdict for one in judged), tuple(taken), max(one.preference for one in judged)
        )
    whole = judge(str(tree))
    if whole.verdict is Verdict.UNKNOWN and isinstance(tree, LicenseWithExceptionSymbol):
        base = judge(tree.license_symbol.key)
        return Judgement(base.verdict, (str(tree),), base.preference)
    return whole
