// The first page: the flow of energy, what the station does, and the last day.

import { byId, element, setAttribute, setText } from "./dom.js";
import { Flow } from "./flow.js";
import { UNKNOWN } from "./format.js";
import { LANGUAGE, t } from "./texts.js";

const MODES = [
  t("Everything is off"),
  t("The grid feeds the load and charges the battery"),
  t("The grid feeds the load, the battery rests"),
  t("The battery feeds the load while the grid charges it"),
  t("The grid charges the battery, the load is off"),
  t("The battery feeds the load"),
];
const PHASES = { normal: [t("Normal"), null], upcoming: [t("Event coming"), "soon"], ongoing: [t("Event running"), "active"] };

const flow = new Flow(byId("flow"));
// The first values need not wait for what draws the past.
const chart = import("./chart.js").then(({ Chart }) => new Chart(byId("chart")));

function showController(controller) {
  const [phase, tone] = PHASES[controller?.phase] ?? [t("Unknown"), "bad"];
  setText(byId("phase"), phase);
  setAttribute(byId("phase"), "data-tone", tone);
  const { mode_commanded: wanted, mode_confirmed: confirmed } = controller ?? {};
  const mode = wanted ?? UNKNOWN;
  setText(byId("mode"), wanted == null || confirmed === wanted ? t("mode {mode}", { mode }) : t("mode {mode}, not confirmed yet", { mode }));
  setText(byId("headline"), wanted == null ? t("What the station does is unknown") : MODES[wanted]);
  setText(byId("reason"), controller ? sentence(controller.reasons[LANGUAGE] ?? controller.reason) : t("The controller is not heard."));
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

function showServices(services) {
  const items = Object.entries(services).map(([name, service]) => {
    const health = service.state === "offline" ? "offline" : service.health;
    const text = health === "ok" ? name.replace("_", " ") : `${name.replace("_", " ")}: ${service.detail || health}`;
    return element("li", { "data-health": health }, text);
  });
  byId("services").replaceChildren(...items);
}

function showFaults(positions) {
  const faults = Object.entries(positions).filter(([, position]) => position.fault);
  byId("faults").hidden = faults.length === 0;
  byId("faults").replaceChildren(...faults.map(([name, { fault }]) => element("li", {}, `${name.toUpperCase()}: ${fault}`)));
}

document.body.addEventListener("state", ({ detail: state }) => {
  showController(state.controller);
  flow.show(state);
  showServices(state.services);
  showFaults(state.positions);
  if (state.connected && state.time.now) chart.then((it) => it.follow(state.timezone, state.time.speed));
});
document.body.addEventListener("events", ({ detail: events }) => chart.then((it) => it.shade(events)));
