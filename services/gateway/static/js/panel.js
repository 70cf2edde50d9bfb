// The card of the event that runs or comes next, and the form that starts one.

import { get, post } from "./api.js";
import { byId, element, setAttribute, setText } from "./dom.js";
import { actions, carryOut, isOpen, question } from "./events.js";
import { goalText, period, span, timeOfDay, wattHours } from "./format.js";

export class Panel {
  constructor() {
    this.event = null;
    this.shown = "";
    byId("start").addEventListener("submit", (submit) => {
      submit.preventDefault();
      carryOut(byId("start-button"), () => this.start(new FormData(submit.target).get("duration")));
    });
    get("/api/preferences").then(
      ({ goal }) => setText(byId("goal"), `Goal: ${goalText(goal)}, as your preferences say.`),
      () => setText(byId("goal"), ""),
    );
  }

  async start(duration) {
    const { status, body } = await post("/api/events", { start: "now", duration });
    if (status === 202) return "Sent; the controller has not answered yet. The list below shows when it does.";
    return `The event has begun and lasts until ${timeOfDay(new Date(body.end), this.zone)}.`;
  }

  show(events, zone, now) {
    this.zone = zone;
    const open = events.filter(isOpen);
    this.event = open.find(({ status }) => status === "ongoing") ?? open[0] ?? null;
    const ongoing = this.event?.status === "ongoing";
    setText(byId("event-title"), ongoing ? "Event in progress" : this.event?.status === "pending" ? "An event asks you" : this.event ? "Next event" : "Event");
    byId("current").hidden = !this.event;
    byId("start").hidden = ongoing;
    setText(byId("idle"), this.event ? "Or start another one now:" : "No event is planned.");
    const key = JSON.stringify([this.event, zone]);
    if (this.event && key !== this.shown) this.fill(now);
    this.shown = key;
    this.tick(now);
  }

  fill(now) {
    const { event, zone } = this;
    const facts = [
      ["Asks", question(event, zone)],
      ["When", period(new Date(event.start), new Date(event.end), zone)],
      ["Goal", goalText(event.goal)],
      ["So far", event.reduction_wh == null ? null : `${wattHours(event.reduction_wh)} less than the baseline`],
      ["Battery", event.avoided_wh == null ? null : `gave ${wattHours(event.avoided_wh)}`],
      ["Name", event.id],
    ];
    byId("facts").replaceChildren(...facts.filter(([, text]) => text).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
    byId("current-actions").replaceChildren(...actions(event, now));
  }

  // Called every second: only what time itself changes.
  tick(now) {
    if (!this.event || now == null) return;
    const [start, end] = [Date.parse(this.event.start), Date.parse(this.event.end)];
    const ongoing = this.event.status === "ongoing";
    setText(byId("countdown"), span(((ongoing ? end : start) - now) / 1000));
    setText(byId("countdown-note"), ongoing ? "left" : "until it starts");
    byId("progress").hidden = !ongoing;
    setAttribute(byId("progress"), "value", Math.min(1, Math.max(0, (now - start) / (end - start))).toFixed(4));
  }
}
