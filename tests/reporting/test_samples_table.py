import pytest
from helpers.synthetic import sample_row
from hypothesis import given
from hypothesis import strategies as st

from patchrl.reporting import samples_table

ROWS = [sample_row(n) for n in range(300)]


def test_a_row_fills_every_column_with_a_short_line():
    cells = samples_table.cells(ROWS[0] | {"question": "word " * 500, "expert": "a\nb"})
    assert len(cells) == len(samples_table.SAMPLE_COLUMNS)
    assert max(map(len, cells)) <= samples_table.MAX_EXCERPT + 1
    assert "\n" not in "".join(cells)


@given(st.sampled_from([*samples_table.SAMPLE_COLUMNS, None]), st.sampled_from([*samples_table.FILTERS]), st.booleans())
def test_sorting_loses_no_row_and_filters_only_take_away(sort, keep, descending):
    chosen = samples_table.select(ROWS, keep=keep, sort=sort, descending=descending)
    filtered = samples_table.select(ROWS, keep=keep)
    assert sorted(r["id"] for r in chosen) == sorted(r["id"] for r in filtered)


@pytest.mark.parametrize("descending", [True, False])
def test_values_are_in_order_and_missing_ones_come_last(descending):
    values = [r["nll_rewrite"] for r in samples_table.select(ROWS, sort="nll_rewrite", descending=descending)]
    known = [v for v in values if v is not None]
    assert known == sorted(known, reverse=descending)
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert len(known) < len(values)


def test_worst_and_best_are_the_two_ends_of_the_gain():
    worst, best = (samples_table.select(ROWS, keep=keep) for keep in ("worst", "gains"))
    assert len(worst) == len(best) == samples_table.MAX_EXTREME_ROWS
    assert worst[0]["nll_rewrite"] == max(r["nll_rewrite"] for r in ROWS if r["nll_rewrite"] is not None)
    assert best[0]["nll_rewrite"] == min(r["nll_rewrite"] for r in ROWS if r["nll_rewrite"] is not None)


def test_filters_hold_what_they_say():
    assert {r["decision"] for r in samples_table.select(ROWS, keep="fallback")} == {"fallback"}
    assert {r["passed"] for r in samples_table.select(ROWS, keep="unscorable")} == {None}
    assert [r["id"] for r in samples_table.select(ROWS, search=" VERA has 77 SEEDS")] == ["row00077"]
