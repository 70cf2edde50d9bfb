// Any span of the past, at the step that fits what is looked at: who zooms in gets finer figures.

import { get } from "./api.js";
import { byId, setText } from "./dom.js";
import { columns, drawEvents, isEmpty, LINES, options, ready } from "./plot.js";
import { t } from "./texts.js";

const HEIGHT = 380;
const LEAST_S = 600;
const ALL = [LINES.load, LINES.import, LINES.battery, LINES.pv, { ...LINES.p1, show: false }, { ...LINES.p2, show: false }, { ...LINES.p3, show: false }, LINES.soc];

const container = byId("chart");
const zone = document.body.dataset.zone;
let plot = null;
let data = null;
let events = [];
let asked = 0;

async function show(from, to) {
  const turn = ++asked;
  const query = new URLSearchParams({ start: new Date(from * 1000).toISOString(), end: new Date(to * 1000).toISOString() });
  try {
    const history = await get(`/api/history?${query}`);
    await ready;
    if (turn !== asked) return;
    view = [from, to];
    data = columns(history, ALL);
    setText(byId("chart-note"), isEmpty(data) ? t("Nothing recorded in this time yet.") : "");
    if (plot) plot.setData(data);
    else rebuild();
    container.dataset.shown = `${from} ${to}`;
  } catch (error) {
    setText(byId("chart-note"), t("The history cannot be shown: {why}.", { why: error.message }));
  }
}

function rebuild() {
  if (!data) return;
  plot?.destroy();
  const hooks = {
    drawClear: [(made) => drawEvents(made, events)],
    setSelect: [(made) => {
      const { left, width } = made.select;
      if (width < 5) return;
      const [from, to] = [made.posToVal(left, "x"), made.posToVal(left + width, "x")];
      made.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      look(from, to);
    }],
  };
  plot = new uPlot(options({ container, height: HEIGHT, zone, lines: ALL, drag: true, hooks }), data, container);
}

// Within the span of the page, and never so near that nothing is left.
function look(from, to) {
  const length = Math.min(whole[1] - whole[0], Math.max(LEAST_S, to - from));
  const begin = Math.min(whole[1] - length, Math.max(whole[0], (from + to - length) / 2));
  show(begin, begin + length);
}

const MOVES = {
  in: ([from, to]) => [from + (to - from) / 4, to - (to - from) / 4],
  out: ([from, to]) => [from - (to - from) / 2, to + (to - from) / 2],
  back: ([from, to]) => [from - (to - from) / 2, to - (to - from) / 2],
  on: ([from, to]) => [from + (to - from) / 2, to + (to - from) / 2],
  all: () => whole,
};

let whole = null;
let view = null;
if (container) {
  whole = [container.dataset.start, container.dataset.end].map((time) => Date.parse(time) / 1000);
  view = whole;
  new ResizeObserver(() => plot?.setSize({ width: container.clientWidth, height: HEIGHT })).observe(container);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
  document.addEventListener("click", ({ target }) => {
    const move = MOVES[target.closest?.("[data-zoom]")?.dataset.zoom];
    if (move) look(...move(view));
  });
  document.body.addEventListener("events", ({ detail }) => { events = detail; plot?.redraw(); });
  show(...whole);
}
