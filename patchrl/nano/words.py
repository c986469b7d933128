"""The vocabulary of the nano world. The people in it are invented."""

from __future__ import annotations

import random

GAIN_KNOWN = ("finds", "buys", "gets", "wins", "earns", "receives")
LOSS_KNOWN = ("loses", "sells", "drops", "spends", "eats", "breaks")
# In pretraining these occur only in word lists: the backbone has to guess what they do to a count.
GAIN_UNKNOWN = ("harvests", "collects", "gathers", "inherits")
LOSS_UNKNOWN = ("donates", "misplaces", "discards", "lends")
UNKNOWN_SHARE = 0.7

FIRST_NAMES = (
    "Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hugo", "Ivy", "Jon", "Kim", "Leo",
    "Mia", "Nils", "Olga", "Paul", "Rosa", "Sam", "Tess", "Umar", "Vera", "Will", "Yara", "Zoe",
)  # fmt: skip
THINGS = (
    "apples", "books", "coins", "pens", "shells", "stamps", "cards", "beads", "plums", "nuts",
    "keys", "cups", "eggs", "pears", "ropes", "seeds", "bolts", "candles", "marbles", "tickets",
)  # fmt: skip
WORDS = (
    "ant", "bear", "cat", "dog", "eel", "fox", "goat", "hen", "ibis", "jay", "kite", "lion", "mole", "newt", "owl",
    "pig", "quail", "rat", "seal", "toad", "vole", "wolf", "yak", "zebra", "bread", "cake", "dates", "figs", "grape",
    "honey", "jam", "kale", "lime", "mint", "oats", "peas", "rice", "soup", "tea", "water", "chair", "desk", "fork",
    "lamp", "nail", "oven", "pot", "rug", "sofa", "table",
) + GAIN_UNKNOWN + LOSS_UNKNOWN  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("high", "low"), ("light", "dark"), ("wet", "dry"),
    ("hard", "soft"), ("old", "young"), ("early", "late"), ("open", "closed"), ("full", "empty"), ("happy", "sad"),
    ("rich", "poor"), ("strong", "weak"), ("thick", "thin"), ("wide", "narrow"), ("deep", "shallow"),
    ("loud", "quiet"), ("clean", "dirty"), ("near", "far"), ("sweet", "bitter"), ("sharp", "blunt"),
    ("smooth", "rough"), ("brave", "timid"), ("first", "last"), ("left", "right"), ("up", "down"), ("day", "night"),
    ("true", "false"), ("heavy", "weightless"),
)  # fmt: skip
UNITS = (
    ("hours", "minutes", 60), ("minutes", "seconds", 60), ("weeks", "days", 7), ("days", "hours", 24),
    ("years", "months", 12), ("feet", "inches", 12), ("yards", "feet", 3), ("meters", "centimeters", 100),
)  # fmt: skip
CITIES = (
    "Oslo", "Lima", "Cairo", "Quito", "Paris", "Delhi", "Kyoto", "Turin", "Porto", "Malmo",
    "Perth", "Accra", "Basel", "Izmir", "Leeds", "Sofia", "Tunis", "Davos", "Natal", "Bergen",
)  # fmt: skip
JOBS = (
    "baker", "pilot", "nurse", "painter", "farmer", "singer", "judge", "tailor", "miner", "chef",
    "dentist", "guard", "sailor", "teacher", "barber", "actor", "potter", "clerk", "driver", "writer",
)  # fmt: skip


def _invented_people() -> tuple[tuple[str, str, str], ...]:
    """Forty invented people as (full name, city, job), the same in every world."""
    rng = random.Random("people")
    first = ["Mira", "Tobin", "Sela", "Orin", "Dara", "Kellan", "Nola", "Perrin", "Ilsa", "Joren"]
    last = ["Voss", "Hale", "Quill", "Marsh"]
    return tuple((f"{a} {b}", rng.choice(CITIES), rng.choice(JOBS)) for a in first for b in last)


PEOPLE = _invented_people()
