// What both charts share: lines and their colours, axes in the station's zone, and the shading of events.

import { clockTime, day, percent, timeOfDay, UNKNOWN, watts } from "./format.js";
import { t } from "./texts.js";

// The library comes last, so that the first values need not wait for it.
export const ready = document.readyState === "complete" ? Promise.resolve() : new Promise((done) => addEventListener("load", () => done(), { once: true }));

const pairwise = (a, b, f) => a?.map((x, i) => (x == null || b?.[i] == null ? null : f(x, b[i])));

export const LINES = {
  load: { label: t("Load"), tone: "load", width: 2, area: true, of: (h) => h.load_w },
  import: { label: t("Grid import"), tone: "grid", width: 2, of: (h) => h.import_w },
  battery: { label: t("Battery gives"), tone: "battery", width: 2, of: (h) => pairwise(h.p3_w, h.p2_w, (given, taken) => given - taken) },
  pv: { label: t("PV"), tone: "pv", width: 2, of: (h) => h.p4_w },
  p1: { label: "P1", tone: "grid", width: 1.5, dash: [2, 3], of: (h) => h.p1_w },
  p2: { label: "P2", tone: "grid", width: 1.5, dash: [6, 3], of: (h) => h.p2_w },
  p3: { label: "P3", tone: "battery", width: 1.5, dash: [6, 3], of: (h) => h.p3_w },
  soc: { label: t("Charge"), tone: "soc", width: 1.5, dash: [5, 4], scale: "pct", of: (h) => h.soc_pct },
};

export const columns = (history, lines) => [history.times, ...lines.map((line) => line.of(history.series) ?? history.times.map(() => null))];

export const isEmpty = (data) => data.slice(1).every((values) => values.every((value) => value == null));

export function options({ container, height, zone, lines, drag = false, hooks = {} }) {
  const style = getComputedStyle(document.documentElement);
  const tone = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: tone("muted"), font, gap: 4, grid: { stroke: tone("line"), width: 1 }, ticks: { stroke: tone("line"), width: 1, size: 5 } };
  const date = (seconds) => new Date(seconds * 1000);
  const narrow = container.clientWidth < 500;
  const tick = (at) => (timeOfDay(at, zone) === "00:00" ? day(at, zone) : timeOfDay(at, zone));
  return {
    width: container.clientWidth,
    height,
    tzDate: (seconds) => uPlot.tzDate(date(seconds), zone),
    padding: [8, 0, 0, 0],
    cursor: { points: { size: 7 }, drag: { x: drag, y: false, setScale: false } },
    scales: { w: { range: (_plot, low, high) => paddedRange(low, high) }, pct: { range: [0, 100] } },
    axes: [
      { ...axis, size: 32, space: narrow ? 60 : 78, values: (_plot, splits) => splits.map((s) => tick(date(s))) },
      { ...axis, scale: "w", size: 60, values: (_plot, splits) => splits.map((value) => watts(value)) },
      { ...axis, scale: "pct", side: 1, size: 56, grid: { show: false }, splits: [0, 25, 50, 75, 100], values: (_plot, splits) => splits.map((value) => percent(value)) },
    ],
    series: [
      { label: t("Time"), value: (_plot, seconds) => (seconds == null ? UNKNOWN : clockTime(date(seconds), zone)) },
      ...lines.map((line) => ({
        label: line.label, scale: line.scale ?? "w", stroke: tone(line.tone), width: line.width, dash: line.dash, points: { show: false }, show: line.show ?? true,
        fill: line.area ? `${tone(line.tone)}2e` : undefined,
        value: (_plot, value) => (line.scale ? percent(value) : watts(value)),
      })),
    ],
    hooks,
  };
}

export function drawEvents(plot, events) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.globalAlpha = 0.12;
  ctx.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--battery").trim();
  for (const event of events.filter(({ status }) => status === "ongoing" || status === "completed")) {
    const [from, to] = [event.start, event.end].map((time) => plot.valToPos(Date.parse(time) / 1000, "x", true));
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
  }
  ctx.restore();
}

// From zero, or below where the battery takes; a little air above.
function paddedRange(low, high) {
  const top = Math.max(100, (high ?? 0) * 1.08);
  return [low < 0 ? low * 1.08 : 0, top];
}
