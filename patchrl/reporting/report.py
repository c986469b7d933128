"""The report of a run: one HTML file with its figures inside, readable without a network, and on paper."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from patchrl.config import RewardSection, StudyConfig, arms, to_toml
from patchrl.config.arms import display_name, parse, sources_in_order
from patchrl.evaluation.changes import ArmChanges, read_changes
from patchrl.reporting import changed, curves, figures, findings, markup, samples_table, sentences, tables
from patchrl.reporting.gain_forgetting import gain_forgetting_figure
from patchrl.rewards.group import part_weights
from patchrl.runs import embeddings
from patchrl.runs.events import read_events
from patchrl.runs.folder import RunFolder
from patchrl.runs.samples import SampleRow, read_samples
from patchrl.text import compact, duration, listed

EXAMPLES_PER_KIND = 3  # examples of each kind
STYLE, SCRIPT = (Path(__file__).with_name(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
ReportSection = tuple[str, str]  # title (none for what opens the page) and HTML


def report_of(config: StudyConfig, folder: RunFolder, result: dict[str, Any]) -> str:
    """The page of a run, from the files of its folder and its result; examples come from its first seed."""
    seed = config.study.seeds[0]
    sources = [source for source in sources_in_order(map(parse, config.study.arms)) if source != "expert"]
    rewrites = {source: read_samples(folder.samples(source, seed)) for source in sources}
    compared = {
        arm: values.get("learning_rate", config.finetune.learning_rate[0]) for arm, values in result["arms"].items()
    }
    changes = read_changes(config, folder, compared, result["seeds"])
    return build_report(config, read_events(folder.events), result, rewrites, embeddings.embedding_map(folder), changes)


def build_report(
    config: StudyConfig,
    events: Sequence[dict[str, Any]],
    result: dict[str, Any],
    rewrites: dict[str, list[SampleRow]],
    embedding_map: dict[str, Any] | None = None,
    changes: Sequence[ArmChanges] = (),
) -> str:
    """The whole page as one string; plotly.js and all data are inside. `rewrites`: source -> rows."""
    from plotly.offline import get_plotlyjs

    scan = next((e for e in reversed(events) if e["kind"] == "scan"), None)
    drawn, over_training = (
        _figures(events, result, embedding_map, config.reward),
        figures.mismatch_over_training(events),
    )
    sections = [
        _results(result),
        _comparisons(result),
        _learning_rates(result),
        ("Every task", _slot("tasks", "wide") + "<p class='note'>Bars: 95 % intervals over items and seeds.</p>"),
        (
            "Every seed",
            markup.table(tables.SEED_HEADERS, tables.seed_rows(result)),
        ),
        (
            "What changed",
            markup.table(tables.CHANGE_HEADERS, shares) if (shares := tables.change_rows(result)) else "",
        ),
        ("What was forgotten, one by one", changed.report_section(changes)),
        ("Data", _data(config)),
        ("Method", _method(config)),
        ("Mismatch", _mismatch(scan, drawn, over_training is not None)),
        _training(events, drawn),
        ("Fine-tuning", _slot("loss", "wide") if "loss" in drawn else ""),
        ("Example rewrites", "".join(_examples(source, rows) for source, rows in rewrites.items())),
        ("Cost", _cost(result)),
        ("How to repeat it", _repeat(config, result)),
    ]
    sections = [(title, body) for title, body in sections if body]
    links = "".join(f"<a href='#{_anchor(title)}'>{title}</a>" for title, _ in sections)
    body = "".join(f"<h2 id='{_anchor(title)}'>{title}</h2>{body}" for title, body in sections)
    data = json.dumps([drawn, over_training], ensure_ascii=False).replace("<", "\\u003c")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
        "content='width=device-width, initial-scale=1'><title>PatchRL report</title>"
        f"<style>{markup.REPORT_CSS}{STYLE}</style><script>{get_plotlyjs()}</script></head><body>"
        f"<h1>PatchRL report</h1>{_question(result)}<nav aria-label='Sections'>{links}</nav>{body}"
        f"<script>{markup.DISTRIBUTION_SLIDER}const [figures, overTraining] = {data};{SCRIPT}</script></body></html>"
    )


def _figures(
    events: Sequence[dict[str, Any]],
    result: dict[str, Any],
    embedding_map: dict[str, Any] | None,
    reward: RewardSection,
) -> dict[str, figures.Figure]:
    drawn = {
        "plane": gain_forgetting_figure(result),
        "tasks": figures.task_figure(result),
        "map": figures.embedding_figure(**embedding_map) if embedding_map else None,
        "loss": curves.loss_figure(events),
        **{f"curve-{name}": figure for name, figure in curves.training_figures(events, reward=reward).items()},
    }
    return {name: figure for name, figure in drawn.items() if figure}


# --- sections -------------------------------------------------------------------------------------


def _question(result: dict[str, Any]) -> str:
    others = [display_name(arm) for arm in result["arms"] if arm != "expert"]
    question = (
        f"Fine-tuned on {result['dataset']}, how much of its general skill does {result['backbone']} lose, and "
        f"{'do' if len(others) > 1 else 'does'} {listed(others)} keep more of it at the same target score than plain SFT on the expert's "
        "text?"
        if others
        else f"Fine-tuned on {result['dataset']}, how much of its general skill does {result['backbone']} lose?"
    )
    seeds = result["seeds"]
    return (
        f"<p class='note'>backbone {markup.escape(result['backbone'])} · dataset {markup.escape(result['dataset'])} · "
        f"seeds {', '.join(map(str, seeds))}</p><p><b>Question.</b> {markup.escape(question)}</p>"
        f"<p class='lead'><b>Answer.</b> {markup.escape(sentences.headline(result))}</p>"
    )


def _results(result: dict[str, Any]) -> ReportSection:
    return "Results", (
        _slot("plane", "wide")
        + markup.table(tables.RESULT_HEADERS, tables.result_rows(result))
        + "<p class='note'>Brackets, and bars in the figure: 95 % intervals over items and seeds; small marks are "
        "single seeds. Forgotten in points: backbone − tuned, mean over general tasks. Relative: (backbone − tuned) / "
        "backbone, mean over tasks. Drop avoided: 1 − (drop of the arm) / (drop of plain SFT). No answer: nothing "
        "readable as an answer, which is a lost format rather than lost knowledge.</p>"
    )


def _comparisons(result: dict[str, Any]) -> ReportSection:
    """Which arm is better: sentences on plain SFT and on RL, and the table of all pairs."""
    rows = tables.comparison_rows(result)
    if not rows:
        return "Which arm is better", ""
    texts = [
        *sentences.comparison_sentences(result, tables.main_arms(result)),
        sentences.detectable_sentence(result),
    ]
    return "Which arm is better", (
        "<ul>" + "".join(f"<li>{markup.escape(text)}</li>" for text in texts if text) + "</ul>"
        f"<details><summary>All {len(rows)} comparisons</summary>{markup.table(tables.COMPARISON_HEADERS, rows)}</details>"
        f"<p class='note'>{markup.escape(result['comparisons']['method'])}</p>"
    )


def _learning_rates(result: dict[str, Any]) -> ReportSection:
    rows = tables.rate_rows(result)
    note = (
        "<p class='note'>Arms are compared at their own best rate: the lowest whose target score on a third of the "
        "held-out examples is within one standard error of the arm's best there. Those examples are reported nowhere "
        "else.</p>"
    )
    return "Every learning rate", markup.table(tables.RATE_HEADERS, rows) + note if rows else ""


def _data(config: StudyConfig) -> str:
    chooses = ", of which a third only chooses the learning rate" if config.finetune.sweeps else ""
    measured = {
        "held-out": f"up to {config.data.eval_size} held-out examples of the same data{chooses}",
        "nano": f"the lab's ten skills, {config.evaluate.general_size} items",
        "everyday": f"everyday questions, at most {config.evaluate.general_size}",
    }
    facts = {
        "Dataset": config.data.dataset + (f", {config.data.config}" if config.data.config else ""),
        "Task": config.data.task or "detected from the data",
        "Trained on": f"up to {config.data.train_size} examples",
        "Target": listed([measured.get(name, name) for name in config.evaluate.target]),
        "General": listed([measured.get(name, name) for name in config.evaluate.general]) or "not measured",
    }
    return _facts(facts)


ALIGNMENT_WORDS = {
    "mean": "how likely the frozen backbone finds it per token, given the question alone",
    "kl": "how much likelier the frozen backbone finds it given the question alone than the rewriter does",
}


def _method(config: StudyConfig) -> str:
    reward, rewriter = config.reward, config.rewriter
    warm = (
        f"It starts with {rewriter.warm_start_steps} supervised steps on the backbone's own answers that pass the gate. "
        if rewriter.warm_start_steps
        else ""
    )
    paragraph = (
        f"<p>A rewriter, the backbone with a LoRA adapter, is trained by GRPO to restate each expert solution. {warm}One rewrite's "
        f"reward in its group of {rewriter.group_size} is {_reward_words(reward)}. Each example is then rewritten, verified by the same gate, and "
        f"{'replaced by the expert’s text' if config.rewrite.fallback == 'expert' else 'dropped'} where that fails. Every arm "
        "is fine-tuned on the same examples for as many steps and evaluated alike (arXiv 2602.11220).</p>"
    )
    rows = {display_name(name): _arm_words(name) for name in config.study.arms}
    return paragraph + _facts(rows)


def _reward_words(reward: RewardSection) -> str:
    """The formula of the reward, with its terms."""
    gate = "the gate g (right answer, valid reasoning)"
    passing, aligned, diverse = (compact(weight) for weight in part_weights(reward))
    if reward.kind == "gain":
        return (
            f"r = g · ({passing} + {aligned} · u + {diverse} · u · d): {gate}, the share u of the gap in ℓ between "
            "the expert and the backbone's own answers that the rewrite closes, and diversity d"
        )
    return (
        f"r = g · ({passing} + {aligned} · a + {diverse} · d): {gate}, alignment a ({ALIGNMENT_WORDS[reward.alignment]}) "
        "and diversity d"
    )


def _arm_words(name: str) -> str:
    arm, methods = arms.parse(name), arms.LOSSES | arms.ON_POLICY
    # An on-policy method says itself what it does with the expert's text.
    parts = [] if arm.loss in arms.ON_POLICY and arm.source == "expert" else [arms.SOURCES[arm.source].help]
    chosen = [] if arm.loss == "nll" else [(methods[arm.loss], arm.loss_number)]
    chosen += [(arms.TUNINGS[tuning], number) for tuning, number in arm.tunings.items()]
    for part, number in chosen:
        parts.append(part.help + (f", {part.number} {number:g}" if part.number and number is not None else ""))
    return "; ".join(parts)


def _mismatch(scan: dict[str, Any] | None, drawn: dict[str, Any], over_training: bool) -> str:
    return (
        (findings.as_html(scan) if scan else "<p>Not scanned.</p>")
        + ("<div id='distribution-slider'></div>" if over_training else "")
        + (_slot("map", "wide") if "map" in drawn else "")
    )


def _training(events: Sequence[dict[str, Any]], drawn: dict[str, Any]) -> ReportSection:
    names = [name.removeprefix("curve-") for name in drawn if name.startswith("curve-")]
    if not names:
        return "Training of the rewriter", ""
    main, more = (
        "".join(_slot(f"curve-{name}") for name in names if (name in curves.MAIN_CURVES) is is_main)
        for is_main in (True, False)
    )
    warnings = markup.alarms(events) + markup.messages(sentences.warnings(events))
    return "Training of the rewriter", (
        f"{warnings or '<p>No warning: no monitor saw a rewriter that wins its reward without rewriting.</p>'}"
        f"<div class='figures main'>{main}</div>"
        "<p class='note'>A line per seed; around a single one a band of one standard deviation over a step's rewrites; ▼ is an alarm. Watched at "
        "every step: copies, mentions of the given solution, collapsing length, lost equations, one opening for all, fewer "
        f"wordings and phrases than the backbone's own answers.</p><div class='figures'>{more}</div>"
    )


def _cost(result: dict[str, Any]) -> str:
    rows = [
        [
            display_name(arm),
            f"{v['cost']['tokens']:,.0f}",
            duration(v["cost"]["seconds"]),
            duration(v["cost"].get("finetune_seconds")),
        ]
        for arm, v in result["arms"].items()
    ]
    spent = result.get("seconds", {})
    stages = [[stage, duration(s)] for stage, s in spent.items()]
    return (
        markup.table(("Arm, a seed", "Tokens sampled", "Making its targets", "Fine-tuning"), rows)
        + "<p class='note'>As if each arm had been run alone: training of its rewriter included.</p>"
        + (markup.table(("Stage, the whole study", "Time"), [*stages, ["all", duration(sum(spent.values()))]]) if spent else "")
    )  # fmt: skip


def _repeat(config: StudyConfig, result: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result.get("versions", {}).items())
    every = "".join(
        f"<tr><td>{section}.{key}</td><td class='text'>{markup.escape(json.dumps(value, ensure_ascii=False))}</td></tr>"
        for section, values in config.model_dump(mode="json").items()
        for key, value in values.items()
    )
    return (
        "<p>Save as <code>study.toml</code>, then run</p><pre class='code'>python -m patchrl run study.toml</pre>"
        f"<pre class='code'>{markup.escape(to_toml(config)) or '# every setting has its default value'}</pre>"
        + (f"<p>With {markup.escape(versions)}.</p>" if versions else "")
        + "<details><summary>Every setting</summary><table class='plain'><thead><tr><th>Setting</th><th>Value</th></tr></thead>"
        f"<tbody>{every}</tbody></table></details>"
    )


def _examples(source: str, rows: list[SampleRow]) -> str:
    """Good, bad and random rewrites of one source, no row twice."""
    accepted = samples_table.select(rows, keep="accepted")
    kinds = {
        "Good: the biggest gains in ℓ": samples_table.by_column(accepted, "gain", descending=True)[:EXAMPLES_PER_KIND],
        "Bad: refused by the gate": samples_table.select(rows, keep="fallback")[:EXAMPLES_PER_KIND],
        "Bad: accepted, with the smallest gains": samples_table.by_column(accepted, "gain", descending=False)[
            :EXAMPLES_PER_KIND
        ],
    }
    seen = {row["id"] for chosen in kinds.values() for row in chosen}
    unseen = [row for row in rows if row["id"] not in seen]
    kinds["At random"] = random.Random(0).sample(unseen, min(EXAMPLES_PER_KIND, len(unseen)))
    shown_ids, parts = set[str](), [f"<h3>{markup.escape(display_name(source))}</h3>"]
    for title, chosen in kinds.items():
        new = [row for row in chosen if row["id"] not in shown_ids]
        shown_ids |= {row["id"] for row in new}
        if new:
            details = "".join(markup.sample_detail(row, None) for row in new)
            parts.append(
                f"<details{' open' if len(shown_ids) == len(new) else ''}><summary>{title}</summary>{details}</details>"
            )
    return "".join(parts)


# --- pieces ---------------------------------------------------------------------------------------


def _slot(name: str, kind: str = "") -> str:
    return f"<div class='{kind}' data-figure='{name}'></div>"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _facts(facts: dict[str, str]) -> str:
    items = "".join(f"<dt>{markup.escape(name)}</dt><dd>{markup.escape(text)}</dd>" for name, text in facts.items())
    return f"<dl class='facts'>{items}</dl>"
