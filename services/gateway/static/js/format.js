// Values as a person reads them. What is null is unknown and shown as a dash, never as zero.

export const UNKNOWN = "–";
const LOCALE = "en-GB";

export const watts = (value) =>
  value == null ? UNKNOWN : Math.abs(value) < 1000 ? `${tidy(Math.round(value))} W` : `${(value / 1000).toFixed(2)} kW`;

export const wattHours = (value) =>
  value == null ? UNKNOWN : Math.abs(value) < 10 ? `${tidy(Math.round(value * 10) / 10)} Wh` : `${tidy(Math.round(value))} Wh`;

export const percent = (value) => (value == null ? UNKNOWN : `${tidy(Math.round(value))} %`);

// A minus of its own width; and no "-0".
const tidy = (number) => (number < 0 ? `−${-number}` : `${number + 0}`);

// Seconds as "1 h 10 min", "12 min" or "45 s".
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest ? `${Math.floor(minutes / 60)} h ${rest} min` : `${Math.floor(minutes / 60)} h`;
}

const made = new Map();
function formatter(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new Intl.DateTimeFormat(LOCALE, { timeZone: zone, ...options }));
  return made.get(key);
}

const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { weekday: "short", day: "numeric", month: "short" };

export const clockTime = (date, zone) => formatter(zone, { ...DAY, ...TIME }).format(date).replace(/,(?=[^,]*$)/, "");
export const timeOfDay = (date, zone) => formatter(zone, TIME).format(date);
export const day = (date, zone) => formatter(zone, DAY).format(date);

// "Mon, 23 Nov 16:00–17:00", with the second day only where it differs.
export function period(start, end, zone) {
  const last = day(start, zone) === day(end, zone) ? timeOfDay(end, zone) : clockTime(end, zone);
  return `${clockTime(start, zone)} – ${last}`;
}

export function goalText(goal) {
  if (goal.kind === "pledge") return `${watts(goal.reduction_w)} less than usual`;
  if (goal.kind === "limit") return `at most ${watts(goal.import_w)} from the grid`;
  return "as little from the grid as possible";
}
