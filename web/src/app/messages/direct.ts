// Messages that came directly from another browser and that the relay has not sent yet. They are below the list because
// they have no seq. Each disappears when the relay sends it, most often within the same frame.

import type { DirectMessage, StreamConnection } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { payloadLine, shortHex } from "../ui/format.ts";

/** Messages shown at most; nobody reads a burst. */
const SHOWN = 5;

/** The strip of tentative messages. */
export class DirectStrip {
  readonly element = el("ul", { class: "direct", testid: "direct", "aria-label": texts.messages.direct, hidden: true });
  readonly #rows = new Map<string, HTMLElement>();

  constructor(connection: StreamConnection) {
    connection.on("direct", (message) => this.#take(message));
  }

  #take(message: DirectMessage): void {
    const { id, state } = message;
    if (state !== "tentative") {
      this.#rows.get(id)?.remove();
      this.#rows.delete(id);
    } else if (this.#rows.size < SHOWN) {
      const row = el(
        "li",
        { testid: "direct-message" },
        el("span", { class: "author" }, shortHex(message.author, 6, 4)),
        el("span", { class: "text" }, payloadLine(message)),
        el("span", { class: "state" }, texts.messages.tentative),
      );
      this.#rows.set(id, row);
      this.element.append(row);
    }
    this.element.hidden = this.#rows.size === 0;
  }
}
