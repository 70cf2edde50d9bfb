// The list of events, and the buttons on them.

import { post } from "./api.js";
import { byId, element } from "./dom.js";
import { clockTime, goalText, period, span, wattHours } from "./format.js";
import { showReport } from "./report.js";

const OPEN = new Set(["predicted", "pending", "scheduled", "upcoming", "ongoing"]);
const TONES = { ongoing: "active", upcoming: "soon", scheduled: "soon", predicted: "soon", pending: "soon", refused: "bad" };
const MOST = 20;
const SURE_MS = 4_000;

export const isOpen = (event) => OPEN.has(event.status);

const words = (status) => {
  const text = status.replace("_", " ");
  return text[0].toUpperCase() + text.slice(1);
};

export const pill = (status) => {
  const made = element("span", { class: "pill", "data-tone": TONES[status] });
  made.textContent = words(status);
  return made;
};

export function tell(text, tone) {
  const feedback = byId("feedback");
  feedback.dataset.tone = tone;
  feedback.textContent = text;
}

// Run `work` with the button off; what it returns, or why it failed, is told.
export async function carryOut(button, work) {
  button.disabled = true;
  try {
    tell(await work(), "good");
  } catch (error) {
    tell(`Not done: ${error.message}.`, "bad");
  } finally {
    button.disabled = false;
  }
}

function actionButton(label, event, action, done, { confirm = false } = {}) {
  const button = element("button", { type: "button", "data-action": action }, label);
  let sureUntil = 0;
  button.addEventListener("click", () => {
    if (confirm && performance.now() > sureUntil) {
      sureUntil = performance.now() + SURE_MS;
      button.textContent = "Really cancel?";
      button.classList.add("sure");
      setTimeout(() => { button.textContent = label; button.classList.remove("sure"); }, SURE_MS);
      return;
    }
    carryOut(button, async () => {
      const { status } = await post(`/api/events/${encodeURIComponent(event.id)}/${action}`);
      return status === 202 ? "Sent; the controller has not answered yet." : done;
    });
  });
  return button;
}

// The buttons that make sense for an event as it stands.
export function actions(event, now) {
  if (event.status === "pending") {
    return [
      actionButton("Accept", event, "accept", "You take part in this event."),
      actionButton("Decline", event, "decline", "You have declined this event."),
    ];
  }
  if (isOpen(event)) {
    return [
      actionButton("Opt out", event, "opt_out", "You are out of this event."),
      actionButton("Cancel", event, "cancel", "The event is cancelled.", { confirm: true }),
    ];
  }
  if (event.status === "opted_out" && Date.parse(event.end) > now) return [actionButton("Opt in again", event, "opt_in", "You take part again.")];
  return [];
}

export function showEvents(events, zone, now) {
  byId("no-events").hidden = events.length > 0;
  byId("events").hidden = events.length === 0;
  byId("event-rows").replaceChildren(...events.slice(0, MOST).map((event) => row(event, zone, now)));
}

function row(event, zone, now) {
  const [start, end] = [new Date(event.start), new Date(event.end)];
  const buttons = actions(event, now);
  if (event.intervals.length) {
    const button = element("button", { type: "button" }, "Report");
    button.addEventListener("click", () => showReport(event, zone));
    buttons.push(button);
  }
  return element(
    "tr", { "data-event": event.id, "data-status": event.status },
    element("td", {}, pill(event.status), sub(reason(event)), sub(question(event, zone)), sub(remark(event))),
    element("td", {}, period(start, end, zone), sub(event.id)),
    element("td", {}, span((end - start) / 1000)),
    element("td", {}, goalText(event.goal)),
    element("td", {}, ...result(event)),
    element("td", {}, buttons.length ? element("div", { class: "actions" }, ...buttons) : null),
  );
}

function result(event) {
  if (event.avoided_wh == null && event.reduction_wh == null) return [];
  const main = event.reduction_wh == null ? `${wattHours(event.avoided_wh)} from the battery` : `${wattHours(event.reduction_wh)} less than the baseline`;
  const more = [
    event.reduction_wh == null || event.avoided_wh == null ? "" : `${wattHours(event.avoided_wh)} from the battery`,
    event.final ? "" : "so far",
  ];
  return [main, sub(more.filter(Boolean).join(", "))];
}

// A reason that says no more than the status is left out.
const reason = ({ status, status_reason: why }) => (why === status.replace("_", " ") ? "" : why);

// Until when an event waits for an answer, and what holds without one.
export const question = ({ status, answer_by: due, unanswered }, zone) =>
  status === "pending" && due ? `answer until ${clockTime(new Date(due), zone)}, else it is ${unanswered === "accept" ? "accepted" : "declined"}` : "";

// What the settlement of an event should know.
const remark = ({ flags }) =>
  flags.includes("charged_in_adjustment_window") ? "charged in the hours that adjust the baseline: its figure is too high" : "";

const sub = (text) => (text ? element("span", { class: "sub" }, text) : null);
