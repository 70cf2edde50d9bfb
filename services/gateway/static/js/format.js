// Values as a person reads them. What is null is unknown and shown as a dash, never as zero.

import { LANGUAGE } from "./texts.js";

export const UNKNOWN = "–";
const LOCALE = { en: "en-GB" }[LANGUAGE] ?? LANGUAGE;
const numbers = [0, 1, 2].map((digits) => new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false }));

export const watts = (value) => (value == null ? UNKNOWN : Math.abs(value) < 1000 ? `${tidy(value)} W` : `${tidy(value / 1000, 2)} kW`);

export const percent = (value) => (value == null ? UNKNOWN : `${tidy(value)} %`);

// A minus of its own width; and no "-0".
function tidy(number, digits = 0) {
  const rounded = Number(number.toFixed(digits)) + 0;
  return rounded < 0 ? `−${numbers[digits].format(-rounded)}` : numbers[digits].format(rounded);
}

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
function parts(date, zone, options) {
  const key = zone + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new Intl.DateTimeFormat(LOCALE, { timeZone: zone, ...options }));
  return Object.fromEntries(made.get(key).formatToParts(date).map(({ type, value }) => [type, value]));
}

export function timeOfDay(date, zone) {
  const { hour, minute } = parts(date, zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return `${hour}:${minute}`;
}

export function day(date, zone) {
  const { weekday, day: number, month } = parts(date, zone, { weekday: "short", day: "numeric", month: "short" });
  return [weekday, LANGUAGE === "de" ? `${number}.` : number, month].map((part, i) => (i === 1 ? part : part.replace(".", ""))).join(" ");
}

export const clockTime = (date, zone) => `${day(date, zone)} ${timeOfDay(date, zone)}`;
