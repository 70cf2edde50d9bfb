// Where everything stands in the picture: once for a wide page, once for a phone. Coordinates in SVG units.

export const WIDE = {
  name: "wide", width: 792, height: 372, chip: { width: 112, height: 50 },
  station: { x: 286, y: 101, width: 200, height: 170 },
  nodes: {
    pv: { x: 44, y: 48, label: { x: 44, y: 99, anchor: "middle" } },
    grid: { x: 44, y: 252, label: { x: 44, y: 303, anchor: "middle" } },
    ats: { x: 660, y: 252, label: { x: 618, y: 248, anchor: "end" } },
    load: { x: 752, y: 252, label: { x: 752, y: 303, anchor: "middle" } },
  },
  chips: { p4: { x: 190, y: 48 }, p2: { x: 190, y: 186 }, p3: { x: 566, y: 186 }, p1: { x: 386, y: 342 } },
  wires: {
    p4: "M76 48 H386 V93",
    trunk: "M76 252 H106",
    p2: "M106 252 V186 H278",
    p1: "M106 252 V342 H660 V292",
    p3: "M486 186 H660 V212",
    load: "M692 252 H712",
  },
};

export const TALL = {
  name: "tall", width: 328, height: 574, chip: { width: 104, height: 48 },
  station: { x: 150, y: 172, width: 172, height: 170 },
  nodes: {
    grid: { x: 44, y: 40, label: { x: 84, y: 36, anchor: "start" } },
    pv: { x: 274, y: 40, label: { x: 234, y: 36, anchor: "end" } },
    ats: { x: 208, y: 442, label: { x: 248, y: 438, anchor: "start" } },
    load: { x: 208, y: 534, label: { x: 248, y: 530, anchor: "start" } },
  },
  chips: { p4: { x: 274, y: 118 }, p2: { x: 86, y: 257 }, p3: { x: 208, y: 374 }, p1: { x: 102, y: 442 } },
  wires: {
    p4: "M274 72 V164",
    trunk: "M24 72 V257",
    p2: "M24 257 H142",
    p1: "M24 257 V442 H168",
    p3: "M208 342 V402",
    load: "M208 474 V494",
  },
};
