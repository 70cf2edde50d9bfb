"""The measured charge curve: against the plant's own charger, and against one that is nothing like its data sheet."""

import pytest

from services.core.battery import Battery
from services.core.charge_curve import UNMEASURED, ChargeCurve, charged, charging_time, resting

BOX = Battery(1000, 20, 1800, 700, 0, 0.85, 0.9)


def charge(curve, *, from_pct, to_pct, power_w, capacity_wh=1000.0, efficiency=0.9, noise=(0.0,), dt_s=10.0, sun_w=0.0):
    """Charge a box whose power at each state of charge is `power_w(soc)`; the reading is in whole percents. Returns curve and seconds."""
    soc, seconds, i = from_pct, 0.0, 0
    while soc < to_pct:
        power = power_w(soc) * (1 + noise[i % len(noise)])
        curve = charged(curve, float(int(soc)), power, sun_w, dt_s)
        soc += (power + sun_w) * efficiency * dt_s / 36.0 / capacity_wh
        seconds, i = seconds + dt_s, i + 1
    return resting(curve), seconds


def slow_taper(soc):
    """500 W up to 70 %, then falling to 50 W."""
    return 500.0 if soc < 70 else max(50.0, 500.0 - 15.0 * (soc - 70))


def test_without_a_measurement_the_rating_and_the_assumed_taper_hold_and_are_uncertain():
    found = charging_time(ChargeCurve(), BOX, 20, 90, 700)
    assert found.seconds == pytest.approx(0.7 * 1000 / 0.9 / 700 * 3600)
    assert found.uncertainty == pytest.approx(UNMEASURED)


def test_a_charger_that_is_not_like_its_data_sheet_is_learnt_with_its_taper_and_its_true_capacity():
    curve, seconds = charge(ChargeCurve(), from_pct=20, to_pct=99.9, power_w=slow_taper, capacity_wh=1150, efficiency=0.85)
    found = charging_time(curve, BOX, 20, 99.9, 700)
    assert found.seconds == pytest.approx(seconds, rel=0.06)
    assert charging_time(ChargeCurve(), BOX, 20, 99.9, 700).seconds < 0.6 * seconds, "the data sheet alone would begin far too late"
    assert found.uncertainty < 0.5 * UNMEASURED


def test_a_charger_that_wavers_is_more_uncertain_than_one_that_does_not():
    steady, _ = charge(ChargeCurve(), from_pct=20, to_pct=90, power_w=lambda _: 600.0)
    wavering, _ = charge(ChargeCurve(), from_pct=20, to_pct=90, power_w=lambda _: 600.0, noise=(0.4, -0.4) * 7 + (0.1,))
    assert charging_time(wavering, BOX, 20, 90, 700).uncertainty > 3 * charging_time(steady, BOX, 20, 90, 700).uncertainty


def test_what_was_never_charged_in_stays_assumed():
    curve, _ = charge(ChargeCurve(), from_pct=40, to_pct=60, power_w=lambda _: 600.0)
    assert charging_time(curve, BOX, 45, 55, 700).uncertainty < charging_time(curve, BOX, 20, 100, 700).uncertainty


def test_the_suns_share_of_a_charge_is_not_taken_for_the_chargers():
    alone, _ = charge(ChargeCurve(), from_pct=20, to_pct=90, power_w=lambda _: 600.0)
    sunny, _ = charge(ChargeCurve(), from_pct=20, to_pct=90, power_w=lambda _: 600.0, sun_w=200.0)
    assert charging_time(sunny, BOX, 20, 90, 700).seconds == pytest.approx(charging_time(alone, BOX, 20, 90, 700).seconds, rel=0.05)


def test_nothing_to_charge_takes_no_time():
    assert charging_time(ChargeCurve(), BOX, 90, 80, 700).seconds == 0.0
