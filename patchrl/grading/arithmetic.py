"""The exact value of plain arithmetic, which Python itself never evaluates."""

from __future__ import annotations

import math
import re
from fractions import Fraction

NUMBER_WITHOUT_PERCENT = r"(?:\d{1,3}(?:\.\d{3})+,\d+|\d+(?:,\d+)*(?:\.\d+)?|\.\d+)"
OPERAND = rf"{NUMBER_WITHOUT_PERCENT}%?"
_TOKEN = re.compile(rf"\s*({OPERAND}|[-+*/^()=!])")
# "7 (3 + 4)" is a number with a remark as often as a product.
_SPACED_BRACKET = re.compile(r"[\d)%]\s+\(")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}")  # 1,234,567 or the Indian 12,34,567
_DECIMAL_COMMA = re.compile(r"\d,\d{1,2}(?!\d|,\d)|(?<!\d)0,\d|\.\d{3},\d")
MAX_TERMS = 200
MAX_POWER_BITS = 4096
MAX_FACTORIAL = 500  # 500! has 3,767 bits


def arithmetic_value(expression: str) -> Fraction | None:
    """The exact value of an expression of numbers, + - * / ^ ! ( ) and %; None when it is not a complete one.

    A comma before one or two digits, or behind a single zero, is a decimal comma.
    """
    tokens, position, expression = [], 0, expression.strip().rstrip(",")
    if _SPACED_BRACKET.search(expression):
        return None
    expression = with_decimal_points(expression)
    while position < len(expression):
        token = _TOKEN.match(expression, position)
        if not token:
            return None
        tokens.append(token[1])
        position = token.end()
    if not tokens or len(tokens) > MAX_TERMS:
        return None
    try:
        value, rest = _sum(tokens)
    except (ValueError, ZeroDivisionError, IndexError, RecursionError):
        return None
    return value if not rest else None


def with_decimal_points(text: str) -> str:
    """A text with `1.234,5` as `1234.5` where one of its numbers has a decimal comma; else as it is."""
    if "," not in text or not _DECIMAL_COMMA.search(text):
        return text
    text = re.sub(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.])", lambda number: number[0].replace(".", ""), text)
    return re.sub(r"(?<![\d,])(\d+),(\d+)(?!,?\d)", r"\1.\2", text)


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
    base, rest = _factorial(tokens)
    if not rest or rest[0] != "^":
        return base, rest
    exponent, rest = _power(rest[1:])
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent)
    if exponent.denominator != 1 or bits > MAX_POWER_BITS:
        raise ValueError("no exact power of this size")
    return base ** int(exponent), rest


def _factorial(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _atom(tokens)
    if not rest or rest[0] != "!":
        return value, rest
    if value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL or rest[1:2] == ["!"]:
        raise ValueError("no factorial of this number")
    return Fraction(math.factorial(int(value))), rest[1:]


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
    number = head.rstrip("%")
    if "," in number and re.search(r",\d{1,2}(?!\d)", number) and not _THOUSANDS.fullmatch(number.partition(".")[0]):
        raise ValueError("a list")
    value = Fraction(int(number)) if number.isdigit() else Fraction(number.replace(",", ""))
    return (value / 100 if percent else value), rest
