// Puts the parts of the page together.

import { Chart } from "./chart.js";
import { byId, element, setAttribute, setText } from "./dom.js";
import { showEvents } from "./events.js";
import { Flow } from "./flow.js";
import { clockTime, UNKNOWN } from "./format.js";
import { follow, unknown } from "./live.js";
import { Panel } from "./panel.js";

const MODES = [
  "Everything is off",
  "The grid feeds the load and charges the battery",
  "The grid feeds the load, the battery rests",
  "The battery feeds the load while the grid charges it",
  "The grid charges the battery, the load is off",
  "The battery feeds the load",
];
const PHASES = { normal: ["Normal", null], upcoming: ["Event coming", "soon"], ongoing: ["Event running", "active"] };

const flow = new Flow(byId("flow"));
const chart = new Chart(byId("chart"));
const panel = new Panel();
let state = null;
let events = [];
let heardAt = 0;

// Station time runs on between two states, at the station's speed.
function stationNow() {
  if (!state?.time.now) return null;
  return Date.parse(state.time.now) + (performance.now() - heardAt) * state.time.speed;
}

function showState() {
  const { controller, time } = state;
  setText(byId("station"), state.station);
  setText(byId("speed"), `simulated, ${time.speed} × faster`);
  byId("speed").hidden = !time.simulated || time.speed === 1;
  showController(controller);
  flow.show(state);
  showServices();
  showFaults();
  if (state.connected && time.now) chart.follow(state.timezone, time.speed);
  byId("start-button").disabled = !state.connected;
  tick();
}

function showController(controller) {
  const [phase, tone] = PHASES[controller?.phase] ?? ["Unknown", "bad"];
  setText(byId("phase"), phase);
  setAttribute(byId("phase"), "data-tone", tone);
  const { mode_commanded: wanted, mode_confirmed: confirmed } = controller ?? {};
  setText(byId("mode"), wanted == null ? `mode ${UNKNOWN}` : confirmed === wanted ? `mode ${wanted}` : `mode ${wanted}, not confirmed yet`);
  setText(byId("headline"), wanted == null ? "What the station does is unknown" : MODES[wanted]);
  setText(byId("reason"), controller ? sentence(controller.reason) : "The controller is not heard.");
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

function showServices() {
  const items = Object.entries(state.services).map(([name, service]) => {
    const health = service.state === "offline" ? "offline" : service.health;
    const text = health === "ok" ? name.replace("_", " ") : `${name.replace("_", " ")}: ${service.detail || health}`;
    return element("li", { "data-health": health }, text);
  });
  byId("services").replaceChildren(...items);
  byId("messages").hidden = state.notices.length === 0;
  byId("notices").replaceChildren(...state.notices.map((notice) => {
    const what = [notice.message, notice.field && `${notice.field}: ${notice.value}`, notice.remedy].filter(Boolean).join("; ");
    return element("li", {}, `${clockTime(new Date(notice.ts), state.timezone)}, ${notice.service}: ${what}`);
  }));
}

function showFaults() {
  const faults = Object.entries(state.positions).filter(([, position]) => position.fault);
  byId("faults").hidden = faults.length === 0;
  byId("faults").replaceChildren(...faults.map(([name, { fault }]) => element("li", {}, `${name.toUpperCase()}: ${fault}`)));
}

function showAllEvents() {
  if (!state) return;
  showEvents(events, state.timezone, stationNow());
  panel.show(events, state.timezone, stationNow());
  chart.shade(events);
}

function tick() {
  const now = stationNow();
  setText(byId("clock"), now == null ? "" : clockTime(now, state.timezone));
  panel.tick(now);
}

function showLink(live, banner) {
  const link = byId("link");
  link.dataset.live = live ? "yes" : "no";
  setText(link, live ? "live" : "no connection");
  document.body.classList.toggle("lost", !live);
  byId("banner").hidden = live;
  setText(byId("banner"), banner);
}

follow({
  onState(news) {
    const first = state == null;
    [state, heardAt] = [news, performance.now()];
    showLink(news.connected, news.connected ? "" : "The station's message broker does not answer. Live values are unknown until it is back.");
    showState();
    if (first) showAllEvents();
  },
  onEvents(news) {
    events = news;
    showAllEvents();
  },
  onLost() {
    showLink(false, "The connection to the station is lost; trying again. Live values are unknown until it is back.");
    if (state) {
      state = unknown(state);
      showState();
    }
  },
});
setInterval(tick, 1000);
