"""The exact value of plain arithmetic, which Python itself never evaluates."""

from __future__ import annotations

import re
from fractions import Fraction

OPERAND = r"(?:\d+(?:,\d+)*(?:\.\d+)?|\.\d+)%?"
_TOKEN = re.compile(rf"\s*({OPERAND}|[-+*/^()=])")
# "7 (3 + 4)" is a number with a remark as often as a product.
_SPACED_BRACKET = re.compile(r"[\d)%]\s+\(")
MAX_TERMS = 200
MAX_POWER_BITS = 4096


def arithmetic_value(side: str) -> Fraction | None:
    """The exact value of a side, None when it is no complete arithmetic expression."""
    tokens, position, side = [], 0, side.strip().rstrip(",")
    if _SPACED_BRACKET.search(side):
        return None
    while position < len(side):
        found = _TOKEN.match(side, position)
        if not found:
            return None
        tokens.append(found[1])
        position = found.end()
    if not tokens or len(tokens) > MAX_TERMS:
        return None
    try:
        value, rest = _sum(tokens)
    except (ValueError, ZeroDivisionError, IndexError, RecursionError):
        return None
    return value if not rest else None


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _product(tokens)
    while tokens and tokens[0] in "+-":
        operator = tokens[0]
        term, tokens = _product(tokens[1:])
        value = value + term if operator == "+" else value - term
    return value, tokens


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _power(tokens)
    divided = False
    while tokens and tokens[0] in "*/(":
        operator = tokens[0]
        if operator == "(" and divided:
            raise ValueError("8/2(4) reads two ways")
        divided |= operator == "/"
        factor, tokens = _power(tokens if operator == "(" else tokens[1:])
        value = value / factor if operator == "/" else value * factor
    return value, tokens


def _power(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] in "+-":
        value, rest = _power(tokens[1:])
        return (-value if tokens[0] == "-" else value), rest
    base, rest = _atom(tokens)
    if not rest or rest[0] != "^":
        return base, rest
    exponent, rest = _power(rest[1:])
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent)
    if exponent.denominator != 1 or bits > MAX_POWER_BITS:
        raise ValueError("no exact power of this size")
    return base ** int(exponent), rest


def _atom(tokens: list[str]) -> tuple[Fraction, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        value, rest = _sum(rest)
        if rest[0] != ")":
            raise ValueError("unbalanced")
        return value, rest[1:]
    if len(head) > 1 and head[0] == "0" and head[1].isdigit():
        raise ValueError("a time or a code")
    percent = head.endswith("%")
    return Fraction(head.rstrip("%").replace(",", "")) / (100 if percent else 1), rest
