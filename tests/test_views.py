from patchrl import views


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
    ours = arm | {
        "general": {"mean": 0.85, "per_seed": [0.85], "ci95": [0.8, 0.9]},
        "forgetting": {"absolute": 0.05, "relative": 0.05, "share_avoided": 0.875, "ci95": [0.0, 0.1]},
    }
    base = {"target": 0.3, "general": general, "by_task": {"target/w": 0.3, "general/add": 0.9}, "no_answer": 0.0}
    return {"base": base, "seeds": [7], "arms": {"expert": arm, "rl": ours}}


def test_headline_says_what_was_lost_and_what_was_avoided():
    text = views.headline(result())
    assert "from 30.0 % to 60.0 %" in text
    assert "avoids 88 % of the 40.0 points" in text


def test_headline_without_general_tasks_says_that_forgetting_was_not_measured():
    assert "not measured" in views.headline(result(general=None))


def test_result_rows_fill_every_column():
    rows = views.result_rows(result())
    assert {len(row) for row in rows} == {len(views.RESULT_HEADERS)}
    assert rows[2][3] == "5.0 [0.0, 10.0]"


def test_durations_read_well():
    assert [views.format_seconds(s) for s in (3.2, 245, 7800, None)] == ["3 s", "4 min 05 s", "2 h 10 min", "–"]
