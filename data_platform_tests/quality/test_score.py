from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.quality.score import (
    COMPONENTS,
    FIVE_DIMENSIONS,
    FOUR_DIMENSIONS,
    Comparison,
    Components,
    Delay,
    Profile,
    Profiles,
    Tally,
    to_components,
    weigh,
)

HOUR = timedelta(hours=1)
WHOLE = Tally(
    expected=744,
    stored=744,
    refused=0,
    coarser=Comparison(0, 31),
    exchanges=Comparison(0, 744),
    delay=Delay(timedelta(0), HOUR),
)
"""A whole January of hours, on which all agree."""


def test_a_sound_month_has_the_full_score() -> None:
    assert to_components(WHOLE) == Components(1.0, 1.0, 1.0, 1.0, 1.0)
    for profile in (FIVE_DIMENSIONS, FOUR_DIMENSIONS):
        assert weigh(to_components(WHOLE), profile) == pytest.approx(1.0, abs=1e-12)


def test_the_score_is_the_sum_that_the_ruling_writes() -> None:
    found = to_components(
        Tally(
            expected=1000,
            stored=900,
            refused=100,
            coarser=Comparison(6, 30),
            exchanges=Comparison(300, 600),
            delay=Delay(4 * HOUR, HOUR),
        )
    )
    # 900 / 1000, 900 / (900 + 100), 24 / 30, 300 / 600, 1 h / 4 h.
    assert found == Components(0.9, 0.9, 0.8, 0.5, 0.25)
    # 0.30 x 0.9 + 0.30 x 0.5 + 0.20 x 0.8 + 0.10 x 0.25 + 0.10 x 0.9
    assert weigh(found, FIVE_DIMENSIONS) == pytest.approx(0.695)
    # 0.30 x 0.9 + 0.30 x 0.9 + 0.25 x 0.25 + 0.15 x 0.8
    assert weigh(found, FOUR_DIMENSIONS) == pytest.approx(0.7225)


def test_the_weight_of_what_is_absent_is_shared_out_in_proportion() -> None:
    found = Components(0.5, 1.0, None, None, None)
    # (0.30 x 0.5 + 0.10 x 1) / 0.40 and (0.30 x 0.5 + 0.30 x 1) / 0.60
    assert weigh(found, FIVE_DIMENSIONS) == pytest.approx(0.625)
    assert weigh(found, FOUR_DIMENSIONS) == pytest.approx(0.75)
    assert found.absent == ("consistency", "accuracy", "timeliness")


def test_where_nothing_is_known_there_is_no_score() -> None:
    assert to_components(Tally(0, 0, 0)) == Components(None, None, None, None, None)
    assert weigh(to_components(Tally(0, 0, 0)), FIVE_DIMENSIONS) is None
    only_accuracy = Components(None, None, None, 0.5, None)
    assert weigh(only_accuracy, FOUR_DIMENSIONS) is None
    assert weigh(only_accuracy, FIVE_DIMENSIONS) == 0.5


def test_what_nobody_fetched_is_nought_and_not_absent() -> None:
    assert to_components(Tally(744, 0, 0)).known == {"completeness": 0.0}


def test_rows_that_were_all_refused_are_nought() -> None:
    assert to_components(Tally(0, 0, 3)).known == {"validity": 0.0}


def test_a_comparison_of_nothing_is_none() -> None:
    compared = to_components(replace(WHOLE, coarser=Comparison(0, 0), exchanges=None))
    assert compared.absent == ("consistency", "accuracy")


@pytest.mark.parametrize(
    ("late", "timeliness"),
    [(0, 1.0), (3599, 1.0), (3600, 1.0), (3601, 3600 / 3601), (7200, 0.5), (36_000, 0.1)],
)
def test_lateness_counts_from_its_limit_on(late: int, timeliness: float) -> None:
    delay = Delay(timedelta(seconds=late), HOUR)
    assert to_components(replace(WHOLE, delay=delay)).timeliness == pytest.approx(timeliness)


@pytest.mark.parametrize(
    ("component", "worse"),
    [
        ("completeness", replace(WHOLE, expected=800)),
        ("validity", replace(WHOLE, refused=1)),
        ("consistency", replace(WHOLE, coarser=Comparison(1, 31))),
        ("accuracy", replace(WHOLE, exchanges=Comparison(1, 744))),
        ("timeliness", replace(WHOLE, delay=Delay(2 * HOUR, HOUR))),
    ],
)
def test_each_fault_moves_its_own_component_alone(component: str, worse: Tally) -> None:
    found = to_components(worse)
    assert {name for name, share in found.known.items() if share < 1} == {component}


counts = st.integers(min_value=0, max_value=50_000)
comparisons = st.none() | st.builds(lambda bad, good: Comparison(bad, bad + good), counts, counts)
delays = st.none() | st.builds(
    lambda late, limit: Delay(timedelta(seconds=late), timedelta(seconds=limit)),
    counts,
    st.integers(min_value=1, max_value=100_000),
)
tallies = st.builds(Tally, counts, counts, counts, comparisons, comparisons, delays)
shares = st.floats(min_value=0, max_value=1)


@given(tallies)
def test_whatever_was_counted_scores_lie_within_0_and_1(tally: Tally) -> None:
    found = to_components(tally)
    assert all(0 <= share <= 1 for share in found.known.values())
    assert set(found.known) | set(found.absent) == set(COMPONENTS)
    for profile in Profiles().both:
        score = weigh(found, profile)
        assert (score is None) == (not set(found.known) & set(profile.weights))
        assert score is None or 0 <= score <= 1


@given(st.lists(st.none() | shares, min_size=5, max_size=5), st.sampled_from(COMPONENTS), shares)
def test_a_component_that_gets_better_makes_no_score_worse(
    values: list[float | None], component: str, better: float
) -> None:
    before = Components(*values)
    held = before.known.get(component)
    if held is None:
        return
    after = replace(before, **{component: max(held, better)})
    for profile in Profiles().both:
        one, other = weigh(before, profile), weigh(after, profile)
        assert one is None or other is None or other >= one - 1e-12


@given(st.lists(st.none() | shares, min_size=5, max_size=5))
def test_a_score_lies_between_its_worst_and_its_best_component(values: list[float | None]) -> None:
    known = Components(*values).known
    score = weigh(Components(*values), FIVE_DIMENSIONS)
    if score is not None:
        assert min(known.values()) - 1e-12 <= score <= max(known.values()) + 1e-12


def test_profiles_are_named_and_versioned() -> None:
    assert [profile.key for profile in Profiles().both] == [
        "five_dimensions-v1",
        "four_dimensions-v1",
    ]
    assert Profiles().default_column == "score_five"
    assert Profiles(default="four_dimensions").default_column == "score_four"


@pytest.mark.parametrize("profile", Profiles().both, ids=lambda it: it.name)
def test_weights_sum_to_1_and_name_components(profile: Profile) -> None:
    assert sum(profile.weights.values()) == pytest.approx(1.0)
    assert set(profile.weights) <= set(COMPONENTS)
