// The anchor timeline: which messages were anchored together, in which block and transaction, newest first.

import type { AnchorInfo, StreamMarks } from "../../lib/index.ts";
import type { StateName } from "../texts/english.ts";
import { texts } from "../texts/texts.ts";
import { copyText, el, perFrame, setText } from "../ui/dom.ts";
import { shortHex } from "../ui/format.ts";
import { icon, statePips } from "../ui/icons.ts";

/** Anchors shown at most; older ones are in the receipts of their messages. */
const SHOWN = 60;

type Anchor = Omit<AnchorInfo, "state"> & { readonly state: "anchored" | "final" | "reverted" };

/** The panel. */
export class AnchorPanel {
  readonly element: HTMLElement;
  readonly #list = el("ol", { class: "timeline", testid: "anchors" });
  readonly #waiting = el("p", { class: "hint", testid: "anchors-waiting" });
  readonly #anchors = new Map<number, Anchor>();
  readonly #onShow: (seq: number) => void;
  readonly #draw = perFrame(() => this.#render());
  #marks: StreamMarks = { committed: 0, anchored: 0, final: 0 };

  constructor(onShow: (seq: number) => void) {
    this.#onShow = onShow;
    this.element = el(
      "section",
      { class: "panel anchors", "data-view": "anchors", "aria-labelledby": "anchors-title" },
      el("h2", { id: "anchors-title" }, texts.anchors.title),
      this.#waiting,
      this.#list,
    );
    this.#render();
  }

  /** Adds an anchor, or its new state. */
  add(anchor: Anchor): void {
    const known = this.#anchors.get(anchor.first);
    if (anchor.state === "reverted" && known?.tx !== anchor.tx && known !== undefined) return; // an earlier transaction
    this.#anchors.set(anchor.first, anchor);
    for (const [first] of [...this.#anchors].sort(([a], [b]) => b - a).slice(SHOWN)) this.#anchors.delete(first);
    this.#draw();
  }

  /** Shows the stream's marks. */
  marks(marks: StreamMarks): void {
    this.#marks = marks;
    this.#draw();
  }

  #render(): void {
    const waiting = Math.max(0, this.#marks.committed - this.#marks.anchored);
    if (waiting > 0) setText(this.#waiting, texts.anchors.waiting(waiting));
    else setText(this.#waiting, this.#anchors.size === 0 ? `${texts.anchors.none} ${texts.anchors.noneHint}` : "");
    const anchors = [...this.#anchors.values()].sort((a, b) => b.first - a.first);
    this.#list.replaceChildren(...anchors.map((anchor) => this.#row(anchor)));
  }

  #row(anchor: Anchor): HTMLElement {
    const last = anchor.first + anchor.count - 1;
    const range = texts.anchors.range(anchor.first, last);
    // Anchors below the final mark are final, even when their own change of state was not reported.
    const state: StateName = anchor.state !== "reverted" && last < this.#marks.final ? "final" : anchor.state;
    return el(
      "li",
      {
        testid: "anchor",
        "data-first": anchor.first,
        "data-count": anchor.count,
        "data-state": state,
      },
      el(
        "button",
        {
          type: "button",
          class: "range",
          "aria-label": texts.anchors.show(range),
          onclick: () => this.#onShow(anchor.first),
        },
        range,
      ),
      el("span", { class: "state", title: texts.stateHelp[state as "final"] }, statePips(state), texts.states[state]),
      el("span", { class: "where" }, texts.anchors.block(anchor.block)),
      el(
        "button",
        {
          type: "button",
          class: "copy",
          title: texts.anchors.copyTx,
          "aria-label": `${texts.anchors.copyTx}: ${shortHex(anchor.tx)}`,
          onclick: (event: MouseEvent) => this.#copy(event.currentTarget as HTMLElement, anchor.tx),
        },
        icon("copy"),
        el("code", {}, shortHex(anchor.tx)),
      ),
    );
  }

  async #copy(button: HTMLElement, tx: string): Promise<void> {
    if (!(await copyText(tx))) return;
    setText(button.querySelector("code") as Element, texts.anchors.copied);
    setTimeout(() => this.#draw(), 1_200);
  }
}
