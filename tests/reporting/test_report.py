import re

from helpers.results import HOSTILE, result, train_event

from patchrl.config import resolve
from patchrl.config.arms import OFFERED, display_name
from patchrl.reporting.report import build_report


def page(**changes):
    row = {
        "id": "a", "question": HOSTILE, "expert": "x", "rewrite": HOSTILE, "reference": "1", "extracted": "1", "passed": True,
        "reason": "", "decision": "accepted", "nll_expert": 2.0, "nll_rewrite": 1.0, "reward": 1.0, "consistency": 1.0,
        "alignment": 0.5, "diversity": 0.0,
    }  # fmt: skip
    rows = [row | {"id": str(n), "nll_rewrite": 1 - n / 50} for n in range(20)]
    rows += [
        row | {"id": f"no-{n}", "passed": False, "reason": "3 + 4 = 8 does not hold", "decision": "fallback"}
        for n in range(4)
    ]
    scan = {
        "kind": "scan",
        "t": 0,
        "expert_nll": [2.0],
        "own_nll": [0.1],
        "expert_mean": 2.0,
        "own_mean": 0.1,
        "gap": 9.5,
    }
    candidate = {"text": f"96. {HOSTILE}", "passed": True, "reason": HOSTILE, "nll": 0.5, "reward": 1.25}
    alarm = {
        "kind": "message", "t": 1, "level": "warning", "monitor": "copied", "seed": 7, "step": 4,
        "text": "Seed 7, step 4: 60% of rewrites are copies.", "question": HOSTILE, "candidates": [candidate],
    }  # fmt: skip
    events = [train_event(1, reward=1.0), scan | {"kept": 812, "dropped": {"without a solution": 3}}, alarm]
    study_result = result() | {
        "backbone": "nano",
        "dataset": "nano-foreign",
        "seconds": {"scan": 3.0},
        "versions": {"torch": "2.13.0"},
    }
    return build_report(resolve(changes), events, study_result, {"rl": rows})


def test_the_report_needs_no_network():
    html = page()
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", own)
    assert "Plotly.react(node" in html


def test_text_from_data_cannot_leave_its_place():
    own = re.sub(r"<script>.*?</script>", "", page(), flags=re.S)
    assert "<img" not in own


def test_every_arm_and_seed_is_in_the_report():
    html = page()
    for text in ("Expert (plain SFT)", "RL rewrite (PatchRL)", "Every seed", "avoids 88 %"):
        assert text in html


def test_the_report_holds_all_that_a_reader_needs_to_judge_and_repeat_it():
    html = page(study={"arms": ["expert", "rl", "wise-ft=0.3"]}, finetune={"epochs": 5})
    for text in (
        "Question.", "Answer.", "812 usable rows; dropped: 3 without a solution", "r = g · (1 + 0.35 · a + 0.5 · d)",
        "weights (1 − α)·backbone + α·tuned (arXiv 2109.01903), α 0.3", "60% of rewrites are copies", "under which a copy earns next to nothing",
        "Rewrites of this step, as they were", "reward 1.25", "9.5 standard deviations",
        "data-figure='plane'", "data-figure='tasks'", "data-figure='curve-reward'", "Tokens sampled",
        "python -m patchrl run study.toml", "epochs = 5", "torch 2.13.0", "rewriter.group_size",
    ):  # fmt: skip
        assert text in html, text


def test_examples_are_good_bad_and_random_and_none_twice():
    own = re.sub(r"<script>.*?</script>", "", page(), flags=re.S)
    good, refused, least, random = re.split(
        r"<details[^>]*><summary>(?:Good|Bad: refused|Bad: accepted|At random)", own
    )[1:5]
    random = random.split("</details>")[0]
    assert [part.count("<b>Question.</b>") for part in (good, refused, least, random)] == [3, 3, 3, 3]
    assert "ℓ 2.000 → 0.620" in good and "3 + 4 = 8 does not hold" in refused and "ℓ 2.000 → 1.000" in least


def test_every_section_is_linked_from_the_top():
    own = re.sub(r"<script>.*?</script>", "", page(), flags=re.S)
    assert (
        set(re.findall(r"<a href='#([^']+)'", own)) == set(re.findall(r"<h2 id='([^']+)'", own))
        and own.count("<h2") >= 8
    )


def test_the_method_says_what_every_offered_arm_is():
    html = page(study={"arms": [*OFFERED, "kl=0.2", "rl+dft+lora=4"]})
    words = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", html))
    assert set(words) >= {display_name(name) for name in OFFERED}
    assert words["kl=0.2"].endswith("β 0.2") and words[display_name("grpo")].startswith("GRPO on the task")
    assert words["rl+dft+lora=4"].count("; ") == 2
