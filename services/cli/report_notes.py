"""What a reader of a report must know to take its figures for what they are."""

from typing import Any

MARK = "[recall]"


def notes(found: dict[str, Any]) -> list[str]:
    """In the order in which they matter."""
    baseline, performance = found["baseline"], found["performance"]
    said = []
    if performance is not None and not found["final"]:
        said.append("Provisional: the event is running, or its last readings are not on disk yet.")
    if performance is not None and performance.get("revision"):
        said.append(f"Revision {performance['revision']}, because readings came late: {', '.join(performance['changed'])}.")
    if baseline is not None:
        said += _of_baseline(baseline)
    if performance is not None:
        said += _of_performance(performance)
    return said


def total(intervals: list[dict[str, Any]], figure: str) -> float | None:
    """The sum over all intervals; None if one is unknown."""
    known = [one[figure] for one in intervals if one[figure] is not None]
    return sum(known) if known and len(known) == len(intervals) else None


def _of_baseline(baseline: dict[str, Any]) -> list[str]:
    days = baseline["days"]
    named = f"the days {', '.join(sorted(days))}" if days else f"nothing: {baseline['note']}"
    said = [f"Baseline: method '{baseline['method']}', resting on {named}."]
    if days and baseline["note"]:
        said.append(f"The baseline {baseline['note']}.")
    if baseline.get("factor") is not None:
        said.append(f"Adjusted by the day's own hours before the event: times {baseline['factor']:.3f}.")
    if baseline.get("offset_w") is not None:
        said.append(f"Adjusted by the day's own hours before the event: {baseline['offset_w']:+.0f} W.")
    if baseline.get("recall"):
        said.append(f"{MARK} Rules of '{baseline['programme']}' that stand from memory; verify them: {', '.join(baseline['recall'])}.")
    if baseline.get("load_method"):
        error = f", where it erred by {baseline['load_error']:.0%}" if baseline.get("load_error") is not None else ""
        method = baseline["load_method"].replace("_", " ")
        said.append(f"Load without the event, estimated with low bias: {method}, validated on {baseline['load_trials']} own days{error}.")
    return said


def _of_performance(performance: dict[str, Any]) -> list[str]:
    pv_wh = total(performance["intervals"], "pv_wh")
    sun = f" Meanwhile PV gave {pv_wh:.0f} Wh." if pv_wh else ""
    said = [f"By battery is metered: what it gave to the load, less what the grid gave to it.{sun}"]
    if performance.get("estimate_reduction_wh") is not None:
        low, high = performance.get("estimate_low_wh"), performance.get("estimate_high_wh")
        within = "" if low is None or high is None else f", nine times in ten between {low:.0f} and {high:.0f} Wh"
        said.append(f"Against the low-bias estimate of the load the reduction is {performance['estimate_reduction_wh']:.0f} Wh{within}.")
    said.append("Reduction is baseline less grid energy, and notional: an estimate at the plug is not the utility's meter.")
    if performance.get("performance_factor") is not None:
        said.append(f"Performance factor {performance['performance_factor']:.2f} of {performance['pledge_w']:.0f} W pledged.")
    if performance.get("payment") is not None:
        said.append(f"Performance payment {performance['payment']:.2f} {performance['currency']}, notional.")
    said += [f"Note: {note}." for note in performance.get("notes", ())]
    if performance["covered"] < 1:
        said.append("Time without readings is not covered, and no reduction is claimed for it.")
    return said
