// Line drawings, 64 x 64 around the origin.

import { svg } from "./dom.js";

const paths = {
  grid: ["M-8 22 L-3 -22 H3 L8 22", "M-16 -12 H16", "M-13 -2 H13", "M-6.500 8 L6.500 8", "M-7 22 L5 -2 M7 22 L-5 -2", "M-16 -12 V-8 M16 -12 V-8"],
  pv: ["M-16 18 L-10 -2 H20 L14 18 Z", "M-13 8 H17", "M0 -2 L-4 18", "M10 -2 L5 18"],
  load: ["M-18 2 L0 -17 L18 2", "M-13 -2 V18 H13 V-2", "M-4 18 V6 H4 V18"],
};

export function icon(name) {
  const drawing = svg("g", { class: "icon", "aria-hidden": "true" }, ...paths[name].map((d) => svg("path", { d })));
  if (name === "pv") {
    drawing.append(svg("circle", { cx: -8, cy: -14, r: 5 }), svg("path", { d: "M-8 -24 V-22 M-18 -14 H-16 M1 -14 H2 M-15 -21 L-14 -20 M-1 -21 L-2 -20" }));
  }
  return drawing;
}
