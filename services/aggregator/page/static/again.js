// Every few seconds the page asks for itself again and shows what is new; where the reader stands is kept.
"use strict";
const EVERY_MS = 3000;

function show(fresh) {
  const old = document.querySelector("main");
  const held = old.contains(document.activeElement) ? document.activeElement : null;
  // Whoever types or presses is not disturbed. A table that was clicked into has the focus, too, and must not stop the clock.
  if (held?.matches("input, select, textarea, button")) { return; }
  const scrolled = [...old.querySelectorAll(".scroll")].map((region) => [region.id, region.scrollLeft]);
  old.replaceWith(fresh);
  for (const [id, left] of scrolled) {
    const region = document.getElementById(id);
    if (region) { region.scrollLeft = left; }
  }
  if (held) {
    const same = held.id
      ? document.getElementById(held.id)
      : [...fresh.querySelectorAll("a")].find((link) => link.getAttribute("href") === held.getAttribute("href"));
    same?.focus({ preventScroll: true });
  }
}

async function again() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected) { location.reload(); return; }
    if (answer.ok) { show(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main")); }
  } catch {
    // The aggregator is away; what stands here stays until it is back.
  }
  setTimeout(again, EVERY_MS);
}

setTimeout(again, EVERY_MS);
