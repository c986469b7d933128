import re

from test_curves import train_event
from test_markup import HOSTILE
from test_views import result

from patchrl.config import resolve
from patchrl.report import build_report


def page():
    row = {
        "id": "a", "question": HOSTILE, "expert": "x", "rewrite": HOSTILE, "reference": "1", "extracted": "1", "passed": True,
        "reason": "", "decision": "accepted", "nll_expert": 2.0, "nll_rewrite": 1.0, "reward": 1.0, "consistency": 1.0,
        "alignment": 0.5, "diversity": 0.0,
    }  # fmt: skip
    events = [train_event(1, reward=1.0), {"kind": "scan", "t": 0, "expert_nll": [2.0], "own_nll": [0.1]}]
    made = result() | {"backbone": "nano", "dataset": "nano-foreign", "seconds": {"scan": 3.0}}
    return build_report(resolve({}), events, made, {"rl": [row]})


def test_the_report_needs_no_network():
    html = page()
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", own)
    assert "Plotly.newPlot" in html


def test_text_from_data_cannot_leave_its_place():
    own = re.sub(r"<script>.*?</script>", "", page(), flags=re.S)
    assert "<img" not in own


def test_every_arm_and_seed_is_in_the_report():
    html = page()
    for text in ("Expert (plain SFT)", "RL rewrite (PatchRL)", "Every seed", "avoids 88 %"):
        assert text in html
