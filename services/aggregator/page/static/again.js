// Every few seconds the page asks for itself again and shows what is new; where the reader stands is kept.
"use strict";
const EVERY_MS = 3000;

async function again() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected) { location.reload(); return; }
    if (answer.ok && !document.querySelector("main").contains(document.activeElement)) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      document.querySelector("main").replaceWith(fresh);
    }
  } catch {
    // The aggregator is away; what stands here stays until it is back.
  }
  setTimeout(again, EVERY_MS);
}

setTimeout(again, EVERY_MS);
