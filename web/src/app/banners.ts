// Notes above the messages on what is wrong or slower than usual: at most one on the connection and one on the chain, each
// with what the user can do.

import type { EdgeStatus, ErrorCode, StateChange, StreamChainError, StreamConnection } from "../lib/index.ts";
import { texts } from "./texts/texts.ts";
import { el } from "./ui/dom.ts";
import { icon } from "./ui/icons.ts";

/** Blocks that the edge may be behind the chain before a note says so. */
const LAG_TOLD_FROM = 10;

/** Failures in a row before a note says that the connection was lost; one failure is not worth a note. */
const TOLD_AFTER_MS = 1_500;

interface Note {
  readonly kind: string;
  readonly title: string;
  readonly body: string;
  readonly actions: boolean;
  /** The note only informs: nothing is wrong. */
  readonly calm?: boolean;
}

/** The notes. */
export class Banners {
  readonly element = el("div", { class: "banners", role: "status", testid: "banners" });
  readonly #connection: StreamConnection;
  readonly #onWhy: () => void;
  #status: EdgeStatus | null = null;
  #troubleSince: number | null = null;
  #shown = "";

  constructor(connection: StreamConnection, onWhy: () => void) {
    this.#connection = connection;
    this.#onWhy = onWhy;
    connection.on("state", (change) => this.#onState(change));
    setInterval(() => this.#render(), 1_000);
  }

  /** Takes the edge's status. */
  status(status: EdgeStatus | null): void {
    this.#status = status;
    this.#render();
  }

  #onState({ state }: StateChange): void {
    if (state === "open" || state === "http") this.#troubleSince = null;
    else if (state !== "connecting") this.#troubleSince ??= performance.now();
    this.#render();
  }

  #render(): void {
    const notes = [this.#connectionNote(), this.#chainNote()].filter((note) => note !== null);
    const key = JSON.stringify(notes);
    if (key === this.#shown) return; // a screen reader must not announce an unchanged note again
    this.#shown = key;
    this.element.replaceChildren(...notes.map((note) => this.#banner(note)));
  }

  #banner(note: Note): HTMLElement {
    const { retry, why } = texts.banner;
    const actions = el(
      "div",
      { class: "actions" },
      el("button", { type: "button", testid: "retry", onclick: () => this.#connection.retryNow() }, retry),
      el("button", { type: "button", class: "quiet", testid: "why", onclick: () => this.#onWhy() }, why),
    );
    return el(
      "div",
      { class: note.calm ? "banner calm" : "banner", testid: "banner", "data-kind": note.kind },
      icon(note.calm ? "info" : "alert"),
      el("div", { class: "words" }, el("strong", {}, note.title), " ", el("span", {}, note.body)),
      note.actions ? actions : null,
    );
  }

  #connectionNote(): Note | null {
    const { state, attempts } = this.#connection;
    const { banner } = texts;
    if (state.state === "http") return httpNote(state.error);
    if (this.#troubleSince === null || state.state === "open") return null;
    const last = attempts.at(-1);
    const error = state.error ?? last?.error;
    const settled = state.state === "closed" || performance.now() - this.#troubleSince >= TOLD_AFTER_MS;
    if (!settled || error === undefined) return null;
    switch (error.code) {
      case "edge-unreachable":
        return { kind: "edge-unreachable", ...banner.edge, actions: true };
      case "no-relay":
        return { kind: "no-relay", ...banner.noRelay, actions: true };
      case "relay-unreachable":
        return last?.error === undefined
          ? { kind: "lost", ...banner.lost, actions: true }
          : { kind: "relay-unreachable", ...banner.relay, actions: true };
      case "session-ended":
        return { kind: "session-ended", ...banner.ended, actions: false };
      case "refused": {
        const reason = state.error?.problem?.detail || error.message;
        return {
          kind: "refused",
          title: banner.refused.title,
          body: banner.refused.body(reason),
          actions: state.state !== "closed",
        };
      }
      case "closed":
        return null;
      default:
        return { kind: error.code, ...banner.channel, actions: true };
    }
  }

  #chainNote(): Note | null {
    const { banner } = texts;
    const status = this.#status;
    if (status === null) return null;
    const { ok, lag } = status.chain;
    if (!ok) return { kind: "chain-down", ...banner.chainDown, actions: false };
    if (lag !== undefined && lag >= LAG_TOLD_FROM) {
      return { kind: "chain-lag", title: banner.chainLag.title(lag), body: banner.chainLag.body, actions: false };
    }
    const { lastError } = status.anchorer;
    if (lastError !== undefined) {
      return { kind: "anchorer", title: banner.anchorer.title, body: banner.anchorer.body(lastError), actions: false };
    }
    return null;
  }
}

/** The note that the stream is followed by HTTP, and why. */
function httpNote(error: StreamChainError | undefined): Note {
  const { title, cause, meaning, back } = texts.banner.http;
  const causes: Partial<Record<ErrorCode, string>> = { "no-relay": cause.noRelay, "no-webrtc": cause.noWebrtc };
  const why = causes[error?.code ?? "relay-unreachable"] ?? cause.network;
  const words = error?.code === "no-webrtc" ? [why, meaning] : [why, meaning, back];
  return { kind: "http", title, body: words.join(" "), actions: true, calm: true };
}
