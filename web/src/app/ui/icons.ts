// The page's few pictures, drawn in the text's colour.

import type { StateName } from "../texts/english.ts";
import { svg } from "./dom.ts";

/** How many of the four pips of a state are filled. */
const FILLED: Record<StateName, number> = {
  queued: 0,
  sent: 0,
  failed: 0,
  reverted: 2,
  live: 1,
  stored: 2,
  anchored: 3,
  final: 4,
};

/** Four pips, filled as far as the message has come: readable without colour. */
export function statePips(state: StateName): SVGElement {
  const filled = FILLED[state];
  const pips = [0, 1, 2, 3].map((i) =>
    svg("rect", {
      x: 0.5 + i * 6,
      y: 7.5 - i * 2,
      width: 4,
      height: 4 + i * 2,
      rx: 1,
      class: i < filled ? "pip on" : "pip",
    }),
  );
  return svg("svg", { class: "pips", viewBox: "0 0 24 12", width: 24, height: 12, "aria-hidden": "true" }, ...pips);
}

const PATHS = {
  share: "M9 6H5a1 1 0 0 0-1 1v8a1 1 0 0 0 1 1h8a1 1 0 0 0 1-1v-4M11 4h5v5M16 4l-7 7",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.5 1.5M14.2 14.2l1.5 1.5M15.7 4.3l-1.5 1.5M5.8 14.2l-1.5 1.5",
  moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5z",
  gear: "M3 5.5h5M12 5.5h5M10 3.5v4M3 10h9M16 10h1M14 8v4M3 14.5h3M10 14.5h7M8 12.5v4",
  person: "M10 3.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM4 16.5c.6-3.2 2.8-5 6-5s5.4 1.8 6 5",
  close: "M5 5l10 10M15 5L5 15",
  check: "M4 10.5l4 4 8-9",
  cross: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  alert: "M10 3l7.5 13.5h-15zM10 8v4M10 14.2v.3",
  info: "M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM10 9v5M10 6.2v.3",
  copy: "M8 8h8v8H8zM5 12H4V4h8v1",
  down: "M10 4v11M5 10.5l5 5 5-5",
} as const;

/** A line icon of 20 units, in the text's colour. */
export function icon(name: keyof typeof PATHS): SVGElement {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": "true" },
    svg("path", { d: PATHS[name] }),
  );
}

/** The sign of the product: four messages on one line, three of them linked. */
export function brandMark(): SVGElement {
  return svg(
    "svg",
    { class: "mark", viewBox: "0 0 28 20", width: 28, height: 20, "aria-hidden": "true" },
    svg("path", { d: "M5 14h7M12 14V6h9", class: "link" }),
    svg("rect", { x: 1, y: 10, width: 8, height: 8, rx: 2, class: "block" }),
    svg("rect", { x: 9.5, y: 10, width: 8, height: 8, rx: 2, class: "block" }),
    svg("rect", { x: 18, y: 2, width: 8, height: 8, rx: 2, class: "tip" }),
  );
}
