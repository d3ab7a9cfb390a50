// The messages published through the contract, newest first, with their block and state. A message that a reorganisation
// took back stays visible, struck through.

import { CHAIN_PAGE, type ChainEvent, ChainEvents, chainEventKey, type StreamConnection } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el, perFrame, setText } from "../ui/dom.ts";
import { payloadLine, shortHex } from "../ui/format.ts";
import { statePips } from "../ui/icons.ts";
import { onServed } from "../ui/served.ts";

/** Events shown at most; all are in the edge's list. */
const SHOWN = 100;

/** Pages of the edge's list that are read at most; older events are not shown here. */
const MAX_PAGES = 10;

/** The panel. */
export class ChainPanel {
  readonly element: HTMLElement;
  readonly #events = new ChainEvents(CHAIN_PAGE);
  readonly #list = el("ol", { class: "timeline", testid: "chain-events" });
  readonly #notice = el("p", { class: "hint", testid: "chain-notice", role: "status" });
  readonly #connection: StreamConnection;
  readonly #draw = perFrame(() => this.#render());

  constructor(connection: StreamConnection) {
    this.#connection = connection;
    this.element = el(
      "section",
      { class: "panel anchors", "data-view": "anchors", "aria-labelledby": "chain-title", hidden: true },
      el("h2", { id: "chain-title" }, texts.chain.title),
      this.#notice,
      this.#list,
    );
    connection.on("chain", (event) => this.#take(event));
    onServed(connection, () => void this.#refresh());
  }

  #take(event: ChainEvent): void {
    if (!this.#events.take(event)) return;
    if (event.state === "reverted") setText(this.#notice, texts.chain.takenBack(event.block));
    this.#draw();
  }

  /** Reads the events that were missed: a session reports only those of its own time. */
  async #refresh(): Promise<void> {
    const { edge, stream } = this.#connection;
    const held = this.#events.toArray();
    const list: ChainEvent[] = [];
    let complete = false;
    for (let page = 0; page < MAX_PAGES && !complete; page++) {
      const events = await edge.chainEvents(stream, list.at(-1)).catch(() => undefined);
      if (events === undefined) break; // the next session reads again
      list.push(...events);
      complete = events.length < CHAIN_PAGE;
    }
    for (const event of list) this.#take(event);
    const there = new Set(list.map(chainEventKey));
    const gone = complete ? held.filter((event) => event.state === "anchored" && !there.has(chainEventKey(event))) : [];
    for (const event of gone) this.#take({ ...event, state: "reverted" });
  }

  #render(): void {
    const events = this.#events.toArray().reverse().slice(0, SHOWN);
    this.element.hidden = events.length === 0;
    this.#list.replaceChildren(...events.map((event) => this.#row(event)));
  }

  #row(event: ChainEvent): HTMLElement {
    const { block, logIndex, tx, state } = event;
    const author = event.author ?? "0x";
    const payload = event.payload ?? new Uint8Array(0);
    const text = event.omitted ? texts.messages.omitted(event.omitted.size) : payloadLine({ payload });
    return el(
      "li",
      { testid: "chain-event", "data-state": state, "data-block": block, "data-log": logIndex, title: tx },
      el(state === "reverted" ? "s" : "span", { class: "range" }, text),
      el("span", { class: "state" }, statePips(state), texts.states[state]),
      el("span", { class: "where" }, texts.anchors.block(block)),
      el("code", { class: "where", title: author }, shortHex(author)),
    );
  }
}
