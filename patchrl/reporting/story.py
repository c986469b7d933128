"""The story of a run on one screen: its sentence, a typical pair of texts, and one question whose answer changed. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from patchrl.config import SMOLLM2
from patchrl.config.arms import display_name
from patchrl.everyday.skills import KINDS
from patchrl.reporting import markup
from patchrl.reporting.samples_table import gain
from patchrl.reporting.tables import comparisons
from patchrl.runs.samples import SampleRow
from patchrl.text import compact, counted, listed, number, percent, points_interval

Result = dict[str, Any]

MODEL_NAMES = {"nano": "the lab's model", SMOLLM2: "SmolLM2-135M"}
MAX_TEXT, MAX_QUESTION = 260, 190  # characters of a text and of a question that fit their place
MAX_ANSWER = 150
ARM_WORDS = {"rl": "its rewrites", "prompted": "prompted rewrites", "best-of-k": "best-of-K rewrites"}
ARM_ORDER = ("rl", "best-of-k", "prompted")  # Story compares plain SFT with the first of these arms that the run has


# --- the sentence ---------------------------------------------------------------------------------


class Sentence(NamedTuple):
    """What a run says in words, and what has to be said with it."""

    text: str
    caveat: str


def model_name(backbone: str) -> str:
    """How a sentence calls a backbone."""
    return MODEL_NAMES.get(backbone) or PurePath(backbone).name


def other_arm(arms: Sequence[str]) -> str | None:
    """The arm that Story compares with plain SFT."""
    others = [arm for arm in arms if arm != "expert"]
    return next((arm for arm in (*ARM_ORDER, *others) if arm in others), None)


def result_sentence(result: Result, backbone: str) -> Sentence:
    """The result in words: what plain SFT and the arm beside it keep and learn, as the comparisons of `result` judge it.

    `result` may be of a study that is not finished (`gain_forgetting.so_far`): without intervals and comparisons nothing is judged.
    """
    expert, name = result["arms"].get("expert"), other_arm(list(result["arms"]))
    arm = result["arms"][name] if name else None
    if arm is not None and (arm.get("data") or {}).get("accepted") == 0:
        text = f"None of the rewrites passed the gate: {display_name(name or '')} was trained on the expert's texts as they are."
        return Sentence(text, _caveat(result))
    if expert is None and arm is None:
        return Sentence("No arm has been evaluated yet.", "")
    parts = [_kept(result, backbone, expert, arm, name), _learned(result, expert, arm, name)]
    return Sentence(" ".join(part for part in parts if part), _caveat(result))


def _kept(result: Result, backbone: str, expert: Result | None, arm: Result | None, name: str | None) -> str:
    base, model = result["base"], model_name(backbone)
    if base["general"] is None:
        return "Forgetting was not measured: no general tasks were named."
    tasks = [task.split("/", 1)[1] for task in base["by_task"] if task.startswith("general/")]
    questions = "everyday questions" if tasks and set(tasks) <= KINDS.keys() else "general questions"
    score, before = _score("general"), percent(base["general"], 0)
    if expert is None or arm is None or name is None:
        only, what = (expert, "plain SFT") if arm is None or name is None else (arm, f"SFT on {_words(name)}")
        return f"After {what}, {model} answers {score(only)} of {questions} right, from {before}."
    verdict, plain = _verdict(result, name, "general"), percent(expert["general"]["mean"], 0)
    if verdict == "cannot tell" and not any(_differs(values["forgetting"]["ci95"]) for values in (expert, arm)):
        return (
            f"Neither plain SFT nor SFT on {_words(name)} makes {model} forget anything that shows: {plain} and {score(arm)} "
            f"of {questions} right, from {before}."
        )
    judged = {"worse": ", which is worse", "cannot tell": " – the two cannot be told apart"}.get(verdict or "", "")
    return (
        f"After plain SFT, {model} answers {plain} of {questions} right, from {before}; after SFT on {_words(name)} "
        f"{score(arm)}{judged}."
    )


def _learned(result: Result, expert: Result | None, arm: Result | None, name: str | None) -> str:
    base = result["base"]["target"]
    if base is None or expert is None or arm is None or name is None:
        only = expert or arm
        return f"On the task it gets {_score('target')(only)} right, from {percent(base, 0)}." if only else ""
    plain, rewritten = (percent(values["target"]["mean"], 0) for values in (expert, arm))
    verdict = _verdict(result, name, "target")
    if verdict in ("better", "worse"):
        return f"The rewrites teach the task {verdict}: {rewritten} right against {plain}, from {percent(base, 0)}."
    scores = f"{plain} and {rewritten}, from {percent(base, 0)}"
    if verdict is None:
        return f"On the task: {scores}."
    learned = all((values["target"]["ci95"] or [0.0])[0] > base for values in (expert, arm))
    both = "Both learn the task, and no difference shows" if learned else "On the task no difference can be told"
    return f"{both}: {scores}."


def _score(kind: str) -> Any:
    """How the score of an arm is written: rounded, with its interval."""

    def written(values: Result | None) -> str:
        score = (values or {}).get(kind) or {}
        text = points_interval(score.get("mean"), score.get("ci95"), 0)
        value, bracket, interval = text.partition(" [")
        return f"{value} %{bracket}{interval}"

    return written


def _words(arm: str) -> str:
    return ARM_WORDS.get(arm) or f"the targets of “{display_name(arm)}”"


def _differs(interval: Sequence[float] | None) -> bool:
    return bool(interval) and (interval[0] > 0 or interval[1] < 0)  # type: ignore[index]


def _verdict(result: Result, arm: str, kind: str) -> str | None:
    """How an arm compares with plain SFT: better, worse, cannot tell; None where nothing was compared."""
    for pair in comparisons(result):
        if pair["on"] == kind and {pair["a"], pair["b"]} == {arm, "expert"}:
            turned = {"better": "worse", "worse": "better"}
            return pair["verdict"] if pair["a"] == arm else turned.get(pair["verdict"], pair["verdict"])
    return None


def _caveat(result: Result) -> str:
    seeds, name = result.get("seeds"), other_arm(list(result["arms"]))
    if not seeds:
        return "So far, without intervals."
    arms = {arm: result["arms"].get(arm, {}).get("learning_rate") for arm in ("expert", name)}
    rates = list(dict.fromkeys(compact(rate) for rate in arms.values() if rate))
    at = f", at learning rate {rates[0]}" if len(rates) == 1 else f", each at its own rate ({listed(rates)})"
    one = "One seed" if len(seeds) == 1 else counted(len(seeds), "seed")
    return f"{one}{at if rates else ''}. Brackets: 95 % interval."


def opening_sentence(backbone: str, scan: Mapping[str, Any] | None) -> str:
    """What a run without an evaluated arm is about, with what its scan found."""
    model = model_name(backbone)
    if not scan or scan.get("expert_mean") is None:
        return f"How much does {model} forget when it learns from an expert's texts, and what of it do rewrites save?"
    return (
        f"An expert's texts surprise {model} by {number(scan['expert_mean'], 2)} nats a token, its own answers by "
        f"{number(scan['own_mean'], 2)}. What it forgets when it learns from them, and what rewrites save of it, is measured "
        "by fine-tuning."
    )


def sentence_html(sentence: Sentence) -> str:
    """The sentence, large, and its caveat."""
    caveat = f' <span class="caveat">{markup.escape(sentence.caveat)}</span>' if sentence.caveat else ""
    text = markup.escape(sentence.text).replace(" %", "\u00a0%")
    return f'<p class="story-sentence">{text}{caveat}</p>'


# --- one expert solution beside its rewrite -------------------------------------------------------


def typical_rows(rows: Sequence[SampleRow]) -> list[SampleRow]:
    """The accepted rows, those first that fit their place and gain as much as the median row does."""
    gains = {row["id"]: value for row in rows if row["decision"] == "accepted" and (value := gain(row)) is not None}
    if not gains:
        return []
    median = statistics.median(gains.values())

    def place(row: SampleRow) -> tuple[bool, float]:
        fits = len(row["question"]) <= MAX_QUESTION and max(len(row["expert"]), len(row["rewrite"])) <= MAX_TEXT
        return not fits, abs(gains[row["id"]] - median)

    return sorted((row for row in rows if row["id"] in gains), key=place)


def pair_html(row: Mapping[str, Any], tokens: Mapping[str, Any] | None) -> str:
    """An expert solution beside its rewrite, each token shaded by how much it surprises the backbone."""
    texts = []
    for key, title in (("expert", "The expert writes"), ("rewrite", "Its rewrite")):
        shaded = markup.surprisal(tokens[key], title) if tokens else f"<p>{markup.escape(row[key])}</p>"
        texts.append(f'<article class="{key}"><h4>{title}</h4>{shaded}</article>')
    scale = f"Surprise in nats: {markup.surprisal_scale()}" if tokens else row.get("note", "")
    return (
        f'<p class="question"><b>Question.</b> {markup.escape(_cut(row["question"], MAX_QUESTION))}</p>'
        f'<div class="pair">{"".join(texts)}</div><p class="legend">{scale}</p>'
    )


def newest_pair(group: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The expert of the newest group and the group's best rewrite, while the rewriter trains."""
    passing = [c for c in (group or {}).get("candidates", ()) if c["passed"] and c.get("reward") is not None]
    if not group or not passing:
        return None
    best = max(passing, key=lambda candidate: candidate["reward"])
    texts = {"question": group["question"], "expert": _cut(group["solution"], MAX_TEXT)}
    note = f"The best of {len(group['candidates'])} rewrites at step {group['step']}, as the rewriter trains."
    return texts | {"rewrite": _cut(best["text"], MAX_TEXT), "note": note}


# --- one question whose answer changed ------------------------------------------------------------

# What a question shows, by right or wrong before, after plain SFT, and after the other arm; the first that there is.
KINDS_OF_CHANGE = {
    (True, False, True): "Right before, wrong after plain SFT, right after SFT on {arm}",
    (True, False, False): "No question was lost by plain SFT and kept by SFT on {arm}. This one was lost by both",
    (True, True, False): "Plain SFT lost no question. This one was lost by SFT on {arm}",
    (True, True, True): "No question was lost. This one stayed right",
}


class Change(NamedTuple):
    """A question and its answers by arm, and what it shows."""

    title: str
    rows: dict[str, Mapping[str, Any]]


def changed_question(predictions: Mapping[str, Sequence[Mapping[str, Any]]]) -> Change | None:
    """The shortest general question, answers included, that the backbone gets right, plain SFT wrong and the other arm right;
    where none is, the nearest kind. None before all three have been evaluated.

    `predictions`: the rows of `base`, `expert` and one more arm, in this order.
    """
    (*_, other), by_id = predictions, [{(r["task"], r["id"]): r for r in rows} for rows in predictions.values()]
    shared = by_id[0].keys() & by_id[1].keys() & by_id[2].keys() if len(by_id) == 3 else set()
    questions: dict[tuple[Any, ...], list[list[Mapping[str, Any]]]] = {}
    for key in sorted(shared):
        rows = [answers[key] for answers in by_id]
        if key[0].startswith("general/"):
            questions.setdefault(tuple(row["passed"] for row in rows), []).append(rows)
    for kind, title in KINDS_OF_CHANGE.items():
        if rows_of_kind := questions.get(kind):
            rows = min(rows_of_kind, key=_length)
            return Change(title.format(arm=_words(other)), dict(zip(predictions, rows, strict=True)))
    return None


def _length(rows: Sequence[Mapping[str, Any]]) -> tuple[bool, bool, int]:
    """Sorts what fits first, and of that what plain SFT did not merely cut short."""
    before, plain, other = (len(row["answer"].strip()) for row in rows)
    cut_short = not before or plain < before or not other
    return max(before, plain, other) > MAX_ANSWER, cut_short, len(rows[0]["question"]) + before + plain + other


def change_html(change: Change) -> str:
    """One question and its three answers, side by side."""
    first = next(iter(change.rows.values()))
    cells = []
    for arm, row in change.rows.items():
        name = {"base": "Before", "expert": "After plain SFT"}.get(arm, f"After SFT on {_words(arm)}")
        sign, word, kind = ("✓", "right", "ok") if row["passed"] else ("✗", "wrong", "bad")
        cells.append(
            f'<div class="answer {kind}"><h4>{markup.escape(name)} <span class="verdict {kind}">{sign} {word}</span></h4>'
            f"<p>{markup.escape(_cut(row['answer'], MAX_ANSWER))}</p></div>"
        )
    return (
        f'<h3>{markup.escape(change.title)}</h3><div class="change"><div class="asked"><h4>Question</h4>'
        f"<p>{markup.escape(_cut(first['question'], MAX_QUESTION))}</p></div>{''.join(cells)}</div>"
    )


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
