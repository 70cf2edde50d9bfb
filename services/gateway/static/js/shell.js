// What every page has: the station's clock, the light that says whether it is live, countdowns, and the news for the other parts.

import { byId, setAttribute, setText } from "./dom.js";
import { clockTime, span } from "./format.js";
import { follow, unknown } from "./live.js";
import { t } from "./texts.js";

const zone = document.body.dataset.zone;
let state = null;
let heardAt = 0;
let shown = null;

// Station time runs on between two states, at the station's speed.
function stationNow() {
  if (!state?.time.now) return null;
  return Date.parse(state.time.now) + (performance.now() - heardAt) * state.time.speed;
}

function tick() {
  const now = stationNow();
  if (now == null) return;
  setText(byId("clock"), clockTime(new Date(now), zone));
  for (const element of document.querySelectorAll("[data-until]")) setText(element, span((Date.parse(element.dataset.until) - now) / 1000));
  for (const bar of document.querySelectorAll("progress[data-start]")) {
    const [start, end] = [Date.parse(bar.dataset.start), Date.parse(bar.dataset.end)];
    setAttribute(bar, "value", Math.min(1, Math.max(0, (now - start) / (end - start))).toFixed(4));
  }
}

function showLink(live, banner) {
  const link = byId("link");
  link.dataset.live = live ? "yes" : "no";
  setText(link, live ? t("live") : t("no connection"));
  document.body.classList.toggle("lost", !live);
  byId("banner").hidden = live;
  setText(byId("banner"), banner);
  for (const button of document.querySelectorAll("main form[method=post] button[type=submit]")) button.disabled = !live;
}

const tell = (name, detail) => document.body.dispatchEvent(new CustomEvent(name, { detail }));

function show(news) {
  [state, heardAt] = [news, performance.now()];
  tell("state", state);
  tick();
}

// As it was when the page was made: the first values need not wait for the stream, which says whether they live.
show(JSON.parse(document.body.dataset.state));

follow({
  onState(news) {
    showLink(news.connected, news.connected ? "" : t("The station's message broker does not answer. Live values are unknown until it is back."));
    show(news);
  },
  onEvents(news) {
    const text = JSON.stringify(news);
    tell("events", news);
    if (text !== shown) tell("events-changed", null);
    shown = text;
  },
  onLost() {
    showLink(false, t("The connection to the station is lost; trying again. Live values are unknown until it is back."));
    if (state) {
      state = unknown(state);
      tell("state", state);
    }
  },
});
setInterval(tick, 1000);
document.body.addEventListener("htmx:afterSwap", tick);
document.body.addEventListener("htmx:sendError", () => showLink(false, t("The connection to the station is lost; trying again. Live values are unknown until it is back.")));
// The first field that is wrong gets the keyboard.
document.body.addEventListener("htmx:afterSettle", (swap) => swap.detail.target?.querySelector?.("[aria-invalid=true]")?.focus());
document.addEventListener("click", (click) => { if (click.target.closest?.("[data-print]")) print(); });
