// The energy flow, drawn as in the design: grid, PV, power station, transfer switch and load, with P1 to P4 between them.

import { percent, UNKNOWN, watts } from "./format.js";
import { setAttribute, setText, svg } from "./dom.js";
import { icon } from "./icons.js";
import { TALL, WIDE } from "./layout.js";
import { t } from "./texts.js";

const FLOWING_W = 2; // below this a sensor's noise is not a flow
const NAMES = { pv: t("PV"), grid: t("Grid"), load: t("Load"), ats: t("Transfer") };
const CHIP_TITLES = { p1: t("P1, grid to load"), p2: t("P2, grid to battery"), p3: t("P3, battery to load"), p4: t("P4, PV to battery") };
const TONES = { p1: "grid", p2: "grid", p3: "battery", p4: "pv", trunk: "grid" };

export class Flow {
  constructor(container) {
    this.container = container;
    this.narrow = matchMedia("(max-width: 620px)");
    this.narrow.addEventListener("change", () => this.draw());
    this.state = null;
    this.draw();
  }

  draw() {
    const layout = this.narrow.matches ? TALL : WIDE;
    this.lines = Object.fromEntries(Object.entries(layout.wires).map(([name, path]) => [name, line(name, path)]));
    this.chips = Object.fromEntries(Object.entries(layout.chips).map(([name, at]) => [name, chip(name, at, layout.chip)]));
    this.nodes = Object.fromEntries(Object.entries(layout.nodes).map(([name, at]) => [name, node(name, at, layout)]));
    this.station = station(layout.station);
    this.title = svg("title");
    this.container.replaceChildren(svg(
      "svg", { viewBox: `0 0 ${layout.width} ${layout.height}`, class: layout.name, role: "img" }, this.title,
      ...[...Object.values(this.lines), ...Object.values(this.nodes), this.station, ...Object.values(this.chips)].map((part) => part.root),
    ));
    if (this.state) this.show(this.state);
  }

  show(state) {
    this.state = state;
    const { p1, p2, p3, p4 } = state.positions;
    const source = feeding(state);
    for (const [name, position] of Object.entries(state.positions)) {
      this.chips[name].show(position);
      this.lines[name].show(position.power_w, TONES[name]);
    }
    this.lines.trunk.show(state.import_w ?? p1.power_w ?? p2.power_w, "grid");
    this.lines.load.show(state.load_w, source);
    this.nodes.grid.show(state.import_w);
    this.nodes.load.show(state.load_w);
    this.nodes.pv.show(p4.power_w);
    this.nodes.ats.showSource(source);
    for (const part of [this.nodes.pv, this.lines.p4, this.chips.p4]) setAttribute(part.root, "visibility", p4.present ? null : "hidden");
    this.station.show(state.battery, battery(p2, p3, p4));
    setText(this.title, describe(state, source));
  }
}

// Which input of the transfer switch feeds the load, as far as the readings tell; null while nothing is known.
function feeding({ positions: { p1, p3 } }) {
  if (p3.power_w > FLOWING_W && !(p1.power_w > p3.power_w)) return "battery";
  if (p1.power_w > FLOWING_W) return "grid";
  if (p1.relay_on == null) return null;
  return p1.relay_on ? "grid" : "battery";
}

// What the battery gains (positive) or gives, in watts; null while a part of it is unknown.
function battery(p2, p3, p4) {
  const parts = [p2.power_w, p3.power_w, p4.present ? p4.power_w : 0];
  return parts.includes(null) ? null : parts[0] + parts[2] - parts[1];
}

function describe(state, source) {
  const feeds = { grid: t("the grid feeds the load"), battery: t("the battery feeds the load") }[source] ?? t("what feeds the load is unknown");
  const values = { feeds, load: watts(state.load_w), import: watts(state.import_w), soc: percent(state.battery.soc_pct) };
  return t("Energy flow: {feeds} with {load}; grid import {import}; state of charge {soc}", values);
}

function line(name, d) {
  const wire = svg("path", { class: "wire", d });
  const parts = [svg("path", { class: "glow", d }), svg("path", { class: "dots", d })];
  if (name !== "trunk") parts.push(arrow(d));
  const root = svg("g", { class: "line", "data-wire": name }, wire, ...parts);
  return {
    root,
    show(power, tone) {
      const active = power != null && Math.abs(power) > FLOWING_W && tone != null;
      root.classList.toggle("active", active);
      setAttribute(root, "data-tone", tone);
      setAttribute(root, "data-pace", power > 400 ? "fast" : power > 80 ? "medium" : "slow");
    },
  };
}

// An arrowhead at the end of a path of straight lines.
function arrow(d) {
  let [x, y] = [0, 0];
  let direction = "";
  for (const [, command, numbers] of d.matchAll(/([MHV])([\d. ]+)/g)) {
    const [a, b] = numbers.trim().split(/\s+/).map(Number);
    if (command === "M") [x, y] = [a, b];
    if (command === "H") { direction = a > x ? 0 : 180; x = a; }
    if (command === "V") { direction = a > y ? 90 : -90; y = a; }
  }
  return svg("path", { class: "arrow", d: "M-6 -8 L8 0 L-6 8 Z", transform: `translate(${x} ${y}) rotate(${direction})` });
}

function node(name, at, layout) {
  const { label } = at;
  const text = (dy, cls, content) => {
    const made = svg("text", { x: label.x, y: label.y + dy, "text-anchor": label.anchor, class: cls });
    made.textContent = content;
    return made;
  };
  const root = svg("g", { "data-node": name }, svg("rect", { class: "box", x: at.x - 32, y: at.y - 32, width: 64, height: 64, rx: 14 }));
  root.append(text(0, "name", NAMES[name]));
  if (name === "ats") {
    root.append(text(17, "name", t("switch")));
    const lever = transferSwitch(root, at, layout);
    return { root, showSource: lever };
  }
  root.append(svg("g", { transform: `translate(${at.x} ${at.y})` }, icon(name)));
  const value = text(19, "value", UNKNOWN);
  root.append(value);
  return { root, show: (power) => showValue(value, watts(power), power == null) };
}

// Two inputs, one output, and a lever that lies on the input that feeds the load.
function transferSwitch(root, { x, y }, layout) {
  const [battery, grid, out] =
    layout.name === "wide" ? [[x - 6, y - 17], [x - 6, y + 17], [x + 18, y]] : [[x, y - 18], [x - 19, y + 2], [x, y + 18]];
  const lever = svg("line", { class: "lever", x1: out[0], y1: out[1], x2: (battery[0] + grid[0]) / 2, y2: (battery[1] + grid[1]) / 2 });
  root.append(lever, ...[battery, grid, out].map(([cx, cy]) => svg("circle", { class: "pole", cx, cy, r: 4.5 })));
  return (source) => {
    const end = { battery, grid }[source] ?? [(battery[0] + grid[0]) / 2, (battery[1] + grid[1]) / 2];
    setAttribute(lever, "x2", end[0]);
    setAttribute(lever, "y2", end[1]);
    setAttribute(lever, "data-tone", source);
  };
}

function chip(name, at, { width, height }) {
  const [left, top] = [at.x - width / 2, at.y - height / 2];
  const tag = svg("text", { class: "tag", x: left + 10, y: top + 19 });
  tag.textContent = name.toUpperCase();
  const word = svg("text", { class: "word", x: left + width - 7, y: top + 19, "text-anchor": "end" });
  const value = svg("text", { class: "value", x: left + 10, y: top + 40 });
  const alarm = svg("text", { class: "alarm", x: left + width - 10, y: top + 40, "text-anchor": "end" });
  const blade = svg("line", { class: "contact" });
  const glyph = svg(
    "g", { transform: `translate(${left + width - 68} ${top + 15})`, "aria-hidden": "true" },
    svg("circle", { class: "terminal", cx: 0, cy: 0, r: 2.6 }), svg("circle", { class: "terminal", cx: 14, cy: 0, r: 2.6 }), blade,
  );
  const title = svg("title");
  const root = svg("g", { class: "chip", "data-position": name, "data-tone": TONES[name] }, title, svg("rect", { x: left, y: top, width, height, rx: 12 }), tag, glyph, word, value, alarm);
  return {
    root,
    show(position) {
      const { has_relay: relay, relay_on: on, power_w: power, fault } = position;
      const says = !relay ? "sensor" : on == null ? "unknown" : on ? "closed" : "open";
      const said = { sensor: t("sensor"), unknown: t("unknown"), closed: t("closed"), open: t("open") }[says];
      setText(word, said);
      setAttribute(root, "data-relay", says);
      setAttribute(glyph, "visibility", relay && on != null ? null : "hidden");
      for (const [key, end] of Object.entries(on ? { x1: 0, y1: 0, x2: 14, y2: 0 } : { x1: 0, y1: 0, x2: 12, y2: -8 })) setAttribute(blade, key, end);
      showValue(value, watts(power), power == null);
      setText(alarm, fault ? "!" : "");
      root.classList.toggle("active", power != null && power > FLOWING_W);
      setText(title, `${CHIP_TITLES[name]}: ${watts(power)}, ${relay ? t("relay {state}", { state: said }) : t("sensor only")}${fault ? `; ${fault}` : ""}`);
    },
  };
}

function station({ x, y, width, height }) {
  const [left, right] = [x + 18, x + width - 18];
  const bar = { x: left, y: y + 74, width: right - left - 6, height: 24 };
  const at = (pct) => bar.x + (bar.width * pct) / 100;
  const text = (cls, dx, dy) => svg("text", { class: cls, x: dx, y: y + dy });
  const heading = text("name", left, 27);
  heading.textContent = t("Power station");
  const soc = text("soc", left, 61);
  const doing = text("name", left, 121);
  const marks = text("word", left, 140);
  const output = text("word", left, 157);
  const charge = svg("rect", { class: "charge", x: bar.x + 3, y: bar.y + 3, width: 0, height: bar.height - 6, rx: 3 });
  const tick = (cls) => svg("line", { class: cls, y1: bar.y - 3, y2: bar.y + bar.height + 3 });
  const [floor, reserve] = [tick("floor"), tick("reserve")];
  const root = svg(
    "g", { "data-node": "station" }, svg("rect", { class: "station", x, y, width, height, rx: 16 }), heading, soc, doing,
    svg("rect", { class: "cell", ...bar, rx: 6 }), svg("rect", { class: "cell", x: right - 4, y: bar.y + 7, width: 4, height: bar.height - 14, rx: 2 }),
    charge, floor, reserve, marks, output,
  );
  return {
    root,
    show(battery, gain) {
      const { soc_pct: pct, floor_pct: low, reserve_pct: kept } = battery;
      showValue(soc, percent(pct), pct == null);
      setAttribute(charge, "width", pct == null ? 0 : Math.max(0, ((bar.width - 6) * pct) / 100));
      charge.classList.toggle("low", pct != null && pct <= Math.max(low, kept));
      for (const [mark, value] of [[floor, low], [reserve, kept]]) {
        setAttribute(mark, "x1", at(value));
        setAttribute(mark, "x2", at(value));
      }
      setText(doing, gain == null ? t("charging or not: unknown") : gain > FLOWING_W ? t("charging {power}", { power: watts(gain) }) : gain < -FLOWING_W ? t("discharging {power}", { power: watts(-gain) }) : t("resting"));
      setText(marks, low === kept ? t("floor and reserve {low}", { low: percent(low) }) : t("floor {low}, reserve {kept}", { low: percent(low), kept: percent(kept) }));
      setText(output, battery.source === "estimate" ? t("estimated; the station is silent") : { true: t("AC output on"), false: t("AC output off") }[battery.ac_output_on] ?? t("AC output unknown"));
    },
  };
}

function showValue(text, content, isUnknown) {
  setText(text, content);
  text.classList.toggle("unknown", isUnknown);
}
