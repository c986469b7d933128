"""What an answer is, per task type: where it stands in a text, and what number it is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

NUMBER = r"[-+−]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?|[-+−]?\s?\.\d+"
_NUMBER = re.compile(rf"(?<![\w.])(?:{NUMBER})(?![\w]*\d)")
_MARKER = re.compile(
    r"####|\b(?:final\s+)?answer\b\s*(?:\([^)]{0,20}\)\s*)?(?:\bis\b|\bwould be\b|[:=])+\s*:?", re.IGNORECASE
)
_LETTER = r"[A-J]"
_NO_WORD = r"(?![AI]\s+(?!is\b|because\b|since\b)[a-z])"  # "I choose" and "A dog" name no letter
_CHOICE_START = re.compile(rf"^\W{{0,6}}{_NO_WORD}({_LETTER})(?![\w'])")
_CHOICE_SMALL = re.compile(r"^\W{0,6}([a-j])\s*(?:[)\]}:*]|\.(?!\w)|$)")
_CHOICE_BRACKET = re.compile(rf"[(\[{{<*]\s?({_LETTER})\s?[)\]}}>*]")
_CHOICE_WORD = re.compile(rf"\b(?:option|choice|answer)\s+\W{{0,3}}({_LETTER})\b", re.IGNORECASE)
_CHOICE_ALONE = re.compile(rf"(?<![\w']){_NO_WORD}({_LETTER})(?![\w'])")
_CHOICE_DENIED = re.compile(
    rf"(?<![\w'])({_LETTER})[)\]*]{{0,3}}(?i:\s?\?\s?no\b|\s+no\b(?!\s+\w)|\s+(?:is|was)\s+(?:wrong|incorrect|false)\b"
    rf"|\s+(?:is|was)(?:n['’]t|\s+not)\s+(?:the\s+(?:right\s+|correct\s+)?answer|right|correct|true)\b)"
    rf"|(?i:(?:\bnot|\bnever|n['’]t|\bcannot\s+be|\bexcept|\brather\s+than|\binstead\s+of)(?:\s+(?:be|for|option|choice|answer))?)"
    rf"\s+[(\[*]{{0,3}}{_NO_WORD}{_LETTER}(?![\w'])"
)
_JOINED = r"(?:or|and)"
_DENIED = re.compile(r"\W*(?:not|never)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+[A-Z]|\s*$)")
_SPAN = re.compile(r"\$([^$]+)\$|\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}")
_UNIT_WORDS = {
    "km": "kilometer kilometers kilometre kilometres", "m": "meter meters metre metres", "cm": "centimeter centimeters",
    "mm": "millimeter millimeters", "mile": "miles mi", "foot": "feet ft", "inch": "inches", "kg": "kilogram kilograms",
    "g": "gram grams", "pound": "pounds lb lbs", "ounce": "ounces oz", "hour": "hours h hr hrs", "minute": "minutes min",
    "second": "seconds s sec", "day": "days", "week": "weeks", "month": "months", "year": "years",
    "dollar": "dollars usd", "cent": "cents", "euro": "euros eur €", "liter": "liters litre litres l", "ml": "milliliters",
}  # fmt: skip
UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in (unit, *words.split())}
SCALES = {"k": 10**3, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALE = re.compile(r"\d\s?(k|thousand|million|billion|trillion)\b", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?:\bnegative|^minus|(?<=\bis )minus|(?<=[=:] )minus)\s+(?=\d)", re.IGNORECASE)
_CONTRAST = re.compile(r"(\d[^.!?\n\d]{0,30}),\s+(?:and\s+)?not\s+[$€£]?\d[\d.,]*\D{0,30}$", re.IGNORECASE)
_VARIABLE = re.compile(r"\d[abdefijnoqrtuvwxyz]\b")  # 27x; the other letters are units
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
MAX_CANDIDATE = 100_000  # characters; nothing a model should write for one answer


@dataclass(frozen=True)
class Quantity:
    """An exact rational; `percent` when it was written with a percent sign, `unit` when with a common one."""

    value: Fraction
    percent: bool = False
    unit: str | None = None


def last_boxed(text: str) -> str | None:
    r"""Content of the last complete `\boxed{…}` with its nested braces, None without one."""
    starts = {m.end() for m in re.finditer(r"\\f?boxed\s*\{", text)}
    open_at: list[int] = []
    last: tuple[int, int] | None = None
    for brace in re.finditer(r"[{}]", text) if starts else ():
        if brace[0] == "{":
            open_at.append(brace.end())
        elif open_at and (start := open_at.pop()) in starts and (last is None or start > last[0]):
            last = start, brace.start()
    return text[last[0] : last[1]].strip() if last else None


def after_marker(text: str) -> str | None:
    """What follows the last `####`, `answer is` or `Answer:` on its line, None without one."""
    found = None
    for found in _MARKER.finditer(text):  # noqa: B007
        pass
    if found is None:
        return None
    rest = text[found.end() :].strip().split("\n", 1)[0].strip()
    return rest or None


def last_number(text: str) -> str | None:
    """The last number written in a text, as written."""
    found = _NUMBER.findall(text)
    return found[-1].strip() if found else None


def plain_mathematics(text: str, *, bullets: bool = True) -> str:
    r"""A text with `\[27\]`, `- 27` in a list, `½`, `3³`, `negative 5` and `27, not 28` in the one way that is read here.

    Without `bullets`, a dash that opens a line is a minus.
    """
    text = re.sub(r"(?<!\\)\\[\[(]([^\[\]()]*)\\[\])]", r"$\1$", text)
    if bullets:
        text = re.sub(r"(?m)^[ \t]*-[ \t]+(?=[$€£]?\d)", "", text)
    text = re.sub(r"[¼-¾⅐-⅞]", lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("⁄", "/"), text)
    text = re.sub(r"(?<=\d)[⁰¹²³⁴-⁹]+", lambda m: f"^{{{m[0].translate(_SUPERSCRIPT)}}}", text)
    text = _NEGATIVE.sub("-", text)
    return text[:-200] + _CONTRAST.sub(r"\1", text[-200:])


def last_quantity(text: str) -> str | None:
    """The last number written in a text with the unit, the variable or the `million` behind it, as written."""
    number = None
    for number in _NUMBER.finditer(text):  # noqa: B007
        pass
    if number is None:
        return None
    word = re.match(r"\s?([A-Za-z]+|€)(?![\w.]*\w)", text[number.end() : number.end() + 40])
    known = word is not None and (word[1].lower() in SCALES or word[1].lower() in UNITS)
    known = known or _VARIABLE.match(text, number.end() - 1) is not None
    return (number[0] + (word[0] if word and known else "")).strip()


def parse_quantity(text: str) -> Quantity | None:
    """A text that holds exactly one plain number with at most a unit or currency around it.

    Understands signs, thousands separators, decimals, a/b, mixed numbers, `million` and a percent sign.
    """
    text = text.replace("\\$", "$").replace("\\%", "%").replace("\\,", "").strip().strip("$*`'\" ").rstrip(".,;:")
    text = re.sub(r"^([-−]?\d{1,3})((?:[ \u00a0\u202f]\d{3})+)(?!\S)", lambda m: re.sub(r"\s", "", m[0]), text)
    if len(text) > 80 or "\\" in text or re.search(r"[\[\](){}^=√π]", text) or _VARIABLE.search(text):
        return None
    if re.fullmatch(r"[-+]?\d+(?:\.\d+)?[eE][-+]?\d{1,3}", text):
        return Quantity(Fraction(text))
    mixed = re.fullmatch(r"([-−]?)(\d+)\s+(\d+)\s?/\s?(\d+)", text)
    if mixed and int(mixed[4]):
        whole = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
        return Quantity(-whole if mixed[1] else whole)
    numbers = _NUMBER.findall(text)
    if len(numbers) != 1:
        return None
    around = text.replace(numbers[0], " ", 1)
    if re.search(r"[^\s\w$€£¥%°.,'’-]|\d", around):
        return None
    value = to_fraction(numbers[0])
    units = {UNITS[word] for word in re.findall(r"[a-z]+|€", around.lower()) if word in UNITS}
    unit = units.pop() if len(units) == 1 else None
    if value is not None and (scale := _SCALE.search(text)):
        value *= SCALES[scale[1].lower()]
    return None if value is None else Quantity(value, "%" in around or "percent" in around, unit)


def to_fraction(text: str) -> Fraction | None:
    """An integer, decimal or a/b as an exact rational, None for anything else."""
    text = text.replace(",", "").replace("−", "-").replace(" ", "")
    top, slash, bottom = text.partition("/")
    try:
        return Fraction(top) / Fraction(bottom) if slash else Fraction(top)
    except (ValueError, ZeroDivisionError):
        return None


def normalize(text: str) -> str:
    """Lower case, single spaces, no markdown, quotes or final punctuation."""
    text = re.sub(r"[*_`\"'“”‘’$]", "", text).lower()
    return re.sub(r"\s*,\s*", ", ", re.sub(r"\s+", " ", text)).strip().strip(".,;:!? ")


def last_sentence(text: str) -> str:
    """The last non-empty sentence of a text."""
    parts = [p for p in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if p.strip(" .!?\n")]
    return parts[-1] if parts else ""


def choice_letter(text: str) -> str | None:
    """The letter chosen in `(B)`, `B. because …`, `**B**`, `\\boxed{A. Paris}`, `option C`."""
    boxed = last_boxed(text)
    marked = boxed if boxed is not None else after_marker(text)
    if marked and denied(marked):
        return None
    for part in [p for p in (marked, text) if p]:
        inner = _CHOICE_DENIED.sub(" ", untexted(part))
        if found := _letter(inner):
            return None if _joined(inner, found) else found[1].upper()
        if inner != untexted(part):  # it only says which it is not
            return None
    return None


def _letter(text: str) -> re.Match[str] | None:
    for pattern in (_CHOICE_START, _CHOICE_SMALL, _CHOICE_WORD):
        if found := pattern.search(text):
            return found
    for pattern in (_CHOICE_BRACKET, _CHOICE_ALONE):
        found = None
        for found in pattern.finditer(text):  # noqa: B007
            pass
        if found:
            return found
    return None


def _joined(text: str, letter: re.Match[str]) -> bool:
    """Whether `or` or `and` ties a letter to another one."""
    before, after = text[max(0, letter.start(1) - 20) : letter.start(1)], text[letter.end(1) : letter.end(1) + 20]
    left = re.search(rf"(?<![\w']){_LETTER}\W{{0,3}}\s{_JOINED}\s+\W{{0,3}}$", before)
    right = re.match(rf"\W{{0,3}}\s{_JOINED}\s+\W{{0,3}}{_NO_WORD}{_LETTER}(?![\w'])", after)
    return bool(left or right)


def untexted(text: str) -> str:
    r"""A text with `\text{Paris}` as `Paris`."""
    return re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)


def extract_reference(task: str, solution: str) -> str | None:
    """The reference answer inside an expert solution: `#### 18`, the last box, `the answer is`, the last number."""
    if task == "choice":
        return choice_letter(solution)
    if task == "open":
        return None
    if "####" in solution:
        return solution.rsplit("####", 1)[1].strip().split("\n", 1)[0].strip() or None
    answer = last_boxed(solution) or after_marker(solution)
    if answer is not None:
        return answer.rstrip(".") or None
    return last_number(solution) if task == "math" else (last_sentence(solution) or None)


def extract_candidate(task: str, text: str) -> str | None:
    """The answer a candidate commits to, None when it names none."""
    if task == "choice":
        return choice_letter(text)
    boxed = last_boxed(text)
    answer = boxed or after_marker(text)
    if task == "math":  # `text` is plain mathematics already
        stated = boxed or _SENTENCE_END.split(answer or "", maxsplit=1)[0].rstrip(" .,;:!")
        return stated if re.search(r"\d|\\", stated) else bare_formula(text) or last_quantity(text)
    return normalize(untexted(answer if answer is not None else last_sentence(text))) or None


def bare_formula(text: str) -> str | None:
    """A text that is nothing but one answer in mathematics, or the formula it ends with; None without either."""
    whole = text.strip().strip("$").rstrip(" .").strip("$")
    words = re.search(r"[A-Za-z]{2,}", re.sub(r"\\[A-Za-z]+", "", whole))
    if (
        len(whole) <= 80
        and not words
        and re.search(r"\d", whole)
        and re.search(r"[\\(){}\[\],/:^eE!]|\d[a-z]\b|^\d+(?: \d{3})+$", whole)
    ):
        return None if "=" in whole or "\n" in whole else whole
    spans = list(_SPAN.finditer(text))
    if not spans or _NUMBER.search(text, spans[-1].end()):
        return None
    return spans[-1][1] or spans[-1][0]


def denied(answer: str) -> bool:
    """Whether an answer says what it is not."""
    return _DENIED.match(answer) is not None
