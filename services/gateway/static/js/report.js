// What an event came to, interval by interval.

import { byId, element, setText } from "./dom.js";
import { clockTime, percent, period, UNKNOWN, wattHours } from "./format.js";

const bare = (value) => (value == null ? UNKNOWN : wattHours(value).replace(" Wh", ""));

export function showReport(event, zone) {
  setText(byId("report-title"), `Event ${event.id}`);
  const state = event.final ? "" : "So far. ";
  setText(
    byId("report-summary"),
    `${state}${period(new Date(event.start), new Date(event.end), zone)}. Reduction ${wattHours(event.reduction_wh)}, from the battery ${wattHours(event.avoided_wh)}.`,
  );
  byId("report-rows").replaceChildren(...event.intervals.map((interval) => element(
    "tr", {},
    ...[
      clockTime(new Date(interval.start), zone), bare(interval.baseline_wh), bare(interval.import_wh), bare(interval.reduction_wh),
      bare(interval.avoided_wh), bare(interval.pv_wh), percent(interval.covered * 100),
    ].map((text) => element("td", {}, text)),
  )));
  byId("report").showModal();
}
