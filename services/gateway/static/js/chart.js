// The last 24 hours: power on the left axis, state of charge on the right, events as shaded spans.

import { get } from "./api.js";
import { byId, setText } from "./dom.js";
import { columns, drawEvents, isEmpty, LINES, options, ready } from "./plot.js";
import { t } from "./texts.js";

const HOURS = 24;
const HEIGHT = 300;
const REFRESH_MS = { least: 5_000, most: 60_000 };
const SHOWN = [LINES.load, LINES.import, LINES.battery, LINES.pv, LINES.soc];

export class Chart {
  constructor(container) {
    this.container = container;
    this.plot = null;
    this.events = [];
    this.zone = null;
    this.speed = 1;
    this.timer = null;
    new ResizeObserver(() => this.plot?.setSize({ width: container.clientWidth, height: HEIGHT })).observe(container);
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
        await ready;
        this.show(history);
      }
    } catch (error) {
      setText(byId("chart-note"), t("The history cannot be shown: {why}.", { why: error.message }));
    }
    const wait = Math.min(REFRESH_MS.most, Math.max(REFRESH_MS.least, (step * 1000) / this.speed));
    this.timer = setTimeout(() => this.refresh(), wait);
  }

  show(history) {
    this.data = columns(history, SHOWN);
    setText(byId("chart-note"), isEmpty(this.data) ? t("Nothing recorded in this time yet.") : "");
    if (this.plot) this.plot.setData(this.data);
    else this.rebuild();
  }

  rebuild() {
    if (!this.data) return;
    this.plot?.destroy();
    const hooks = { drawClear: [(plot) => drawEvents(plot, this.events)] };
    this.plot = new uPlot(options({ container: this.container, height: HEIGHT, zone: this.zone, lines: SHOWN, hooks }), this.data, this.container);
  }
}
