"""A power station's report that has frozen: noticed by what should have moved, and never blamed for standing still with good cause."""

from dataclasses import replace

import pytest

from services.controller.frozen import AFTER_SWITCHING_S, watch
from services.core.readings import BatteryReading
from tests.unit.controller.conftest import SETTINGS

RESTING = BatteryReading(80.0, 0.0, 0.0, 0.0, 0.0, True, False)


def after(seconds, *, p1_on=True, net_w=0.0, load_w=200.0, report=RESTING, before=None, step_s=1.0, start_s=1000.0):
    """What is thought of a report that stands still for so long."""
    for second in range(int(seconds / step_s)):
        before = watch(
            before,
            report,
            p1_on=p1_on,
            p2_on=False,
            load_w=load_w,
            net_w=net_w,
            monotonic_s=start_s + second * step_s,
            station_s=step_s,
            poll_s=2.0,
            battery=SETTINGS.battery,
        )
    return before


def test_at_rest_a_report_may_stand_still_for_hours():
    seen = after(4 * 3600, net_w=-SETTINGS.battery.idle_w)
    assert not seen.dead
    assert not seen.soc_stuck


def test_a_report_that_does_not_see_the_load_come_over_is_dead_within_a_minute_and_alive_when_it_moves():
    resting = after(10)
    moved = after(AFTER_SWITCHING_S - 5, p1_on=False, before=resting, start_s=1010.0)
    assert not moved.dead
    dead = after(AFTER_SWITCHING_S + 5, p1_on=False, before=resting, start_s=1010.0)
    assert dead.dead
    alive = after(1, p1_on=False, report=replace(RESTING, ac_out_w=199.0), before=dead)
    assert not alive.dead


@pytest.mark.parametrize("changes", [{"load_w": 10.0}, {"report": replace(RESTING, ac_out_w=None)}, {"load_w": None}])
def test_where_nothing_need_show_a_report_is_not_blamed(changes):
    resting = after(10, report=changes.get("report", RESTING))
    assert not after(600, p1_on=False, before=resting, start_s=1010.0, **changes).dead


def test_a_state_of_charge_that_stands_while_energy_flows_is_not_believed():
    flowing = replace(RESTING, ac_out_w=200.0)
    minutes = 60.0 * 0.05 * SETTINGS.battery.capacity_wh / 244.0
    assert not after((minutes - 1) * 60, net_w=-244.0, report=flowing).soc_stuck
    assert after((minutes + 1) * 60, net_w=-244.0, report=flowing).soc_stuck
    moved = after(60, net_w=-244.0, report=replace(flowing, soc_pct=79.0), before=after(3600, net_w=-244.0, report=flowing))
    assert not moved.soc_stuck


@pytest.mark.parametrize(("soc_pct", "net_w"), [(100.0, 600.0), (92.0, 300.0), (0.0, -200.0)])
def test_at_its_ends_it_may_stand(soc_pct, net_w):
    assert not after(2 * 3600, net_w=net_w, report=replace(RESTING, soc_pct=soc_pct)).soc_stuck
