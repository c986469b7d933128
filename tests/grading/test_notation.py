"""The same number or equation in the many ways in which people and models write it."""

import pytest

from patchrl.grading.equations import failing_equation
from patchrl.grading.verify import Verifier


@pytest.fixture(scope="module")
def verifier():
    with Verifier(reasoning="none") as fixture:
        yield fixture


def passed(verifier, task, reference, text):
    return verifier.verify(task, reference, text).passed


@pytest.mark.parametrize(
    ("reference", "text", "right"),
    [
        ("7", r"\boxed{92 \text{ cm}^2}. The base is 7 cm.", False),
        ("92", r"\boxed{92 \text{ cm}^2}. The base is 7 cm.", True),
        ("92", r"\boxed{92\text{ cm}^{2}}. The base is 7 cm.", True),
        ("92", r"\boxed{92 \mathrm{m}^3}", True),
        ("92", r"The area is $92\text{ cm}^2$.", True),
        ("92 cm", r"\boxed{92 \text{ cm}^2}", False),
        ("92", r"\boxed{92\text{cm}^2}. The base is 7 cm.", True),
        ("92", r"\boxed{92\,{\text{ dm}}^2}", True),
        (r"9\pi", r"\boxed{9\pi\,\text{cm}^2}", True),
        (r"9\pi", r"\boxed{9\pi\text{ units}^2}", True),
        ("92 cm^2", r"\boxed{92 \text{ cm}^2}", True),
        ("92 square cm", r"\boxed{92 \text{ cm}^2}", True),
    ],
)
def test_a_box_keeps_its_end_behind_the_power_of_a_unit(verifier, reference, text, right):
    assert passed(verifier, "math", reference, text) is right


DASHES = "−–‒－‐‑﹣"


@pytest.mark.parametrize("dash", DASHES)
@pytest.mark.parametrize(
    "form", ["The answer is {}27.", "{}27", "x = {}27", r"\boxed{{{}27}}", "The answer is: {}27", "It falls to {}27°C.",
             "So 3 * ({}9) = {}27", "$x={}27$", "**{}27**", "#### {}27", "The answer is {} 27."],
)  # fmt: skip
def test_every_dash_before_a_number_is_its_sign(verifier, dash, form):
    text = form.format(*[dash] * form.count("{}"))
    assert passed(verifier, "math", "-27", text) is True
    assert passed(verifier, "math", "27", text) is False
    assert passed(verifier, "math", f"{dash}27", "The answer is -27.") is True


@pytest.mark.parametrize("dash", DASHES)
def test_a_dash_between_numbers_is_no_sign(verifier, dash):
    assert passed(verifier, "math", "27", f"30 {dash} 3 = 27") is True
    assert passed(verifier, "math", "27", f"It takes 20{dash}27 minutes.") is False
    assert passed(verifier, "math", "-27", f"It takes 20{dash}27 minutes.") is False
    assert passed(verifier, "math", "27", f"That leaves 54 {dash} 27") is False


@pytest.mark.parametrize(
    "text",
    [
        "The result – 27.",
        "The result — 27 apples.",
        "– 27",
        "— 27",
        "• 27",
        "· 27",
        "The total – after tax – is 27.",
        "The total — after tax — is 27.",
    ],
)
def test_a_dash_of_a_sentence_or_a_list_is_no_sign(verifier, text):  # fmt: skip
    assert passed(verifier, "math", "27", text) is True


@pytest.mark.parametrize("sign", "⋅∗✕×·✖∙⋆＊")
def test_every_sign_for_times_multiplies(verifier, sign):
    assert failing_equation(f"5 {sign} 3 = 15, then 2{sign}4 = 8") is None
    assert failing_equation(f"5 {sign} 3 = 16") is not None
    assert passed(verifier, "math", "27", f"It is 3 {sign} 27") is False
    assert passed(verifier, "math", "27", f"3 {sign} 9 = 27") is True


@pytest.mark.parametrize("sign", "⁄∕÷∶／➗")
def test_every_sign_for_divided_by_divides(verifier, sign):
    assert failing_equation(f"15 {sign} 3 = 5, then 8{sign}4 = 2") is None
    assert failing_equation(f"15 {sign} 3 = 6") is not None
    assert passed(verifier, "math", "27", f"54 {sign} 2 = 27") is True


@pytest.mark.parametrize("dash", DASHES)
def test_every_dash_subtracts(dash):
    assert failing_equation(f"15 {dash} 3 = 12, then 8{dash}4 = 4") is None
    assert failing_equation(f"15 {dash} 3 = 13") is not None


@pytest.mark.parametrize("text", ["１５ ＋ ３ ＝ １８", "15 ＋ 3 ＝ 18", "15 ➕ 3 = 18", "15 ➖ 3 = 12", "2 ✖️ 3 = 6"])
def test_full_width_and_pictured_signs_are_read(text):
    assert failing_equation(text) is None
    assert failing_equation(text[:-1] + ("9" if text[-1] != "９" else "1")) is not None


RIGHT = {
    "functions": ["sqrt(16) = 4", "sqrt 16 = 4", "√16 = 4", r"\sqrt{16} = 4", "3 * sqrt(16) = 12", "sin 30° = 0.5", "sin(30°) = 1/2", "cos 0 = 1",
                  "tan 45° = 1", "ln 1 = 0", "log 100 = 2", "log_2 8 = 3", "log₂ 8 = 3", r"\log_{2} 8 = 3", r"\ln 1 = 0", "max 3, 5 = 5", "max(3, 5) = 5", "min(3, 5) = 3",
                  "gcd(12, 18) = 6", "lcm(4, 6) = 12", "5 choose 2 = 10", "C(5,2) = 10", "5C2 = 10", r"\binom{5}{2} = 10", "P(5,2) = 20",
                  "|3 - 5| = 2", "abs(-5) = 5", "floor(7/2) = 3", "⌊7/2⌋ = 3", r"\lceil 7/2 \rceil = 4", "f(3) = 9", "f(2, 3) = 6", "exp 0 = 1",
                  "9 = 3 * sqrt 9", "4 = sqrt 16", "the average of 4, 6, 8 = 6", "mean of 2, 4 and 6 = 4", "17 mod 5 = 2", "7 // 2 = 3", "7 % 5 = 2"],
    "factorials": ["5! = 120", "120 = 5!", "4! + 1 = 25", "5!/3! = 20", r"\frac{5!}{3!} = 20", "3! * 2 = 12", "(2 + 1)! = 6", "2 + 3 = 5!", "So 2 + 3 = 5! And 1 + 1 = 2!", "5!/(2!3!) = 10", "6 = 3 × 2 × 1 = 3!"],
    "implied products": ["2(3+4) = 14", "(2)(3) = 6", "(2 + 3)(4) = 20", "2(3)4 = 24", "10(5) = 50", "10 (5) = 50", "(1/2)(8) = 4", r"\frac{1}{2}(8) = 4", r"\frac{1}{2} 8 = 4",
                         "½(8) = 4", r"3\frac{1}{2} = 3.5", "3½ = 3.5", "2 × 3(4) = 24", "(3)4 = 12", "24 = 2(3)(4)", "3 (4) (5) = 60", "14 = 2 (3 + 4)", r"2\left(3+4\right) = 14", r"2\cdot(3) = 6", "2[3 + 4] = 14", "2{3 + 4} = 14"],
    "commas": ["1{,}000 + 500 = 1{,}500", r"1\,000 + 500 = 1\,500", r"1,\!000 + 500 = 1,\!500", "2,5 + 1,5 = 4", "45 * 0,2 = 9", "2,5 × 4 = 10", "0,125 * 8 = 1", "10 / 4 = 2,5", "1.500,50 + 1,50 = 1.502", "3,50 € + 1,25 € = 4,75 €", "10 / 3 = 3,33", "10 / 3 = 3,3333", "2 * 3,1416 = 6,2832", "16,0000 / 10 = 16000", "12,5% * 80 = 10", "1,000 + 500 = 1,500"],
    "percentages": ["1/3 = 33%", "2/3 = 67%", "2/3 = 66.7%", "5/12 * 100 = 41.67%", "1/3 * 100 = 33.3%", "3/8 = 38%", "33.33% * 300 = 100", "41.67% * 12 = 5", "12 * 66.7% = 8", "15/40 = 0.375 = 37.5%", "7/12 = 0.583 = 58.3%", "7/12 = 0.5833 = 58%", "20% * 50 = 10", "(5-2)/7 = 42.9%", "1/6 = 16.7% = 0.167", "66.7% = 2/3"],
    "separators": ["1\u2009000 + 500 = 1\u2009500", "1\u00a0000 + 500 = 1\u00a0500", "1\u202f000 + 500 = 1\u202f500", "1'000 + 500 = 1'500", "1’000 + 500 = 1’500", "1,00,000 + 50,000 = 1,50,000", "12,34,567 + 1 = 12,34,568", "1 000 + 500 = 1 500", "1\u2007000 * 2 = 2\u2007000"],
    "signs": ["8 — 3 = 5", "8—3=5", "8 ⁃ 3 = 5", "5 • 3 = 15", "5 х 3 = 15", "5 ± 2 = 3", "2⁵ = 32", "2⁻¹ = 0.5", "⅓ × 3 = 1", "1⅓ × 3 = 4", "½ · 8 = 4", "12,5 % von 80 = 10", "- 30 × 66.67% = 20"],
}  # fmt: skip
WRONG = {
    "signs": ["8 — 3 = 6", "8—3=6", "5 • 3 = 16", "2⁵ = 33", "⅓ × 3 = 2", "½ × 8 = 5"],
    "factorials": ["5! = 121", "4! + 1 = 26", "2 + 3 = 6!", "(2 + 1)! = 7", "5!/3! = 21"],
    "implied products": ["2(3+4) = 15", "(2)(3) = 7", "(2 + 3)(4) = 21", "10(5) = 51", "2(3)(4) = 25"],
    "commas": ["1{,}000 + 500 = 1{,}600", "2,5 + 1,5 = 5", "45 * 0,2 = 8", "10 / 4 = 2,6", "1,000 + 500 = 1,600"],
    "percentages": ["1/3 = 34%", "2/3 = 65%", "5/12 * 100 = 41.77%", "33.33% * 300 = 90", "20% * 50 = 11", "1/4 = 26%", "33.3% * 300 = 99"],
    "separators": ["1\u2009000 + 500 = 1\u2009600", "1'000 + 500 = 1'600", "1,00,000 + 50,000 = 1,60,000"],
}  # fmt: skip


@pytest.mark.parametrize("text", [text for texts in RIGHT.values() for text in texts])
def test_a_right_equation_holds_however_it_is_written(text):
    assert failing_equation(text) is None


@pytest.mark.parametrize("text", [text for texts in WRONG.values() for text in texts])
def test_a_wrong_equation_fails_however_it_is_written(text):
    assert failing_equation(text) is not None


@pytest.mark.parametrize(
    ("reference", "text"),
    [(reference, text.replace(" ", space)) for space in ("\u2009", "\u202f", "\u00a0", "\u2007", " ")
     for reference, text in [("1234567", "1 234 567"), ("1234", "1 234"), ("1234567", "1 234 567.0"), ("-1234", "-1 234")]]
    + [("1234567", "1'234'567"), ("1234567", "1’234’567"), ("1234567.5", "1'234'567.5"), ("1234567", "12,34,567"), ("100000", "1,00,000"), ("10000000", "1,00,00,000"),
       ("1234567", "1{,}234{,}567"), ("1234567", r"1\,234\,567"), ("1234567", r"1,\!234,\!567"), ("3.5", "3,5"), ("0.125", "0,125"), ("1234.5", "1.234,50")],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["{}", "The answer is {}.", "In total there are {} of them.", r"\boxed{{{}}}", "It costs ${}.", "**{}**"]
)
def test_every_separator_of_thousands_is_read(verifier, reference, text, form):
    assert passed(verifier, "math", reference, form.format(text)) is True
    assert (
        passed(verifier, "math", reference.replace("2", "3").replace("5", "6").replace("00", "10"), form.format(text))
        is False
    )
    assert passed(verifier, "math", text, f"The answer is {reference}.") is True


@pytest.mark.parametrize(
    ("reference", "text", "right"),
    [
        (r"\frac{1}{2^{99}}", r"\boxed{\frac{1}{2^{98}}}", False), (r"\frac{1}{2^{99}}", r"\boxed{\frac{1}{2^{99}}}", True), (r"\frac{1}{2^{99}}", r"\boxed{2^{-99}}", True),
        ("1/2^99", r"\boxed{(\frac{1}{2})^{99}}", True), ("1/2^99", "1/2^98", False), ("2^{100}", r"\boxed{2^{100}+1}", False), ("2^{100}", r"\boxed{4^{50}}", True),
        ("10^{-20}", r"\boxed{10^{-21}}", False), ("10^{-20}", r"\boxed{\frac{1}{10^{20}}}", True), (r"(\frac{1}{2^{99}}, 1)", r"\boxed{(\frac{1}{2^{98}}, 1)}", False),
        (r"(\frac{1}{2^{99}}, 1)", r"\boxed{(2^{-99}, 1)}", True), (r"\frac{\pi}{2^{99}}", r"\boxed{\frac{\pi}{2^{98}}}", False), (r"\frac{\pi}{2^{99}}", r"\boxed{\frac{\pi}{2 \cdot 2^{98}}}", True),
        (r"\sqrt{2}", r"\boxed{\sqrt{2} + 10^{-20}}", False), (r"\sqrt{2}", r"\boxed{\frac{2}{\sqrt{2}}}", True), ("0.1", r"\boxed{0.1 + 10^{-30}}", False), ("123456789012345678", "123456789012345679", False), (r"e^{-50}", r"\boxed{e^{-51}}", False), (r"\frac{100!}{99!}", "100", True), (r"\binom{100}{50}/2^{100}", r"\boxed{\binom{100}{50}/2^{99}}", False),
    ],
)  # fmt: skip
def test_numbers_closer_than_floats_can_tell_are_told_apart(verifier, reference, text, right):
    assert passed(verifier, "math", reference, text) is right


@pytest.mark.parametrize(
    "text",
    [r"5/4 or \boxed{1.25}", r"The answer is 5/4 or \boxed{1.25}.", r"$\frac{5}{4}$ or \boxed{1.25}", r"It is $\frac{5}{4}$, or $\boxed{1.25}$", r"125\% or \boxed{1.25}", "1.25 or 5/4", r"\boxed{1.25} or \frac{5}{4}",
     r"$1\frac{1}{4}$ or \boxed{1.25}", "1 1/4 or **1.25**", r"1\frac14 or \boxed{1.25}", r"x = 5/4 or x = \boxed{1.25}"],
)  # fmt: skip
def test_a_value_said_twice_is_one_answer(verifier, text):
    assert passed(verifier, "math", "1.25", text) is True


@pytest.mark.parametrize(
    "text",
    [
        r"7/4 or \boxed{1.25}",
        r"$\frac{7}{4}$ or \boxed{1.25}",
        r"\boxed{1.25} or \frac{7}{4}",
        "1.25 or 7/4",
        r"$2\frac{1}{4}$ or \boxed{1.25}",
    ],
)
def test_two_values_are_no_answer(verifier, text):
    assert passed(verifier, "math", "1.25", text) is False


UNSURE = [
    "{}, but I am not sure", "{}, but I'm not sure.", "The answer is {}, but I am not certain.", "{}, though I could be wrong", "{}. I'm not sure about this.", "{} (I am not sure)",
    "The answer is {}, but I'm just guessing.", "{}, but that is only a guess.", "{}? I am unsure.", "{}, but I don't know", "The answer is {}. However, I'm not confident in this.", "{} – not sure though", "{} (not sure)", "{}, but I cannot be certain", "{}, but I doubt it", "{}, but that may be wrong", "{}, but I have no idea", "{} – but I’m really not sure",
]  # fmt: skip


@pytest.mark.parametrize("form", UNSURE)
def test_an_answer_that_is_doubted_behind_it_is_no_answer(verifier, form):
    for task, reference in (("math", "18"), ("choice", "C"), ("exact", "Paris")):
        assert passed(verifier, task, reference, form.format(reference)) is not True


@pytest.mark.parametrize(
    "form",
    [
        "{}. I am sure.",
        "{}, and I am certain.",
        "The answer is {}. I hope this helps; let me know if you are not sure how to proceed.",
        "I'm not sure. The answer is {}.",
    ],
)
def test_an_answer_with_a_friendly_word_behind_it_stays_one(verifier, form):
    for task, reference in (("math", "18"), ("choice", "C")):
        assert passed(verifier, task, reference, form.format(reference)) is True


@pytest.mark.parametrize(
    "text",
    ["C. No effect", "C) No", "(C) No", "C: No change", "C. No, the force is zero", "The answer is C. No effect on the rate.", "The answer is (C) No", "The answer is C) No change", r"\boxed{C. No}", r"\boxed{\text{C) No solution}}",
     "C. Cannot be determined", "(C) Cannot be determined", "C) Cannot be determined from the information given", "The answer is (C) Cannot be determined.", "The correct option is C: cannot be determined", "Answer: C) It cannot be determined", "**C. Cannot be determined**",
     "C. False", "C. False, False", "(C) False", "The answer is C. False, True", "The answer is C) not enough information", "(C) None of the above", "C. Never", "The answer is C – No", "C. Neither A nor B", "(C) Can't be determined", "The answer is C) Too small", "C. Does not change"],
)  # fmt: skip
def test_an_option_that_begins_with_a_negation_can_be_chosen(verifier, text):
    assert passed(verifier, "choice", "C", text) is True
    assert passed(verifier, "choice", "A", text) is False


@pytest.mark.parametrize(
    "text",
    ["(A) No (B) No (C) No (D) Yes", "A: No. B: Yes. C: No.", "C: no", "(C) no", "C is false", "C cannot be right", "C? No, B.", "C: No, B fits better", "C cannot be the answer", "C can't be right", "A. False. B. True. C. False."],
)  # fmt: skip
def test_a_letter_that_is_judged_wrong_is_not_chosen(verifier, text):
    assert passed(verifier, "choice", "C", text) is False


@pytest.mark.parametrize("tag", ["think", "Think", "thinking", "thought", "reasoning"])
def test_nothing_inside_a_thought_is_an_answer(verifier, tag):
    for task, reference in (("math", "7"), ("choice", "C"), ("exact", "Paris")):
        box = rf"\boxed{{{reference}}}"
        assert passed(verifier, task, reference, f"<{tag}>Maybe {box}") is False
        assert passed(verifier, task, reference, f"<{tag}>The answer is {reference}.") is False
        assert passed(verifier, task, reference, f"<{tag}>Maybe {box}</{tag}>") is False
        assert passed(verifier, task, reference, f"<{tag}>First.</{tag}>So {box}<{tag}>Now") is True
        assert passed(verifier, task, reference, f"<{tag}>Let us see.</{tag}>\n\nThe answer is {reference}.") is True
        assert passed(verifier, task, reference, f"Let us see.</{tag}>{reference}") is True
    assert passed(verifier, "math", "7", f"<{tag}>Maybe \\boxed{{7}}</{tag}>It is 8.") is False
    assert passed(verifier, "math", "8", f"<{tag}>Maybe \\boxed{{7}}</{tag}>It is 8.") is True
