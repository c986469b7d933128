"""The lab's figures."""

from examples.nano_lab.lab_figures import cost_figures


def test_the_map_of_when_rl_pays_has_a_field_for_each_setting_and_number_of_rows():
    rows = [
        {
            "expert": expert,
            "setting": setting,
            "rows": count,
            "k": k,
            "affordable_k": k - 0.4,
            "outcome": outcome,
            "target": 0.124 if expert == "foreign" else -0.0001,
            "general": -0.05,
        }
        for expert in ("foreign", "mild")
        for setting, outcome in (("3 %", "better"), ("30 %", "worse"))
        for count, k in ((512, 4 if setting == "3 %" else 2), (4096, 1))
    ]
    foreign, mild = cost_figures(rows).values()
    (heat,) = foreign["data"]
    assert heat["y"] == ["3 %", "30 %"] and heat["x"] == ["512<br>k = 2–4", "4,096<br>k = 1"]
    assert heat["z"] == [[0, 0], [3, 3]] and heat["text"][0][0] == "<b>RL</b><br>+12 / -5"
    assert mild["data"][0]["text"][0][0] == "<b>RL</b><br>+0 / -5"
    assert mild["data"][0]["customdata"][0][0][2:] == ["+0.0", "-5.0"]
    assert "mild" in mild["layout"]["title"]["text"] and cost_figures([]) == {}
