"""Ways to get an arm's targets, each verified by the same gate. One function per source, in REWRITE_METHODS."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from patchrl.config import StudyConfig
from patchrl.config.instructions import rewrite_prompt
from patchrl.grading.gate import Gate
from patchrl.models.backbone import Backbone
from patchrl.models.scoring import Score
from patchrl.rewards.group_score import Group, JudgedCompletion, judge_completions, score_groups
from patchrl.rewards.own_answers import own_anchor
from patchrl.rewriting.clean import clean_texts
from patchrl.types import Decision, Example, Generation, Rewrite, Verdict

ProgressCallback = Callable[[int], None] | None
ATTEMPT_SEED, GUIDED_SEED = 10_007, 500_009  # offsets, so that no two draws of a study share one


def best_feasible(verdicts: Sequence[Verdict], scores: Sequence[Score]) -> int | None:
    """Index of the passing candidate with the lowest ℓ, None when none passes."""
    passing = [i for i, v in enumerate(verdicts) if v.passed and not math.isnan(scores[i].nll)]
    return min(passing, key=lambda i: scores[i].nll) if passing else None


def first_passing(verdicts: Sequence[Verdict]) -> int | None:
    """Index of the first passing candidate, which is a fair draw among those that pass; None when none does."""
    return next((i for i, verdict in enumerate(verdicts) if verdict.passed), None)


# --- the sources ----------------------------------------------------------------------------------


def one_rewrite(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: ProgressCallback):
    """One rewrite of the expert's solution by whatever adapter the backbone carries, else the expert's text.

    Without an adapter: prompt-based rewriting (compare SDFT, arXiv 2402.13669). With the rewriter's: PatchRL
    (arXiv 2602.11220, generate – verify – fallback).
    """
    return rewrite_examples(config, gate, examples, candidates=1, seed=seed, on_progress=progress)


def best_of_k(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: ProgressCallback):
    """Of K rewrites the passing one with the lowest ℓ.

    Without an adapter: whether RL adds anything to sampling more. With the rewriter's: whether sampling more adds
    anything to RL.
    """
    k = config.rewrite.best_of_k
    return rewrite_examples(config, gate, examples, candidates=k, seed=seed, on_progress=progress)


def cleaned(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: ProgressCallback):
    """The expert's solution without marks that only its data set uses, by rule; nothing is sampled."""
    texts = clean_texts([example.solution for example in examples])
    generations = [Generation(text, tuple(gate.backbone.completion_ids(text))) for text in texts]
    groups = [[judged] for judged in judge_completions(gate, examples, generations)]
    picks = [first_passing([c.verdict for c in group]) for group in groups]
    origins = ["rule"] * len(examples)
    return _decide(config, gate, examples, groups, picks, config.rewrite.fallback, origins, seed), 0


def own_solutions(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: ProgressCallback):
    """The backbone's own correct solutions only, of K sampled answers the first that passes; others are dropped.

    Rejection sampling; "Retaining by Doing" (arXiv 2510.18874) studies what such data keeps and forgets.
    """
    groups, tokens = judged_answers(config, gate, examples, seed, progress, config.rewrite.best_of_k)
    picks = [first_passing([c.verdict for c in group]) for group in groups]
    return _decide(config, gate, examples, groups, picks, "drop", ["own"] * len(examples), seed), tokens


def mind_the_gap(config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: ProgressCallback):
    """Own correct solution, else one re-solved with the expert's shown, else the expert's (arXiv 2509.15157).

    K samples in each of the first two stages, the first that passes is kept. The guided prompt is the
    study's rewriting instruction, so that arms differ in method and not in prompt. The paper's second stage
    is the DFT loss: `mind-the-gap+dft`.
    """
    groups, tokens = judged_answers(config, gate, examples, seed, progress, config.rewrite.best_of_k)
    picks = [first_passing([c.verdict for c in group]) for group in groups]
    unsolved = [i for i, pick in enumerate(picks) if pick is None]
    origins = ["own"] * len(examples)
    if unsolved:
        rows = [examples[i] for i in unsolved]
        guided, more = _sample(
            gate,
            rows,
            config,
            samples=config.rewrite.best_of_k,
            seed=seed * 1_000_003 + GUIDED_SEED,
        )
        tokens += more
        for i, group in zip(unsolved, guided, strict=True):
            groups[i], picks[i], origins[i] = group, first_passing([c.verdict for c in group]), "guided"
    return _decide(config, gate, examples, groups, picks, config.rewrite.fallback, origins, seed), tokens


# By the sources of patchrl.config.arms; `expert` needs no rows, and `rl-drop` starts from those of `rl`.
REWRITE_METHODS = {
    "clean": cleaned,
    "prompted": one_rewrite,
    "best-of-k": best_of_k,
    "rl": one_rewrite,
    "rl-paper": one_rewrite,
    "rl-mean": one_rewrite,
    "rl-best-of-k": best_of_k,
    "rl-no-alignment": one_rewrite,
    "rl-no-diversity": one_rewrite,
    "mind-the-gap": mind_the_gap,
    "self": own_solutions,
}


def resample_own(
    config: StudyConfig, backbone: Backbone, gate: Gate, examples: Sequence[Example], seed: int
) -> tuple[list[tuple[str, str]], int]:
    """(question, own correct answer) pairs of a model as it now is, and the completion tokens sampled.

    Approximately on-policy data, sampled at the start of an epoch (arXiv 2510.18874); `gate` uses the
    frozen backbone.
    """
    groups = _generate_own(config, backbone, examples, seed, None, config.rewrite.best_of_k)
    texts = [g.text for group in groups for g in group]
    verdicts = gate.check([e for e, group in zip(examples, groups, strict=True) for _ in group], texts)
    k = config.rewrite.best_of_k
    picks = [first_passing(verdicts[i * k : (i + 1) * k]) for i in range(len(examples))]
    pairs = [
        (e.question, group[pick].text)
        for e, group, pick in zip(examples, groups, picks, strict=True)
        if pick is not None
    ]
    return pairs, sum(len(g.token_ids) + 1 for group in groups for g in group)


# --- what they are made of ------------------------------------------------------------------------


def rewrite_examples(
    config: StudyConfig,
    gate: Gate,
    examples: Sequence[Example],
    *,
    candidates: int,
    seed: int,
    on_progress: ProgressCallback = None,
) -> tuple[list[Rewrite], int]:
    """Generate, verify, fall back: one Rewrite per example, and the completion tokens sampled.

    Each attempt samples `candidates` rewrites at the configured temperature with whatever adapter the
    backbone carries; the feasible one with the lowest ℓ is kept. Examples without one are tried again
    up to `rewrite.attempts` times and then fall back.
    """
    groups: dict[int, list[JudgedCompletion]] = {}
    picks: dict[int, int | None] = dict.fromkeys(range(len(examples)))
    attempts = dict.fromkeys(range(len(examples)), 0)
    tokens = 0
    for attempt in range(config.rewrite.attempts):
        open_rows = [i for i, pick in picks.items() if pick is None]
        if not open_rows:
            break
        rows = [examples[i] for i in open_rows]
        sampled, more = _sample(
            gate,
            rows,
            config,
            samples=candidates,
            seed=seed * 1_000_003 + attempt * ATTEMPT_SEED,
            progress=on_progress if attempt == 0 else None,
        )
        tokens += more
        for row, group in zip(open_rows, sampled, strict=True):
            groups[row], picks[row] = group, best_feasible([c.verdict for c in group], [c.score for c in group])
            attempts[row] += 1
    ordered = [groups[i] for i in picks]
    origins = ["rewrite"] * len(examples)
    rewrites = _decide(config, gate, examples, ordered, list(picks.values()), config.rewrite.fallback, origins, seed)
    return [replace(rewrite, attempts=attempts[i]) for i, rewrite in enumerate(rewrites)], tokens


def judged_answers(
    config: StudyConfig, gate: Gate, examples: Sequence[Example], seed: int, progress: ProgressCallback, samples: int
) -> tuple[list[list[JudgedCompletion]], int]:
    """`samples` answers to the bare question of every example, judged, and the completion tokens sampled."""
    return _judge(gate, examples, _generate_own(config, gate.backbone, examples, seed, progress, samples))


def _generate_own(
    config: StudyConfig,
    backbone: Backbone,
    examples: Sequence[Example],
    seed: int,
    progress: ProgressCallback,
    samples: int,
) -> list[list[Generation]]:
    """Answers to the bare question, q(x), each."""
    return backbone.generate(
        [e.question for e in examples],
        samples=samples,
        temperature=config.rewrite.temperature,
        top_p=config.rewrite.top_p,
        max_new_tokens=config.rewriter.max_new_tokens,
        seed=seed * 1_000_003,
        on_progress=progress,
    )


def _sample(
    gate: Gate,
    examples: Sequence[Example],
    config: StudyConfig,
    *,
    samples: int,
    seed: int,
    progress: ProgressCallback = None,
) -> tuple[list[list[JudgedCompletion]], int]:
    """`samples` judged rewrites of each example's solution, and the completion tokens sampled."""
    groups = gate.backbone.generate(
        [_rewriting_prompt(config, example) for example in examples],
        samples=samples,
        temperature=config.rewrite.temperature,
        top_p=config.rewrite.top_p,
        max_new_tokens=config.rewriter.max_new_tokens,
        seed=seed,
        on_progress=progress,
    )
    return _judge(gate, examples, groups)


def _judge(
    gate: Gate, examples: Sequence[Example], groups: Sequence[Sequence[Generation]]
) -> tuple[list[list[JudgedCompletion]], int]:
    rows = [(example, generation) for example, group in zip(examples, groups, strict=True) for generation in group]
    judged = iter(judge_completions(gate, [example for example, _ in rows], [generation for _, generation in rows]))
    tokens = sum(len(generation.token_ids) + 1 for _, generation in rows)
    return [[next(judged) for _ in group] for group in groups], tokens


def _rewriting_prompt(config: StudyConfig, example: Example) -> str:
    return rewrite_prompt(config.rewriter.instruction, example.question, example.solution)


def _decide(
    config: StudyConfig,
    gate: Gate,
    examples: Sequence[Example],
    groups: Sequence[Sequence[JudgedCompletion]],
    picks: Sequence[int | None],
    fallback: str,
    origins: Sequence[str],
    seed: int,
) -> list[Rewrite]:
    """The decision on each example: its picked completion, or the first one of a group in which none was picked."""
    chosen = [group[pick or 0] for group, pick in zip(groups, picks, strict=True)]
    experts = _expert_completions(gate, examples)
    rewrites = []
    for example, completion, expert, pick, origin, rewards in zip(
        examples,
        chosen,
        experts,
        picks,
        origins,
        rewards_beside_expert(config, gate, examples, chosen, experts, seed),
        strict=True,
    ):
        text, nll = completion.generation.text, completion.score.nll
        decision: Decision = "fallback" if fallback == "expert" else "dropped"
        target = example.solution if fallback == "expert" else None
        rewrites.append(
            Rewrite(
                example=example,
                text=text,
                verdict=completion.verdict,
                decision=decision if pick is None else "accepted",
                target=target if pick is None else text,
                nll_expert=expert.score.nll,
                nll_rewrite=None if math.isnan(nll) else nll,
                attempts=1,
                rewards=rewards,
                origin=origin,
            )
        )
    return rewrites


def _expert_completions(gate: Gate, examples: Sequence[Example]) -> list[JudgedCompletion]:
    """Every expert solution as a completion that passes."""
    backbone, solutions = gate.backbone, [example.solution for example in examples]
    scores = backbone.score([example.question for example in examples], solutions)
    embeddings_ND = gate.embedder.embed(solutions, scores)
    return [
        JudgedCompletion(Generation(text, tuple(backbone.completion_ids(text))), Verdict(True, "expert"), score, vector)
        for text, score, vector in zip(solutions, scores, embeddings_ND, strict=True)
    ]


def rewards_beside_expert(
    config: StudyConfig,
    gate: Gate,
    examples: Sequence[Example],
    rewrites: Sequence[JudgedCompletion],
    experts: Sequence[JudgedCompletion],
    seed: int,
) -> list[dict[str, float | None]]:
    """The rewards of each rewrite in a group of two with the expert solution.

    On the group's scale, an alignment above 0.5 means: nearer to the backbone than the expert.
    """
    groups = [
        Group(example, _rewriting_prompt(config, example), pair)
        for example, *pair in zip(examples, rewrites, experts, strict=True)
    ]
    anchor = own_anchor(config, gate.backbone, examples, seed)
    return [
        {name: values[0] for name, values in asdict(scored.rewards).items()}
        for scored in score_groups(gate, config.reward, groups, anchor=anchor)
    ]
