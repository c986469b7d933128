"""Made-up results, events and hostile texts, for what draws and writes them."""

HOSTILE = "<img src=x onerror=alert(1)>${alert(1)}{{value}}\"'"


def result(general=0.9):
    arm = {
        "target": {"mean": 0.6, "per_seed": [0.6], "ci95": [0.55, 0.65]},
        "general": {"mean": 0.5, "per_seed": [0.5], "ci95": [0.45, 0.55]},
        "by_task": {"target/w": 0.6, "general/add": 0.5},
        "forgetting": {"absolute": 0.4, "relative": 0.44, "share_avoided": 0.0, "ci95": [0.35, 0.45]},
        "data": {"nll": 1.5, "diversity": 0.2, "accepted": 0.0},
        "no_answer": 0.01,
        "cost": {"seconds": 12.0, "tokens": 100},
    }
    rewritten = arm | {
        "data": {"nll": 0.2, "diversity": 0.1, "accepted": 0.97},
        "general": {"mean": 0.85, "per_seed": [0.85], "ci95": [0.8, 0.9]},
        "forgetting": {"absolute": 0.05, "relative": 0.05, "share_avoided": 0.875, "ci95": [0.0, 0.1]},
    }
    base = {"target": 0.3, "general": general, "by_task": {"target/w": 0.3, "general/add": 0.9}, "no_answer": 0.0}
    return {"base": base, "seeds": [7], "arms": {"expert": arm, "rl": rewritten}}


def train_event(step, **values):
    return {"kind": "train", "t": 60.0 * step, "seed": 0, "step": step, "samples": 64 * step, **values}
