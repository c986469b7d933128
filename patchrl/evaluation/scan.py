"""Mismatch scan: how surprising expert solutions are to the backbone, next to its own answers. Trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from patchrl.config import RewriterSection, RewriteSection, StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.evaluation import mismatch
from patchrl.evaluation.advice import advise
from patchrl.evaluation.mismatch import AnswerSurprisal
from patchrl.evaluation.repetition import repetition
from patchrl.grading.calibration import Calibration, Thresholds, calibrate
from patchrl.grading.coverage import claim_kinds
from patchrl.grading.derivation import reasoning_kinds
from patchrl.grading.gate import Gate
from patchrl.grading.pairs import sentence_similarities, text_shares
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewriting.clean import RULES
from patchrl.runs.context import StageContext
from patchrl.runs.embeddings import write_embeddings
from patchrl.types import Example, Generation

MAX_QUESTIONS = 128
TOKENS_BEFORE, TOKENS_AFTER = 12, 6  # tokens of context around a surprising one
MAX_ROW_CHARACTERS = 1000  # characters of a text in the rows shown


def scan(context: StageContext, examples: Sequence[Example]) -> dict[str, Any]:
    """ℓ of expert solutions, of their prompted rewrites and of the backbone's own sampled answers, on up to
    128 questions, and what follows from it before anything is trained.

    Returns plain data: `expert_nll`, `own_nll`, `prompted_nll` (nats per token), their `quantiles`, the means of
    the first two, the standardised `gap` with `gap_ci95`; `divergences` (see mismatch.divergences); the most
    off-distribution `rows` and `tokens` of the expert; `clipped`, the share of own answers cut off by the length
    limit; `own_sampling`, the temperature and top-p of own answers; `removable`, the share of the expert's surprisal that
    each rule of the arm `clean` takes away; `own_right`, how many of those `passed` the gate and how many were `scorable`; `own_style`
    (mismatch.own_style) and `recommendation` (advice.advise); `repetition` of all examples
    (repetition.repetition). Where the gate asks for a derivation, `reasoning` says how it judges the rows
    (derivation.reasoning_kinds), and where it asks for coverage (coverage.claim_kinds). For open data `open_gate` is the
    gate's calibration on the same examples, for coverage `coverage_gate` and `sentence_gate`. The embeddings of all three sources go to the run's folder.
    """
    config, gate, recorder = context.config, context.gate, context.recorder
    sample, backbone = list(examples)[:MAX_QUESTIONS], gate.backbone
    questions = [e.question for e in sample]
    prompts = [rewrite_prompt(config.rewriter.instruction, e.question, e.solution) for e in sample]
    recorder.event("phase", name="own answers", prepares=True)
    answers = backbone.generate(
        questions,
        temperature=config.rewriter.temperature,
        top_p=config.rewriter.top_p,
        max_new_tokens=config.evaluate.max_new_tokens,
        on_progress=lambda done: recorder.progress(done, len(sample)),
    )
    started = context.clock()
    recorder.event("phase", name="prompted rewrites", prepares=True)
    rewrites = backbone.generate(
        prompts,
        temperature=config.rewrite.temperature,
        top_p=config.rewrite.top_p,
        max_new_tokens=config.rewriter.max_new_tokens,
        on_progress=lambda done: recorder.progress(done, len(sample)),
    )
    seconds = context.clock() - started
    recorder.event("phase", name="reading the texts", prepares=True)
    own, prompted = [a[0] for a in answers], [r[0] for r in rewrites]
    texts: dict[str, list[Any]] = {
        "expert": [e.solution for e in sample],
        "own": [a.token_ids for a in own],
        "prompted": [r.token_ids for r in prompted],
    }
    scores = {name: backbone.score(questions, members, top=int(name == "expert")) for name, members in texts.items()}
    gate_texts = texts | {"own": [a.text for a in own], "prompted": [r.text for r in prompted]}
    vectors = {name: np.asarray(gate.embedder.embed(gate_texts[name], scores[name])) for name in texts}
    write_embeddings(context.folder.embeddings("scan"), [e.id for e in sample], vectors)
    lengths = {
        "expert": [len(s.tokens) for s in scores["expert"]],
        "own": [len(a.token_ids) for a in own],
        "prompted": [len(r.token_ids) for r in prompted],
    }
    surprise = {name: AnswerSurprisal.of([s.nll for s in members], lengths[name]) for name, members in scores.items()}
    nll = mismatch.rounded(surprise)
    result: dict[str, Any] = {f"{name}_nll": values for name, values in nll.items()}
    result |= {
        "quantiles": {name: mismatch.quantiles(values) for name, values in nll.items()},
        "clipped": sum(a.clipped for a in own) / len(own),
        "own_sampling": {"temperature": config.rewriter.temperature, "top_p": config.rewriter.top_p},
        "removable": removable_surprisal(backbone, sample, scores["expert"]),
        "repetition": repetition([e.question for e in examples], [e.solution for e in examples]),
    }
    if gate.verifier.reasoning == "derivation" and sample[0].task == "math":
        result["reasoning"] = reasoning_kinds(examples)
    if sample[0].task == "open":
        result["open_gate"] = calibrate_meaning(gate, sample, gate_texts["prompted"]).summary()
    if gate.asks_coverage:
        result["reasoning"] = claim_kinds(examples)
        result |= calibrate_coverage(gate, sample, gate_texts["prompted"])
    gate.thresholds = Thresholds.of(result)
    passed = {
        name: [v.passed for v in gate.check(sample, gate_texts[name], vectors[name])] for name in ("prompted", "own")
    }
    right = {"passed": passed["own"].count(True), "scorable": len(sample) - passed["own"].count(None)}
    own_style = mismatch.own_style(passed["prompted"], surprise["prompted"].nll_N, surprise["own"].nll_N)
    tokens = sum(lengths["prompted"]) + len(sample)  # each rewrite's end-of-turn token counts, as in the arms' costs
    result |= {
        "own_right": right,
        "own_style": own_style,
        "recommendation": advise(
            config, own_style, len(examples), tokens / len(sample), tokens / max(seconds, 1e-6), right["passed"] > 0
        ),
    }
    if not nll["expert"] or not nll["own"]:
        return result | {"gap": None}
    means = {name: float(np.mean(nll[name])) for name in ("expert", "own")}
    under_prompt = _under_prompt(config, backbone, prompts, prompted)
    return result | {
        "expert_mean": means["expert"],
        "own_mean": means["own"],
        "gap": mismatch.standardised_gap(surprise["expert"].nll_N, surprise["own"].nll_N),
        "gap_ci95": mismatch.gap_interval(surprise["expert"].nll_N, surprise["own"].nll_N),
        "divergences": mismatch.divergences(
            surprise["expert"],
            surprise["own"] if _is_plain(config.rewriter) else None,
            surprise["prompted"],
            under_prompt,
        ),
        "rows": _worst_rows(sample, surprise["expert"].nll_N, own),
        "tokens": _worst_tokens(backbone, sample, [s.tokens for s in scores["expert"]], surprise["own"]),
    }


def removable_surprisal(backbone: Backbone, examples: Sequence[Example], scores: Sequence[Score]) -> dict[str, float]:
    """The share of the expert solutions' surprisal that each rule of the arm `clean` takes away, by the rule's name.

    `scores` are those of the solutions. A rule that changes no text is left out; a share is below 0 where the cleaned
    texts surprise more.
    """
    solutions = [example.solution for example in examples]
    total = sum(float(score.surprisal[:-1].sum()) for score in scores)
    shares = {}
    for name, rule in RULES.items():
        texts = rule(solutions)
        changed = [i for i, text in enumerate(texts) if text != solutions[i]]
        if not changed or not total:
            continue
        cleaned = backbone.score([examples[i].question for i in changed], [texts[i] for i in changed])
        saved = sum(float(scores[i].surprisal[:-1].sum()) for i in changed)
        saved -= sum(float(score.surprisal[:-1].sum()) for score in cleaned)
        shares[name] = saved / total
    return shares


def _is_plain(section: RewriterSection | RewriteSection) -> bool:
    """Whether texts are sampled from the whole distribution at temperature 1."""
    return section.temperature == 1.0 and section.top_p == 1.0


def _under_prompt(
    config: StudyConfig, backbone: Backbone, prompts: Sequence[str], rewrites: Sequence[Generation]
) -> AnswerSurprisal | None:
    """Surprisal of the rewrites under the prompt they were sampled from; None where temperature or top-p bent that."""
    if not _is_plain(config.rewrite):
        return None
    scores = backbone.score(prompts, [r.token_ids for r in rewrites])
    return AnswerSurprisal.of([s.nll for s in scores], [len(r.token_ids) for r in rewrites])


def _worst_rows(sample: Sequence[Example], nll_N: np.ndarray, own: Sequence[Generation]) -> list[dict[str, Any]]:
    """The expert solutions with the highest ℓ, each beside the backbone's own answer."""
    return [
        {
            "id": sample[i].id,
            "question": _cut(sample[i].question),
            "expert": _cut(sample[i].solution),
            "own": _cut(own[i].text),
            "nll": round(float(nll_N[i]), 4),
        }
        for i in mismatch.most_surprising(nll_N)
    ]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ROW_CHARACTERS else text[:MAX_ROW_CHARACTERS].rstrip() + "…"


def _worst_tokens(backbone: Backbone, sample: Sequence[Example], tokens, own: AnswerSurprisal) -> list[dict[str, Any]]:
    """The tokens that make the gap, each with its most surprising place in context."""
    usual = float(np.nansum(own.total_N) / own.tokens_N.sum())
    worst = []
    for kind in mismatch.surprising_tokens(tokens, usual):
        ids, at = backbone.completion_ids(sample[kind.row].solution), kind.position
        start, end = max(0, at - TOKENS_BEFORE), at + 1 + TOKENS_AFTER
        context = {
            "before": ("…" if start else "") + backbone.tokenizer.decode(ids[start:at]),
            "after": backbone.tokenizer.decode(ids[at + 1 : end]) + ("…" if end < len(ids) else ""),
        }
        worst.append({"text": kind.text, "count": kind.count, "mean": kind.mean, "share": kind.share} | context)
    return worst


def calibrate_meaning(gate: Gate, examples: Sequence[Example], texts: Sequence[str]) -> Calibration:
    """The similarity threshold of open answers, from the data's own pairs.

    Same meaning: an expert solution and its prompted rewrite, of `texts`. Different: the expert solution
    and the rewrite of the next example.
    """
    pairs = [(e, t, other) for e, t, other in zip(examples, texts, [*texts[1:], texts[0]], strict=True) if t and other]
    experts = [e for e, _, _ in pairs]
    same = gate.similarity(experts, [t for _, t, _ in pairs])
    different = gate.similarity(experts, [other for _, _, other in pairs])
    return calibrate(same.tolist(), different.tolist())


def calibrate_coverage(gate: Gate, examples: Sequence[Example], texts: Sequence[str]) -> dict[str, Any]:
    """The thresholds of coverage from the data's own pairs, by their keys in the scan's result.

    `coverage_gate` is that of the share of a key sentence (pairs.text_shares), `sentence_gate` that of the similarity of
    two sentences (pairs.sentence_similarities); a key is left out without pairs of both kinds.
    """
    pairs = {
        "coverage_gate": text_shares(examples),
        "sentence_gate": sentence_similarities(examples, texts, gate.embed_sentences),
    }
    return {key: calibrate(same, other).summary() for key, (same, other) in pairs.items() if same and other}
