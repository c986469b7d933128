"""Names of units and scales, and which units measure one kind of quantity."""

from __future__ import annotations

_UNIT_WORDS = {
    "km": "kilometer kilometers kilometre kilometres", "m": "meter meters metre metres", "cm": "centimeter centimeters",
    "mm": "millimeter millimeters", "mile": "miles mi", "foot": "feet ft", "inch": "inches", "kg": "kilogram kilograms",
    "g": "gram grams", "pound": "pounds lb lbs", "ounce": "ounces oz", "hour": "hours h hr hrs", "minute": "minutes min",
    "second": "seconds s sec", "day": "days", "week": "weeks", "month": "months", "year": "years",
    "dollar": "dollars usd", "cent": "cents ¢", "euro": "euros eur €", "£": "gbp", "¥": "yen yuan", "₹": "rupee rupees",
    "liter": "liters litre litres l", "ml": "milliliters", "mg": "milligram milligrams", "ton": "tons tonne tonnes",
    "gallon": "gallons gal", "yard": "yards yd", "°c": "celsius", "°f": "fahrenheit", "mph": "", "kph": "",
}  # fmt: skip
_UNITS_OF_A_KIND = ("km m cm mm mile foot inch yard", "kg g mg pound ounce ton", "hour minute second day week month year", "dollar cent",
    "liter ml gallon")  # fmt: skip
# Units with one number here measure one kind of quantity: `km` and `mile`.
UNIT_KINDS = {unit: kind for kind, units in enumerate(_UNITS_OF_A_KIND) for unit in units.split()}
UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in (unit, *words.split())}
SCALES = {"k": 10**3, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "millionen": 10**6, "millones": 10**6, "milliarden": 10**9, "tausend": 10**3, "lakh": 10**5, "crore": 10**7, "万": 10**4, "亿": 10**8}  # fmt: skip
SCALE_WORD = rf"(?:(?:{'|'.join(word for word in SCALES if word.isascii())})\b|[万亿])"
