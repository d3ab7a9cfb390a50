// The marks of the stream, as four nested bars with their figures: final within anchored within stored within live.

import type { StreamMarks } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el, setText } from "../ui/dom.ts";
import { statePips } from "../ui/icons.ts";

const LEVELS = ["live", "stored", "anchored", "final"] as const;

/** The bar. */
export class MarksBar {
  readonly element: HTMLElement;
  readonly #bars = new Map<string, HTMLElement>();
  readonly #counts = new Map<string, HTMLElement>();

  constructor() {
    const track = el("div", { class: "track", "aria-hidden": "true" });
    const legend = el("dl", { class: "legend" });
    for (const level of LEVELS) {
      const bar = el("i", { class: `level ${level}` });
      const count = el("dd", { testid: `mark-${level}` }, "0");
      this.#bars.set(level, bar);
      this.#counts.set(level, count);
      track.append(bar);
      const name = el("dt", { title: texts.stateHelp[level] }, statePips(level), texts.states[level]);
      legend.append(el("div", { "data-level": level }, name, count));
    }
    this.element = el("div", { class: "marks" }, track, legend);
  }

  /** Shows the marks; `head` is the number of messages known. */
  show(head: number, marks: StreamMarks): void {
    const values = { live: head, stored: marks.committed, anchored: marks.anchored, final: marks.final };
    for (const level of LEVELS) {
      const share = head === 0 ? 0 : Math.min(1, values[level] / head);
      (this.#bars.get(level) as HTMLElement).style.width = `${100 * share}%`;
      setText(this.#counts.get(level) as HTMLElement, texts.number(values[level]));
    }
  }
}
