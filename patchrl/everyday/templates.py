"""Texts of word problems of one and two steps, each with the equation that solves it and the range of each number.

`{name}` and `{other}` are people, `{things}` is what they have. A number that the equation does not use is a distractor.
"""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """A problem with gaps; `equation` is over the names of its numbers, `ranges` is such as `a 20 90, b 2 15`."""

    text: str
    equation: str
    ranges: str


# fmt: off
NAMES = [
    "Ana", "Ben", "Carla", "David", "Emma", "Farid", "Grace", "Hana", "Isaac", "Julia", "Kofi", "Lena", "Marco",
    "Nadia", "Oscar", "Priya", "Quinn", "Rosa", "Samir", "Tara", "Uma", "Victor", "Wendy", "Yusuf", "Zoe", "Amir",
    "Bella", "Chen", "Diego", "Elif", "Finn", "Gita", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mina", "Noah",
    "Olga",
]

THINGS = [
    "apples", "marbles", "stickers", "books", "pencils", "shells", "stamps", "coins", "buttons", "cards", "oranges",
    "cookies", "balloons", "flowers", "stones", "candles", "postcards", "crayons", "muffins", "lemons", "badges",
    "beads", "magazines", "peaches", "puzzles", "feathers", "ribbons", "erasers",
]
# fmt: on

TEMPLATES = [
    # One step: more or fewer
    Template(
        "{name} had {a} {things}. {other} gave {name} {b} more. How many {things} does {name} have now?",
        "a + b",
        "a 3 25, b 2 20",
    ),
    Template(
        "{name} found {a} {things} on Monday and {b} {things} on Tuesday. How many {things} did {name} find in all?",
        "a + b",
        "a 3 25, b 2 20",
    ),
    Template(
        "There were {a} birds on a wire. Then {b} more birds landed on it. How many birds are on the wire now?",
        "a + b",
        "a 3 25, b 2 20",
    ),
    Template(
        "A library lent out {a} books in the morning and {b} books in the afternoon. How many books did it lend out that day?",
        "a + b",
        "a 3 25, b 2 20",
    ),
    Template(
        "{name} had {a} {things} and lost {b} of them. How many {things} does {name} still have?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "A baker made {a} rolls and sold {b} of them before noon. How many rolls were left?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "There were {a} people on a train. At the next stop {b} people got off. How many people stayed on the train?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "A rope is {a} meters long. {name} cuts off {b} meters. How many meters of rope remain?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "{name} wants to read {a} pages this week and has read {b} pages so far. How many pages are still to be read?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "{name} is {a} years old and {other} is {b} years old. How many years older is {name}?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "{name} has {a} {things} and {other} has {b}. How many more {things} does {name} have than {other}?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    Template(
        "A jacket costs {a} dollars and a shirt costs {b} dollars. How much more does the jacket cost than the shirt?",
        "a - b",
        "a 8 30, b 2 15",
    ),
    # One step: groups
    Template(
        "{name} has {a} boxes with {b} {things} in each box. How many {things} does {name} have?",
        "a * b",
        "a 2 9, b 2 10",
    ),
    Template(
        "A classroom has {a} rows of desks with {b} desks in each row. How many desks are in the classroom?",
        "a * b",
        "a 2 9, b 2 10",
    ),
    Template(
        "{name} runs {a} kilometers every day. How many kilometers does {name} run in {b} days?",
        "a * b",
        "a 2 9, b 2 10",
    ),
    Template("One ticket to the zoo costs {a} dollars. How much do {b} tickets cost?", "a * b", "a 2 9, b 2 10"),
    Template(
        "A machine fills {a} bottles a minute. How many bottles does it fill in {b} minutes?", "a * b", "a 2 9, b 2 10"
    ),
    Template(
        "{name} shares {a} {things} equally among {b} friends. How many {things} does each friend get?",
        "a / b",
        "a 8 60, b 2 9",
    ),
    Template(
        "A farmer packs {a} eggs into cartons that hold {b} eggs each. How many cartons are filled?",
        "a / b",
        "a 8 60, b 2 9",
    ),
    Template("{name} reads {b} pages a day. How many days does a book of {a} pages take?", "a / b", "a 8 60, b 2 9"),
    Template(
        "A ribbon of {a} centimeters is cut into {b} pieces of equal length. How many centimeters long is each piece?",
        "a / b",
        "a 8 60, b 2 9",
    ),
    Template(
        "{b} children paid {a} dollars in all for the museum, each of them the same. How many dollars did each child pay?",
        "a / b",
        "a 8 60, b 2 9",
    ),
    # One step, with a number that is not needed
    Template(
        "{name} has {c} pencils and {a} {things}. {other} takes {b} of the {things}. How many {things} does {name} have left?",
        "a - b",
        "a 8 30, b 2 15, c 3 40",
    ),
    Template(
        "A shop sold {a} red hats, {b} blue hats and {c} scarves. How many hats did the shop sell?",
        "a + b",
        "a 3 25, b 2 20, c 5 40",
    ),
    Template(
        "{name} is {c} years old and plants {a} rows of {b} tulips. How many tulips does {name} plant?",
        "a * b",
        "a 2 9, b 2 10, c 8 40",
    ),
    Template(
        "{name} bought {a} {things} for {c} dollars and put them into {b} bags, the same number in each. How many {things} are in each bag?",
        "a / b",
        "a 8 60, b 2 9, c 5 40",
    ),
    Template(
        "In {c} minutes {name} baked {a} pies and {other} baked {b}. How many more pies did {name} bake?",
        "a - b",
        "a 8 30, b 2 15, c 30 40",
    ),
    # Two steps: more and fewer
    Template(
        "{name} had {a} {things}, gave {b} to {other} and then bought {c} more. How many {things} does {name} have now?",
        "a - b + c",
        "a 10 25, b 2 9, c 2 10",
    ),
    Template(
        "{name} picked {a} {things} and {other} picked {b}. They gave away {c} of them. How many {things} are left?",
        "a + b - c",
        "a 4 15, b 3 15, c 2 9",
    ),
    Template(
        "A bus had {a} passengers. At one stop {b} got off and {c} got on. How many passengers are on the bus now?",
        "a - b + c",
        "a 10 25, b 2 9, c 2 10",
    ),
    Template(
        "{name} had {a} dollars, spent {b} dollars on lunch and {c} dollars on a book. How many dollars are left?",
        "a - b - c",
        "a 15 40, b 2 9, c 2 9",
    ),
    Template(
        "A tank holds {a} liters of water. {b} liters are used in the morning and {c} liters in the evening. How many liters remain?",
        "a - b - c",
        "a 15 40, b 2 9, c 2 9",
    ),
    Template(
        "{name} scored {a} points in the first game, {b} in the second and {c} in the third. How many points is that in all?",
        "a + b + c",
        "a 2 12, b 2 12, c 2 12",
    ),
    Template(
        "There are {a} children at a party. {b} of them are girls, and {c} of the girls wear a hat. How many of the children are boys?",
        "a - b",
        "a 12 30, b 6 15, c 2 5",
    ),
    # Two steps: groups, then more or fewer
    Template(
        "{name} has {a} bags with {b} {things} each and {c} loose {things}. How many {things} does {name} have in all?",
        "a * b + c",
        "a 2 9, b 2 9, c 2 15",
    ),
    Template(
        "{name} bought {a} packs of {b} {things} and gave {c} {things} to {other}. How many {things} does {name} have left?",
        "a * b - c",
        "a 3 9, b 3 9, c 2 12",
    ),
    Template(
        "A hall has {a} rows of {b} chairs. {c} chairs are broken. How many chairs can be used?",
        "a * b - c",
        "a 3 9, b 3 9, c 2 12",
    ),
    Template(
        "{name} earns {a} dollars an hour, works {b} hours and pays {c} dollars for the bus. How many dollars does {name} keep?",
        "a * b - c",
        "a 3 9, b 3 9, c 2 12",
    ),
    Template(
        "{name} saves {a} dollars a week for {b} weeks and already has {c} dollars. How many dollars will {name} have?",
        "a * b + c",
        "a 2 9, b 2 9, c 2 15",
    ),
    Template(
        "A notebook costs {a} dollars and a pen costs {c} dollars. How much do {b} notebooks and one pen cost?",
        "a * b + c",
        "a 2 9, b 2 9, c 2 15",
    ),
    Template(
        "{name} pays for {b} cakes of {a} dollars each with {c} dollars. How many dollars does {name} get back?",
        "c - b * a",
        "a 3 9, b 2 4, c 20 50",
    ),
    # Two steps: more or fewer, then groups
    Template(
        "{name} has {a} {things} and finds {b} more. All of them go into {c} boxes, the same number in each. How many {things} are in each box?",
        "(a + b) / c",
        "a 5 25, b 3 15, c 2 6",
    ),
    Template(
        "{name} had {a} {things} and ate or lost {b} of them. The rest was shared by {c} friends equally. How many {things} did each friend get?",
        "(a - b) / c",
        "a 10 40, b 2 10, c 2 6",
    ),
    Template(
        "A teacher has {a} boys and {b} girls in class and gives each of them {c} {things}. How many {things} does the teacher need?",
        "(a + b) * c",
        "a 2 8, b 2 8, c 2 6",
    ),
    Template(
        "Each of {c} tables seats {a} adults and {b} children. How many people can sit at the tables?",
        "(a + b) * c",
        "a 2 8, b 2 8, c 2 6",
    ),
    Template(
        "{name} and {other} each buy {a} apples and {b} pears. How many pieces of fruit do they have together?",
        "(a + b) * 2",
        "a 2 12, b 2 12",
    ),
    Template(
        "A garden had {a} trees. {b} of them were cut down, and each of the others carries {c} apples. How many apples are there?",
        "(a - b) * c",
        "a 6 15, b 2 5, c 2 6",
    ),
    # Two steps: groups of groups
    Template(
        "A truck carries {a} crates. Each crate holds {b} boxes, and each box holds {c} lamps. How many lamps are on the truck?",
        "a * b * c",
        "a 2 5, b 2 6, c 2 4",
    ),
    Template(
        "{name} swims {a} laps a day. Each lap is {b} meters long. How many meters does {name} swim in {c} days?",
        "a * b * c",
        "a 2 5, b 2 6, c 2 4",
    ),
    Template(
        "{a} {things} are packed into bags of {b}, and {c} bags go into each box. How many boxes are filled?",
        "a / b / c",
        "a 12 60, b 2 5, c 2 4",
    ),
    Template(
        "{name} shares {a} {things} equally among {b} friends. {other} is one of the friends and had {c} {things} before. How many {things} does {other} have now?",
        "a / b + c",
        "a 8 48, b 2 6, c 2 12",
    ),
    Template(
        "{a} eggs are put into cartons of {b}. {c} of the cartons are sold. How many full cartons are left?",
        "a / b - c",
        "a 24 72, b 3 8, c 2 5",
    ),
]
