// The system panel: the edge's status of the chain, its anchorer and its relays.

import type { EdgeClient, EdgeConfig, EdgeStatus } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el, setAttribute, setText } from "../ui/dom.ts";
import { shortHex } from "../ui/format.ts";

/** How often the edge is polled, in ms. */
const ASK_EVERY_MS = 5_000;

const FACTS = ["chain", "head", "contract", "anchorer", "relays"] as const;

/** What the rest of the page uses of the edge's answers. */
interface SystemNews {
  readonly status: EdgeStatus | null;
  readonly config: EdgeConfig | null;
}

/** The panel, and the polling behind it. */
export class SystemPanel {
  readonly element: HTMLElement;
  readonly #edge: EdgeClient;
  readonly #onNews: (news: SystemNews) => void;
  readonly #facts = new Map<string, HTMLElement>();
  #config: EdgeConfig | null = null;

  constructor(edge: EdgeClient, onNews: (news: SystemNews) => void) {
    this.#edge = edge;
    this.#onNews = onNews;
    const list = el("dl", { class: "facts", testid: "system" });
    for (const fact of FACTS) {
      const value = el("dd", { testid: `system-${fact}` }, "–");
      this.#facts.set(fact, value);
      list.append(el("dt", {}, texts.system[fact]), value);
    }
    this.element = el(
      "section",
      { class: "panel system", "data-view": "path", "aria-labelledby": "system-title" },
      el("h2", { id: "system-title" }, texts.system.title),
      list,
      el(
        "p",
        { class: "hint" },
        el("a", { href: texts.system.documentsAt, testid: "documents" }, texts.system.documents),
      ),
    );
  }

  /** Starts to poll, once the page has begun to connect. */
  start(): void {
    void this.#ask();
    setInterval(() => {
      if (document.visibilityState === "visible") void this.#ask();
    }, ASK_EVERY_MS);
  }

  async #ask(): Promise<void> {
    this.#config ??= await this.#edge.config().catch(() => null);
    const status = await this.#edge.status().catch(() => null);
    this.#show(status);
    this.#onNews({ status, config: this.#config });
  }

  #show(status: EdgeStatus | null): void {
    const { system, number } = texts;
    const config = this.#config;
    const chain = status?.chain;
    const state = chain === undefined ? system.unknown : !chain.ok ? system.down : lagText(chain.lag);
    const values: Record<(typeof FACTS)[number], string> = {
      chain: config === null ? state : `${number(config.chainId)}, ${state}`,
      head: chain?.head === undefined ? "–" : `${number(chain.head)} / ${number(chain.finalized ?? 0)}`,
      contract: config === null ? "–" : shortHex(config.contract),
      anchorer: status === null ? "–" : system.segments(status.anchorer.pendingSegments),
      relays:
        status === null
          ? "–"
          : system.relaysAlive(status.relays.filter((relay) => relay.alive).length, status.relays.length),
    };
    for (const fact of FACTS) setText(this.#facts.get(fact) as HTMLElement, values[fact]);
    const contract = this.#facts.get("contract") as HTMLElement;
    setAttribute(contract, "title", config?.contract);
    setAttribute(
      this.#facts.get("chain") as HTMLElement,
      "data-ok",
      chain === undefined ? undefined : String(chain.ok),
    );
  }
}

function lagText(lag: number | undefined): string {
  return lag === undefined || lag <= 1 ? texts.system.ok : texts.system.lag(lag);
}
