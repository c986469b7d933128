"""Everyday questions: general skills of a real chat model. Each kind has a question with a gap and what fills it.

The kinds are those of which SmolLM2-135M-Instruct gets more than half right; it fails on yes or no, months, colours, sounds
and other languages. Answers have one wording only: no synonyms, no spellings that differ by country.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from patchrl.types import EvalItem, EvalTask


class Kind(NamedTuple):
    """Questions of one kind. `words` are `gap answer, gap answer`; a gap alone is its own answer; `_` is a space."""

    question: str
    words: str
    task: EvalTask = "mention"


KINDS = {
    "capital": Kind(
        "What is the capital of {}?",
        """France Paris, Germany Berlin, Italy Rome, Spain Madrid, Portugal Lisbon, Greece Athens, Austria Vienna, Ireland
        Dublin, Norway Oslo, Sweden Stockholm, Denmark Copenhagen, Finland Helsinki, Poland Warsaw, Hungary Budapest,
        Romania Bucharest, Bulgaria Sofia, Russia Moscow, Belgium Brussels, Japan Tokyo, China Beijing,
        Thailand Bangkok, Iraq Baghdad, Iran Tehran, Egypt Cairo, Kenya Nairobi, Cuba Havana, Peru Lima, Chile Santiago,
        Canada Ottawa, Australia Canberra, Vietnam Hanoi, Indonesia Jakarta, Nepal Kathmandu, Argentina Buenos_Aires,
        Venezuela Caracas, Ecuador Quito, Syria Damascus, Turkey Ankara, Iceland Reykjavik, Qatar Doha, Jordan Amman""",
    ),
    "country": Kind(
        "In which country is {}?",
        """Paris France, Berlin Germany, Munich Germany, Rome Italy, Milan Italy, Venice Italy, Madrid Spain, Barcelona
        Spain, Moscow Russia, Beijing China, Shanghai China, Tokyo Japan, Osaka Japan, Kyoto Japan, Cairo Egypt, Athens
        Greece, Lisbon Portugal, Vienna Austria, Dublin Ireland, Oslo Norway, Stockholm Sweden, Copenhagen Denmark,
        Helsinki Finland, Warsaw Poland, Budapest Hungary, Bangkok Thailand, Hanoi Vietnam, Mumbai India, Sydney
        Australia, Melbourne Australia, Toronto Canada, Nairobi Kenya, Lima Peru, Havana Cuba""",
    ),
    "continent": Kind(
        "On which continent is {}?",
        """Egypt Africa, Kenya Africa, Nigeria Africa, Ghana Africa, Morocco Africa, Ethiopia Africa, Japan Asia, India
        Asia, China Asia, Vietnam Asia, Thailand Asia, Nepal Asia, France Europe, Germany Europe, Italy Europe, Spain
        Europe, Poland Europe, Greece Europe, Norway Europe, Sweden Europe, Portugal Europe, Brazil South_America, Peru
        South_America, Chile South_America, Argentina South_America, Colombia South_America, Canada North_America,
        Mexico North_America""",
    ),
    "language": Kind(
        "What is the main language of {}?",
        """Brazil Portuguese, Portugal Portuguese, France French, Germany German, Austria German, Italy Italian, Spain
        Spanish, Mexico Spanish, Argentina Spanish, Chile Spanish, Colombia Spanish, Cuba Spanish, Peru Spanish,
        Venezuela Spanish, Japan Japanese, Russia Russian, Poland Polish, Sweden Swedish, Denmark Danish, Greece Greek,
        Turkey Turkish, Hungary Hungarian, Egypt Arabic, Morocco Arabic, Iraq Arabic, Thailand Thai, Vietnam Vietnamese,
        Ukraine Ukrainian, Bulgaria Bulgarian, Romania Romanian""",
    ),
    "opposite": Kind(
        "What is the opposite of {}?",
        """hot cold, up down, big small, fast slow, day night, open closed, happy sad, left right, rich poor,
        wet dry, hard soft, high low, full empty, clean dirty, strong weak, early late, tall
        short, thick thin, heavy light, inside outside, above below, first last, true false, good bad, love hate, black
        white, win lose, push pull, north south, east west, war peace, life death, buy sell, begin end, wide narrow,
        cheap expensive, deep shallow""",
    ),
    "plural": Kind(
        "What is the plural of {}?",
        """mouse mice, child children, foot feet, tooth teeth, man men, woman women, goose geese, knife knives, leaf
        leaves, wolf wolves, box boxes, city cities, baby babies, party parties, shelf shelves, wife wives, life lives,
        half halves, bus buses, dish dishes, potato potatoes, tomato tomatoes, hero heroes, fox foxes, cherry cherries,
        dog dogs, cat cats, apple apples, house houses, car cars, tree trees, book books, horse horses, chair chairs,
        cloud clouds, river rivers, window windows, school schools, brother brothers, table tables""",
    ),
    "first letter": Kind(
        "What is the first letter of the word {}?",
        """apple a, banana b, cat c, dog d, elephant e, flower f, garden g, house h, island i, jacket j, kitchen k, lemon
        l, mountain m, night n, orange o, pencil p, queen q, river r, summer s, table t, umbrella u, village v, window
        w, yellow y, zebra z""",
        "exact",
    ),
    "category": Kind(
        "What is {}?",
        """a_violin instrument, a_piano instrument, a_trumpet instrument, a_flute instrument, a_guitar instrument, a_salmon
        fish, a_shark fish, a_rose flower, a_tulip flower, a_daisy flower, a_sparrow bird, an_eagle bird, a_penguin
        bird, an_owl bird, a_parrot bird, an_ant insect, a_bee insect, a_butterfly insect, a_mosquito insect, an_apple
        fruit, a_banana fruit, a_mango fruit, a_carrot vegetable, a_potato vegetable, a_snake reptile, a_lizard reptile,
        a_frog amphibian, a_whale mammal, a_dolphin mammal, a_dog mammal, a_poodle dog, a_diamond gemstone, a_bicycle
        vehicle, a_pine tree, a_maple tree""",
    ),
    "sentence": Kind(
        "Write a sentence with the word {}.",
        """lantern, ocean, pencil, garden, thunder, bottle, candle, forest, rocket, temple, anchor, basket, dragon, engine,
        feather, guitar, hammer, kettle, ladder, needle, mirror, piano, blanket, bridge, teacher, island, market,
        winter, doctor, river""",
    ),
}
FACTS = {
    "Which planet is known as the Red Planet?": "Mars",
    "Which is the largest planet in our solar system?": "Jupiter",
    "Which planet is closest to the Sun?": "Mercury",
    "Which planet is famous for its rings?": "Saturn",
    "Which is the largest ocean on Earth?": "Pacific Ocean",
    "Which is the highest mountain on Earth?": "Mount Everest",
    "Which is the largest animal on Earth?": "blue whale",
    "Which is the tallest animal on Earth?": "giraffe",
    "Which is the fastest land animal?": "cheetah",
    "What is the name of our galaxy?": "Milky Way",
    "Which gas do plants take in from the air to make food?": "carbon dioxide",
    "Which gas do humans need to breathe to stay alive?": "oxygen",
    "Which organ pumps blood through the body?": "heart",
    "Which organ do we think with?": "brain",
    "Which organ do we breathe with?": "lungs",
    "Which organ do we see with?": "eyes",
    "What is frozen water called?": "ice",
    "What do bees make?": "honey",
    "What do caterpillars turn into?": "butterflies",
    "What is the chemical formula of water?": "H2O",
    "What is the chemical symbol of gold?": "Au",
    "What is the chemical symbol of oxygen?": "O",
    "What is the chemical symbol of iron?": "Fe",
    "Who wrote Romeo and Juliet?": "William Shakespeare",
    "Who wrote Hamlet?": "William Shakespeare",
    "Who painted the Mona Lisa?": "Leonardo da Vinci",
    "Who painted The Starry Night?": "Vincent van Gogh",
    "Who painted Guernica?": "Pablo Picasso",
    "Who wrote Pride and Prejudice?": "Jane Austen",
    "Who wrote Oliver Twist?": "Charles Dickens",
    "Who wrote 1984?": "George Orwell",
    "Who wrote The Old Man and the Sea?": "Ernest Hemingway",
    "Who wrote The Origin of Species?": "Charles Darwin",
    "Who developed the theory of relativity?": "Albert Einstein",
    "Who was the first President of the United States?": "George Washington",
    "Who was the first person to walk on the Moon?": "Neil Armstrong",
    "Who invented the telephone?": "Alexander Graham Bell",
    "In which country is the Eiffel Tower?": "France",
    "In which country is the Great Wall?": "China",
    "In which country is the Taj Mahal?": "India",
    "In which country is the Colosseum?": "Italy",
    "In which country are the pyramids of Giza?": "Egypt",
    "In which country is Machu Picchu?": "Peru",
    "In which country is Mount Fuji?": "Japan",
    "In which city is the Statue of Liberty?": "New York City",
    "In which city is Big Ben?": "London",
    "In which city is the Kremlin?": "Moscow",
    "Which river flows through London?": "Thames",
    "Which river flows through Egypt?": "Nile",
    "Which river flows through Paris?": "Seine",
}


def eval_items(size: int) -> list[EvalItem]:
    """`size` items spread evenly over the kinds (all of them where there are fewer); always the same ones."""
    kinds = {kind: list(_items(kind)) for kind in KINDS} | {"fact": [(q, a, "mention") for q, a in FACTS.items()]}
    items: list[EvalItem] = []
    for left, (kind, rows) in zip(
        range(len(kinds), 0, -1), sorted(kinds.items(), key=lambda k: len(k[1])), strict=True
    ):
        count = min(len(rows), -(-(size - len(items)) // left))
        chosen = [rows[i * len(rows) // count] for i in range(count)]
        items += [EvalItem(f"{kind}-{i:03d}", q, a, kind, task) for i, (q, a, task) in enumerate(chosen)]
    return items


def _items(kind: str) -> Iterator[tuple[str, str, EvalTask]]:
    """Question, answer and judging of each item of a kind."""
    question, words, task = KINDS[kind]
    for part in " ".join(words.split()).split(","):
        gap, _, answer = part.strip().rpartition(" ")
        yield question.format((gap or answer).replace("_", " ")), answer.replace("_", " "), task
