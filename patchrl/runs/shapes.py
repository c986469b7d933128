"""What a run's files must hold for those who read them. A file may hold more, as those of later versions do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from patchrl.config.arms import parse

Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Time = Annotated[float, Field(ge=0, le=1e11)]  # seconds since 1970
Count = Annotated[int, Field(ge=0, le=10**12)]
Interval = Annotated[list[Number], Field(min_length=2, max_length=2)] | None
TaskName = Annotated[str, Field(pattern="^[^/]+/.")]
Tasks = dict[TaskName, Number]


class Score(TypedDict):
    mean: Number | None
    per_seed: list[Number]
    ci95: Interval


class Sweep(TypedDict):
    rate: Number
    chosen: bool
    validation: Number | None
    target: Score
    general: Score


class Status(TypedDict):
    state: Literal["queued", "running", "stopping", "done", "failed", "stopped", "cancelled"]
    pid: NotRequired[Count | None]
    pid_started: NotRequired[Time | None]
    launched_by: NotRequired[int | None]
    stage: NotRequired[str | None]
    seed: NotRequired[int | None]
    arm: NotRequired[str | None]
    done: NotRequired[Count]
    total: NotRequired[Count]
    phase: NotRequired[str]
    eta_seconds: NotRequired[Number | None]
    study_eta_seconds: NotRequired[Number | None]
    queued_behind: NotRequired[list[str]]
    queued_at: NotRequired[Time | None]
    upto: NotRequired[str]
    seconds_before: NotRequired[Number]
    first_started: NotRequired[Time | None]
    started: NotRequired[Time | None]
    updated: NotRequired[Time]
    finished: NotRequired[Time | None]
    exit_code: NotRequired[int | None]
    error: NotRequired[str | None]


class Base(TypedDict):
    target: Number | None
    general: Number | None
    by_task: Tasks
    no_answer: Number | None
    target_ci95: NotRequired[Interval]
    general_ci95: NotRequired[Interval]
    by_task_ci95: NotRequired[dict[str, Interval]]


class Forgetting(TypedDict):
    absolute: Number | None
    relative: Number | None
    share_avoided: Number | None
    ci95: Interval
    relative_ci95: NotRequired[Interval]
    share_avoided_ci95: NotRequired[Interval]


class Data(TypedDict):
    nll: Number | None
    diversity: Number | None
    accepted: Number | None


class Cost(TypedDict):
    seconds: Number | None
    tokens: NotRequired[Number | None]


class ArmResult(TypedDict):
    target: Score
    general: Score
    by_task: Tasks
    forgetting: Forgetting
    data: Data
    no_answer: Number | None
    cost: Cost
    learning_rate: NotRequired[Number]
    sweep: NotRequired[list[Sweep]]
    right_to_wrong: NotRequired[Number | None]
    wrong_to_right: NotRequired[Number | None]
    kl: NotRequired[Number | None]
    by_task_ci95: NotRequired[dict[str, Interval]]


class Pair(TypedDict):
    a: str
    b: str
    on: Literal["target", "general"]
    verdict: str
    difference: Number
    ci95: Annotated[list[Number], Field(min_length=2, max_length=2)]
    p_holm: Number
    detectable: Number | None


class Comparisons(TypedDict):
    pairs: list[Pair]
    detectable: NotRequired[dict[str, Number | None]]


class Result(TypedDict):
    version: Literal[1]
    backbone: str
    dataset: str
    seeds: Annotated[list[int], Field(min_length=1)]
    base: Base
    arms: dict[str, ArmResult]
    comparisons: NotRequired[Comparisons]
    seconds: NotRequired[dict[str, Number]]
    versions: NotRequired[dict[str, str]]


class Summary(TypedDict):
    accepted: Number
    tokens: Count
    seconds: Number


class Sample(TypedDict):
    id: str | int
    question: str
    expert: str
    reference: str | None
    rewrite: str
    decision: Literal["accepted", "fallback", "dropped"]
    passed: bool | None
    reason: str | None
    extracted: str | None
    nll_expert: Number | None
    nll_rewrite: Number | None
    target: str | None
    reward: NotRequired[Number | None]
    consistency: NotRequired[Number | None]
    alignment: NotRequired[Number | None]
    diversity: NotRequired[Number | None]


class Prediction(TypedDict):
    id: str | int
    task: TaskName
    question: str
    reference: str
    answer: str
    passed: bool | Number | None
    no_answer: bool


Token = tuple[str, Number, list[tuple[str, Number]]]


class Surprisal(TypedDict):
    id: str | int
    expert: list[Token]
    rewrite: list[Token]


class ScannedToken(TypedDict):
    text: str
    count: Count
    mean: Number
    share: Number
    before: str
    after: str


class ScannedRow(TypedDict):
    id: str | int
    question: str
    expert: str
    own: str
    nll: Number


class Measured(TypedDict):
    value: Number | None
    ci95: Interval


class Phrase(TypedDict):
    text: str
    share: Number


class OwnStyle(TypedDict):
    passed: Count
    own: Count
    range: Interval
    share: Number | None
    ci95: Interval


class Repetition(TypedDict):
    rows: Count
    repeated_solutions: Number
    near_duplicates: Number
    opening: Phrase | None
    phrases: list[Phrase]
    templated: Number


class Method(TypedDict):
    method: str
    rewrites: Count
    tokens: Count
    minutes: Number
    own_share: Number | None
    k: NotRequired[int]
    group_hit_rate: NotRequired[Number | None]


class Recommendation(TypedDict):
    choice: str | None
    reason: str
    methods: NotRequired[list[Method]]
    hit_rate: NotRequired[Number | None]
    hit_rate_ci95: NotRequired[Interval]
    choices_at_ci95: NotRequired[list[str]]


class Scan(TypedDict):
    expert_nll: list[Number]
    own_nll: list[Number]
    prompted_nll: NotRequired[list[Number]]
    gap: NotRequired[Number | None]
    gap_ci95: NotRequired[Interval]
    expert_mean: NotRequired[Number]
    own_mean: NotRequired[Number]
    quantiles: NotRequired[dict[str, dict[str, Number] | None]]
    divergences: NotRequired[dict[str, dict[str, Measured] | None]]
    repetition: NotRequired[Repetition]
    own_style: NotRequired[OwnStyle]
    recommendation: NotRequired[Recommendation]
    tokens: NotRequired[list[ScannedToken]]
    rows: NotRequired[list[ScannedRow]]
    kept: NotRequired[Count]
    train: NotRequired[Count]
    dropped: NotRequired[dict[str, Count]]


class Event(TypedDict):
    t: Time
    kind: str
    step: NotRequired[Count]
    seed: NotRequired[int | None]
    arm: NotRequired[str | None]
    rewriter: NotRequired[str]
    rate: NotRequired[Number | None]
    samples: NotRequired[Count]


class Train(Event):
    reward: NotRequired[Number | None]
    consistency: NotRequired[Number | None]
    nll: NotRequired[Number | None]


class Candidate(TypedDict):
    text: str
    passed: bool | None
    reason: str | None
    nll: Number | None
    reward: NotRequired[Number | None]
    consistency: NotRequired[Number | None]
    alignment: NotRequired[Number | None]
    diversity: NotRequired[Number | None]


class Message(Event):
    level: str
    text: str
    monitor: NotRequired[str]
    question: NotRequired[str]
    solution: NotRequired[str]
    candidates: NotRequired[list[Candidate]]


class Stage(Event):
    stage: str
    state: Literal["start", "end"]
    seconds: NotRequired[Number]


class Evaluation(Event):
    target: Number | None
    general: Number | None


class Group(Event):
    question: str
    solution: str
    candidates: list[Candidate]


# Fields that an event of a kind needs beside `seed` and `step`, which those of curves have.
EVENTS: dict[str, TypeAdapter[Any]] = {
    "train": TypeAdapter(Train),
    "message": TypeAdapter(Message),
    "stage": TypeAdapter(Stage),
    "evaluation": TypeAdapter(Evaluation),
    "group": TypeAdapter(Group),
    "scan": TypeAdapter(Scan),
}
CURVE_KINDS = ("train", "group", "finetune", "warm", "spread", "staleness", "divergence")
ANY_EVENT: TypeAdapter[Any] = TypeAdapter(Event)
SHAPES: dict[str, TypeAdapter[Any]] = {
    "scan": TypeAdapter(Scan),
    "status": TypeAdapter(Status),
    "result": TypeAdapter(Result),
    "summary": TypeAdapter(Summary),
    "sample": TypeAdapter(Sample),
    "prediction": TypeAdapter(Prediction),
    "surprisal": TypeAdapter(Surprisal),
}


def shape_problem(kind: str, value: Any) -> str | None:
    """Why a value is not what files of a kind hold, such as `base.target is missing`; None where it is."""
    try:
        # Strict: what JSON wrote as a number is a number.
        SHAPES[kind].validate_json(json.dumps(value).encode(), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("version",) and isinstance(first["input"], int):
            return f"a newer PatchRL wrote it (version {first['input']})"
        path = ".".join(map(str, first["loc"])) or "its content"
        return f"{path} is missing" if first["type"] == "missing" else f"{path}: {first['msg'][:120].lower()}"
    except ValueError as error:
        return str(error)[:120]
    return _result_problem(value) if kind == "result" else None


def is_event(line: bytes, event: Mapping[str, Any]) -> bool:
    """Whether a line, parsed as `event`, has the fields that events of its kind have."""
    kind = event.get("kind")
    try:
        ANY_EVENT.validate_json(line, strict=True)
        if kind in EVENTS:
            EVENTS[str(kind)].validate_json(line, strict=True)
    except ValidationError:
        return False
    return kind not in CURVE_KINDS or ("step" in event and "seed" in event)


def _result_problem(result: Mapping[str, Any]) -> str | None:
    """Why the parts of a result do not belong together."""
    if "expert" not in result["arms"]:
        return "arms.expert is missing"
    for name, arm in result["arms"].items():
        try:
            parse(name)
        except ValueError:
            return f"arms.{name[:60]} is not an arm of this version"
        if missing := set(result["base"]["by_task"]) - set(arm["by_task"]):
            return f"arms.{name}.by_task.{min(missing)[:60]} is missing"
        if any(
            len(arm[kind]["per_seed"]) not in (lengths, len(result["seeds"]))
            for kind, lengths in (("target", -1), ("general", 0))
        ):
            return f"arms.{name} has not one score for each seed"
    return None
