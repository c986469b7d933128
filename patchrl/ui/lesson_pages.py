"""The pages of the walkthrough as HTML. Every number comes from the recording; `trap.py` and `hollow.py` have those of the last two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from patchrl.config.arms import display_name
from patchrl.reporting import markup, sentences, tables
from patchrl.reporting.markup import escape
from patchrl.text import compact, number, percent, points
from patchrl.ui.lesson import STYLES, Lesson

TOP_TOKENS = 3  # most surprising tokens shown
STYLE_WORDS = {
    "own": "as the backbone answers",
    "mannered": "with manners",
    "half-foreign": "half the expert",
    "expert": "copied from the expert",
    "other": "something else",
    "wrong": "wrong",
}


def tile(label: str, before: str, after: str, caption: str) -> str:
    """One figure before and after."""
    return (
        f'<div class="tile"><span>{escape(label)}</span><b>{escape(before)} <span aria-hidden="true">→</span>'
        f'<span class="sr"> to </span> {escape(after)}</b><small>{escape(caption)}</small></div>'
    )


def card(header: str, text: str, foot: str = "") -> str:
    return f'<article class="card"><header>{header}</header><pre>{escape(text)}</pre>{foot}</article>'


def right(passed: bool | None) -> str:
    """Whether an answer is right, with a sign and a word."""
    if passed is None:
        return '<span class="verdict unsure">? undecided</span>'
    return f'<span class="verdict {"ok" if passed else "bad"}">{"✓ right" if passed else "✗ wrong"}</span>'


def what_sft_does(lesson: Lesson) -> str:
    base, expert = lesson.result["base"], lesson.result["arms"]["expert"]
    skills = ", ".join(sorted({row["task"].split("/", 1)[1] for row in lesson.general("base")}))
    first = lesson.samples["rl"][0]

    def pair(before: dict[str, Any], after: dict[str, Any]) -> str:
        skill = escape(before["task"].split("/", 1)[1].capitalize())
        both = card(f"Before {right(before['passed'])}", before["answer"])
        both += card(f"After {right(after['passed'])}", after["answer"])
        return f'<div class="pair"><p><b>{skill}.</b> {escape(before["question"])}</p><div class="cards two">{both}</div></div>'

    pairs = "".join(pair(before, after) for before, after in lesson.lost_examples())
    right_before = sum(row["passed"] is True for row in lesson.general("base"))
    return f"""<div class="lesson"><h3>What fine-tuning does to the backbone</h3><p class="lead">A small language model, the <b>backbone</b>, has {lesson.skills} general skills: {escape(skills)}.
    It is fine-tuned on {lesson.examples} word problems, each with an <b>expert's solution</b>:</p>
    <div class="cards two">{card("Question", first["question"])}{card("The expert's solution", first["expert"])}</div>
    <div class="tiles">{tile("Word problems, right", percent(base["target"]), percent(expert["target"]["mean"]), "the task it was fine-tuned on")}
    {tile("General skills, right", percent(base["general"]), percent(expert["general"]["mean"]), "never touched by the fine-tuning data")}
    {tile(f"General answers with “{lesson.mark}”", percent(lesson.marked_share("base")), percent(lesson.marked_share("expert")), "which every expert's solution has")}</div>
    <p>It learned the task and <b>forgot {points(expert["forgetting"]["absolute"])} points</b> of what it could do before
    (the mean over the skills, each counting the same). Of the {right_before} general questions it had right,
    {len(lesson.lost("expert"))} are wrong now. One from each of the skills
    that lost most:</p>{pairs}</div>"""


def token_by_token(lesson: Lesson, row_id: str) -> str:
    row = lesson.row("rl", row_id)
    tokens = lesson.tokens[row_id]
    worst = sorted(tokens["expert"], key=lambda token: -token[1])[:TOP_TOKENS]
    rows = [
        [f"“{text.strip() or text}”", number(nll, 2), _odds(nll), _expected(alternatives)]
        for text, nll, alternatives in worst
    ]
    return f"""<div class="lesson"><p><b>Question.</b> {escape(row["question"])}</p>{markup.surprisal_legend()}
    <div class="cards two"><article class="card"><header>The expert's solution</header>{markup.surprisal(tokens["expert"])}</article>
    <article class="card"><header>The same solution, rewritten as the backbone answers</header>{markup.surprisal(tokens["rewrite"])}</article></div>
    <p>Both are right. The expert's text costs the backbone {number(row["nll_expert"], 2)} nats a token, the rewrite {number(row["nll_rewrite"], 2)}.
    Where the expert surprised it most:</p>{markup.table(("Token", "Nats", "Its probability", "The backbone expected"), rows)}</div>"""


def _expected(alternatives: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"“{text.strip() or text}” ({percent(p, 0)})" for text, p in alternatives[:2])


def _odds(nll: float) -> str:
    """A probability as 1 in N, N to two figures."""
    odds = math.exp(nll)
    scale = 10 ** max(0, math.floor(math.log10(odds)) - 1)
    return f"1 in {round(odds / scale) * scale:,.0f}"


def off_distribution(lesson: Lesson) -> str:
    scan = lesson.scan
    return f"""<div class="lesson"><h3>What “off-distribution” looks like</h3><p class="lead">Fine-tuning pulls the model towards every token of its data. How hard it must pull
    shows in the <b>surprisal</b>: −log p of a token, given the text before it. Its mean over a text is <b>ℓ</b>.</p>
    <p>Over {len(scan["expert_nll"])} questions the expert's solutions have a mean ℓ of <b>{number(scan["expert_mean"], 2)}</b> nats a token, the
    backbone's own answers <b>{number(scan["own_mean"], 2)}</b>: {number(scan["gap"], 1)} standard deviations apart. The expert is
    <b>off-distribution</b>.</p></div>"""


def why_not_prompt(lesson: Lesson) -> str:
    arms, asked = lesson.result["arms"], lesson.scan["own_style"]
    nll = lesson.rewrite_nll
    examples = "".join(
        card(
            f"{escape(STYLE_WORDS.get(name, '').capitalize())} {markup.verdict(row)}",
            row["rewrite"],
            _nll(row.get("nll_rewrite", row.get("nll"))),
        )
        for name, row in lesson.prompted_examples()
    )
    styles = ""
    if lesson.in_lab:
        rows = [[display_name(arm), *(percent(lesson.styles(arm)[name], 0) for name in STYLES)] for arm in lesson.arms]
        looks = markup.table(("Rewrites", *(STYLE_WORDS[name] for name in STYLES)), rows)
        styles = f"<h4>What the rewrites look like</h4>{looks}"
    table = [
        [
            display_name(arm), percent(lesson.accepted(arm), 0), number(sum(nll(arm)) / len(nll(arm)), 2),
            percent(arms[arm]["target"]["mean"]), percent(arms[arm]["general"]["mean"]),
        ]
        for arm in lesson.arms
    ]  # fmt: skip
    return f"""<div class="lesson"><h3>Why prompting is not enough</h3><p class="lead">One can simply ask the backbone to rewrite the expert in its own words. Then
    {percent(asked["passed"] / asked["scorable"], 0)} of its rewrites keep the right answer with valid steps, and
    {percent(asked["share"], 0)} of these are as likely as its own answers.</p>
    <div class="cards five">{examples}</div>{styles}
    <h4>And what becomes of a model fine-tuned on rewrites</h4>
    {markup.table(("Rewrites", "Pass the gate", "ℓ of those", "Word problems, right", "General skills, right"), table)}
    <p class="note">A rewrite that fails the gate falls back to the expert's text. Best-of-K keeps the passing one with the lowest ℓ of
    several prompted rewrites.</p></div>"""


def _nll(value: float | None) -> str:
    return f'<p class="note">ℓ {number(value)} nats per token</p>'


def three_rewards(lesson: Lesson) -> str:
    group = lesson.group
    gain, whose = "", "of this recording"
    if lesson.reward.kind == "gain":
        gain = """<p>This recording's rewriter earned the <b>gain</b> instead, gate · (β + (1 − β) · u + λ<sub>d</sub> · u · diversity): u is
        how much of the way from the expert's ℓ to that of own answers a rewrite goes, and β is small.</p>"""
    if not lesson.in_lab:
        whose = "of the lab's recording, whose small model ships with PatchRL"
    fetch = (
        "" if lesson.in_lab else " To edit rewrites of this recording's model, fetch it and open Compare, Playground."
    )
    return f"""<div class="lesson"><h3>What the three rewards do</h3><p class="lead">The <b>rewriter</b> samples a group of rewrites and learns from their rewards:</p>
    <p class="formula">reward = gate · (1 + λ<sub>a</sub> · alignment + λ<sub>d</sub> · diversity)</p>
    <ul><li><b>Gate</b>: 1 if the final answer is right and every equation that is written holds, else 0, and nothing else counts.
    It asks for no equation; step 7 shows what that leads to, and a gate that does ask.</li>
    <li><b>Alignment</b>: how little the text surprises the frozen backbone, compared with the group's other passing texts.</li>
    <li><b>Diversity</b>: what the text adds to the variety of the passing ones.</li></ul>{gain}
    <p>Below are four texts for one question {whose}: a right rewrite from step {group["step"]} (A), one that the backbone wrote
    when it was only asked (B), a copy of the expert (C), and a wrong rewrite (D). <b>Edit them</b> and see what the rewards say:
    the gate is the real one, and the lab's backbone reads your text as you type. Alignment and diversity compare within the
    group, so that an edit of one text changes the rewards of the others.{fetch}</p>
    <p><b>Question.</b> {escape(group["question"])} <b>Right answer:</b> {escape(group["reference"])}</p>
    <p><b>Expert.</b> {escape(group["solution"])}</p></div>"""


def replay(lesson: Lesson) -> str:
    first, last = lesson.at(1), lesson.at(lesson.steps)
    shares = (first.get("own_style_share"), last.get("own_style_share"))
    like = f"the share that is as likely as the backbone's own answers from {percent(shares[0], 0)} to {percent(shares[1], 0)}"
    if lesson.in_lab:
        asked, trained = (percent(lesson.styles(arm)["own"], 0) for arm in ("prompted", "rl"))
        like = f"""{trained} of what the trained rewriter writes looks like the backbone's own answers, and {asked} of what the backbone
        writes when it is only asked"""
    return f"""<div class="lesson"><h4>Watch it being trained</h4><p>The recorded training, step by step, through the same reader as a live
    run. From step 1 to step {lesson.steps} the gate's pass rate went from {percent(first["consistency"], 0)} to
    {percent(last["consistency"], 0)}, ℓ of passing rewrites from {number(first["nll"], 2)} to {number(last["nll"], 2)} nats a token; {like}.</p></div>"""


def what_is_forgotten(lesson: Lesson) -> str:
    result = lesson.result
    lost = lesson.lost("expert")
    foreign = sum(lesson.marked(after["answer"]) for _, after in lost)
    answers = "".join(
        card(f"{escape(display_name(arm))} {right(row['passed'])}", row["answer"])
        for arm, row in lesson.same_question()
    )
    question = lesson.same_question()[0][1]["question"]
    headers, rows = tables.skill_rows(result)
    return f"""<div class="lesson"><h3>What is forgotten, and what is kept</h3><p class="lead">{escape(sentences.headline(result))}</p>
    {markup.table(tables.RESULT_HEADERS[:7], [row[:7] for row in tables.result_rows(result)])}
    <p class="note">{escape(lesson.about)} In brackets 95 % intervals over the questions. The studies in the README have several
    seeds and two rates.</p>
    <h4>One question, asked of every model</h4><p>{escape(question)}</p><div class="cards">{answers}</div>
    <details><summary>Every task</summary>{markup.table(headers, rows)}</details>
    <p><b>Read with care.</b> Of the {len(lost)} general questions that expert data made it lose, {foreign} are now answered with the
    expert's “{escape(lesson.mark)}”: that much of the forgetting is the expert's format taking over.</p></div>"""


def scored_card(row: dict[str, Any], lambda_dist: float, lambda_div: float) -> str:
    """Verdict, rewards and the sum written out, of one candidate of the editable group."""
    gate = row["consistency"]
    if gate is None:
        written = "reward: not scored"
    else:
        written = (
            f"{number(gate, 0)} · (1 + {compact(lambda_dist)} · {number(row['alignment'], 2)} + "
            f"{compact(lambda_div)} · {number(row['diversity'])}) = "
            f"{number(row['reward'])}"
        )
    source = (
        ""
        if row["read"]
        else '<p class="note">⏳ ℓ is that of the text before your edit: the backbone is reading (the first time it has to load, some seconds).</p>'
    )
    return (
        f"{markup.verdict(row)}{markup.bar('ℓ, nats', row['nll'], 2.5)}{markup.reward_bars(row)}"
        f'<p class="sum">{written}</p>{source}'
    )


LESSON_CSS = """
.lesson{max-width:1080px;line-height:1.55}.lesson .lead{font-size:1.1em;line-height:1.5}.lesson h4{margin:1.1em 0 .4em;font-weight:600;font-size:1.04em}
.lesson h3{margin:.2em 0 .5em;font-weight:650;font-size:1.35em}.lesson .cards.five{grid-template-columns:repeat(auto-fit,minmax(190px,1fr))}
.lesson .note,.answers .note{opacity:1}.lesson .verdict{white-space:nowrap}.lesson table.plain{border:0;margin:0}.lesson table.plain tr{border:0}
.lesson ul{margin:.3em 0 .6em 1.2em;list-style:disc}.lesson p{margin:.6em 0}.lesson details summary{cursor:pointer;padding:4px 0}
.tiles{display:grid;gap:10px;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));margin:14px 0}
.tile{border:1px solid rgba(128,128,128,.35);border-radius:10px;padding:12px 14px;display:grid;gap:2px;align-content:start}
.tile b{font-size:1.6em;font-weight:650;font-variant-numeric:tabular-nums;white-space:nowrap}.tile small{opacity:.8}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.pair{margin:.4em 0 1em}.formula{font-size:1.15em;padding:10px 14px;border-left:4px solid #009E73;background:rgba(0,158,115,.1);border-radius:0 8px 8px 0}
.sum{font-variant-numeric:tabular-nums;font-size:.9em;margin:.5em 0}
#lesson button[role=tab][aria-selected=true]{color:#047857!important}.dark #lesson button[role=tab][aria-selected=true]{color:#34d399!important}
.bar u.nats{background:#7f7c75}
"""


def the_trap(sentences: Sequence[str]) -> str:
    """The template trap in words (`trap.sentences`); its figure follows."""
    what, example, remedy = map(escape, sentences)
    return f"""<div class="lesson"><h3>The template trap</h3><p class="lead">{what}</p><p>{example}</p><p>{remedy}</p></div>"""
