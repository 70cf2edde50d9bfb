"""What is read from the powers around an opening of P1, against simulated transfer switches whose truth is known."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.ats import Opening, Sample, evaluate
from services.core.config.load import parse_station
from services.core.modes import AtsPriority
from services.simulator.plant import PlantInputs, PlantParameters, PlantState, Source, step

STATION = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
PLANT = PlantParameters.of(STATION)
RESTS_S, OPEN_S = 15.0, 8.0


def series(parameters, *, openings=1, every_s=1.0, load_w=100.0, rests_s=RESTS_S, offset_s=0.0, p3_on=True):
    """The samples and openings of a test on a simulated plant that is read every so often."""
    state = PlantState.initial(parameters, soc_pct=80)
    cycle_s = rests_s + OPEN_S
    opened = [n * cycle_s + rests_s for n in range(openings)]
    end_s = openings * cycle_s + rests_s
    reads = {offset_s + n * every_s for n in range(int((end_s - offset_s) / every_s))}
    samples, now_s = [], 0.0
    for t_s in sorted(reads | set(opened) | {at + OPEN_S for at in opened}):
        p1_on = not any(at < t_s <= at + OPEN_S for at in opened)
        inputs = PlantInputs(p1_on, p2_on=False, p3_on=p3_on, load_w=load_w, pv_w=0.0)
        state, _ = step(parameters, state, inputs, t_s - now_s)
        now_s = t_s
        # The switch is given its time to settle before anybody looks.
        if t_s in reads and t_s > rests_s / 2:
            _, flows = step(parameters, state, inputs, 0.0)
            samples.append(Sample(t_s, flows.p1_w, flows.p3_w))
    return samples, [Opening(at - 0.02, at, at + OPEN_S) for at in opened]


@given(
    delay_s=st.floats(0.0, 10.0),
    gap_s=st.floats(0.0, 0.5),
    every_s=st.floats(0.2, 2.0),
    offset_s=st.floats(0.0, 1.0),
    openings=st.integers(1, 2),
)
def test_grid_priority_its_delay_and_a_bound_of_its_gap_are_found(delay_s, gap_s, every_s, offset_s, openings):
    parameters = replace(PLANT, ats_prefers=Source.GRID, ats_delay_s=delay_s, ats_gap_s=gap_s)
    found = evaluate(*series(parameters, openings=openings, every_s=every_s, offset_s=offset_s, rests_s=26.0))
    assert found.priority is AtsPriority.GRID, found.why
    assert found.delay_s is not None
    assert found.delay_error_s is not None
    step_s = 1e-6
    assert abs(found.delay_s - (delay_s + gap_s)) <= found.delay_error_s + step_s
    assert found.delay_error_s <= every_s / 2 + step_s
    assert found.gap_s is not None
    assert gap_s - step_s <= found.gap_s <= gap_s + delay_s + 2 * every_s + step_s


@given(delay_s=st.floats(0.0, 3.0), every_s=st.floats(0.2, 2.0))
def test_inverter_priority_is_found_and_no_delay_is_made_up(delay_s, every_s):
    parameters = replace(PLANT, ats_prefers=Source.INVERTER, ats_delay_s=delay_s)
    found = evaluate(*series(parameters, every_s=every_s))
    assert (found.priority, found.delay_s, found.gap_s) == (AtsPriority.INVERTER, None, None)


def test_readings_of_p3_that_are_far_apart_still_tell_the_priority_but_no_gap():
    samples, openings = series(PLANT)
    sparse = [s if n == 0 else Sample(s.t_s, s.p1_w) for n, s in enumerate(samples)]
    found = evaluate(sparse, openings)
    assert (found.priority, found.gap_s) == (AtsPriority.GRID, None)
    assert "P3 was not read" in found.why
    assert found.delay_s == pytest.approx(PLANT.ats_delay_s, abs=1.0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"load_w": 0.0}, "steady load"),
        ({"p3_on": False}, "did not go over to P3"),
    ],
)
def test_what_cannot_be_told_is_unknown_with_the_reason(changed, told):
    found = evaluate(*series(PLANT, **changed))
    assert (found.priority, told in found.why) == (AtsPriority.UNKNOWN, True), found.why


def test_delay_longer_than_was_watched_is_unknown():
    found = evaluate(*series(replace(PLANT, ats_delay_s=60.0)))
    assert (found.priority, "watch longer" in found.why) == (AtsPriority.UNKNOWN, True)


def test_switch_that_stays_where_it_is_has_no_priority():
    before = [Sample(t, 0.0, 100.0) for t in range(10)]
    after = [Sample(t, 100.0, 0.0) for t in range(20, 30)]
    found = evaluate([*before, *after], [Opening(9.5, 10.0, 18.0)])
    assert (found.priority, "keeps no priority" in found.why) == (AtsPriority.UNKNOWN, True)


def test_without_an_opening_or_a_sample_nothing_is_known():
    assert evaluate([], []).priority is AtsPriority.UNKNOWN
    assert evaluate([], [Opening(0.9, 1.0, 2.0)]).priority is AtsPriority.UNKNOWN


@given(
    st.lists(st.builds(Sample, st.floats(0, 60), st.none() | st.floats(0, 500), st.none() | st.floats(0, 500))),
    st.lists(st.floats(0, 50), max_size=2, unique=True).map(sorted),
)
def test_it_answers_whatever_the_readings_are(samples, opened):
    found = evaluate(samples, [Opening(at, at + 0.1, at + 5) for at in opened])
    assert found.why
