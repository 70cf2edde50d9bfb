// The last 24 hours: power on the left axis, state of charge on the right, events as shaded spans.

import { get } from "./api.js";
import { byId, setText } from "./dom.js";
import { clockTime, day, percent, timeOfDay, watts } from "./format.js";

const HOURS = 24;
const HEIGHT = 300;
const REFRESH_MS = { least: 5_000, most: 60_000 };

const SERIES = [
  { label: "Load", tone: "load", width: 2, area: true, of: (h) => h.load_w },
  { label: "Grid import", tone: "grid", width: 2, of: (h) => h.import_w },
  { label: "Battery gives", tone: "battery", width: 2, of: (h) => pairwise(h.p3_w, h.p2_w, (given, taken) => given - taken) },
  { label: "PV", tone: "pv", width: 2, of: (h) => h.p4_w },
  { label: "Charge", tone: "soc", width: 1.5, dash: [5, 4], scale: "pct", of: (h) => h.soc_pct },
];

const pairwise = (a, b, f) => a?.map((x, i) => (x == null || b?.[i] == null ? null : f(x, b[i])));

export class Chart {
  constructor(container) {
    this.container = container;
    this.plot = null;
    this.events = [];
    this.zone = null;
    this.speed = 1;
    this.timer = null;
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(container);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  // Begin, or go on in another zone or at another speed.
  follow(zone, speed) {
    if (zone === this.zone && speed === this.speed) return;
    [this.zone, this.speed] = [zone, speed];
    this.refresh();
  }

  shade(events) {
    this.events = events;
    this.plot?.redraw();
  }

  async refresh() {
    clearTimeout(this.timer);
    let step = 300;
    try {
      if (!document.hidden) {
        const history = await get(`/api/history?hours=${HOURS}`);
        step = history.step_s;
        this.show(history);
      }
    } catch (error) {
      setText(byId("chart-note"), `The history cannot be shown: ${error.message}.`);
    }
    const wait = Math.min(REFRESH_MS.most, Math.max(REFRESH_MS.least, (step * 1000) / this.speed));
    this.timer = setTimeout(() => this.refresh(), wait);
  }

  show(history) {
    this.data = [history.times, ...SERIES.map((series) => series.of(history.series) ?? history.times.map(() => null))];
    const empty = this.data.slice(1).every((values) => values.every((value) => value == null));
    setText(byId("chart-note"), empty ? "Nothing recorded in this time yet." : "");
    if (this.plot) this.plot.setData(this.data);
    else this.rebuild();
  }

  rebuild() {
    if (!this.data) return;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), this.data, this.container);
  }

  size() {
    return { width: this.container.clientWidth, height: HEIGHT };
  }

  options() {
    const style = getComputedStyle(document.documentElement);
    const tone = (name) => style.getPropertyValue(`--${name}`).trim();
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: tone("muted"), font, gap: 4, grid: { stroke: tone("line"), width: 1 }, ticks: { stroke: tone("line"), width: 1, size: 5 } };
    const date = (seconds) => new Date(seconds * 1000);
    const narrow = this.container.clientWidth < 500;
    return {
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(date(seconds), this.zone),
      padding: [8, 0, 0, 0],
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      scales: { w: { range: (_plot, low, high) => paddedRange(low, high) }, pct: { range: [0, 100] } },
      axes: [
        { ...axis, size: 32, space: narrow ? 60 : 70, values: (_plot, splits) => splits.map((s) => this.tick(date(s))) },
        { ...axis, scale: "w", size: 60, values: (_plot, splits) => splits.map((value) => watts(value)) },
        { ...axis, scale: "pct", side: 1, size: 56, grid: { show: false }, splits: [0, 25, 50, 75, 100], values: (_plot, splits) => splits.map((value) => percent(value)) },
      ],
      series: [
        { label: "Time", value: (_plot, seconds) => (seconds == null ? "–" : clockTime(date(seconds), this.zone)) },
        ...SERIES.map((series) => ({
          label: series.label, scale: series.scale ?? "w", stroke: tone(series.tone), width: series.width, dash: series.dash, points: { show: false },
          fill: series.area ? `${tone(series.tone)}2e` : undefined,
          value: (_plot, value) => (series.scale ? percent(value) : watts(value)),
        })),
      ],
      hooks: { drawClear: [(plot) => this.drawEvents(plot, tone("battery"))] },
    };
  }

  tick(date) {
    const time = timeOfDay(date, this.zone);
    return time === "00:00" ? day(date, this.zone) : time;
  }

  drawEvents(plot, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.globalAlpha = 0.12;
    ctx.fillStyle = colour;
    for (const event of this.events.filter(({ status }) => status === "ongoing" || status === "completed")) {
      const [from, to] = [event.start, event.end].map((time) => plot.valToPos(Date.parse(time) / 1000, "x", true));
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
    ctx.restore();
  }
}

// From zero, or below where the battery takes; a little air above.
function paddedRange(low, high) {
  const top = Math.max(100, (high ?? 0) * 1.08);
  return [low < 0 ? low * 1.08 : 0, top];
}
