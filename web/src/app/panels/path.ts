// The path panel: how packets reach the relay, and how long each step of the set-up took.

import type { Attempt, AttemptStep, CandidatePath, ConnectionPath, StreamConnection } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el, setText } from "../ui/dom.ts";
import { byteCount, shortHex, timeOfDay } from "../ui/format.ts";
import { icon } from "../ui/icons.ts";

/** How often the path is read, in ms. */
const READ_EVERY_MS = 2_000;

const FACTS = ["relay", "protocol", "local", "remote", "rtt", "traffic", "direct"] as const;

/** The panel. */
export class PathPanel {
  readonly element: HTMLElement;
  readonly #connection: StreamConnection;
  readonly #facts = new Map<string, HTMLElement>();
  readonly #list: HTMLElement;
  readonly #none = el("p", { class: "hint", testid: "no-path" }, texts.path.none);
  readonly #steps = el("ol", { class: "steps", testid: "setup-steps" });
  readonly #tried = el("div", { class: "tried", id: "tried" });
  // Outside of what is drawn again with each attempt, so that it keeps the focus.
  readonly #retry: HTMLButtonElement;
  #relay = "";

  constructor(connection: StreamConnection) {
    this.#connection = connection;
    const retryNow = (): void => connection.retryNow();
    this.#retry = el(
      "button",
      { type: "button", testid: "path-retry", hidden: true, onclick: retryNow },
      texts.banner.retry,
    );
    this.#list = el("dl", { class: "facts", testid: "path" });
    for (const fact of FACTS) {
      const value = el("dd", { testid: `path-${fact}` });
      this.#facts.set(fact, value);
      this.#list.append(el("dt", {}, texts.path[fact]), value);
    }
    this.element = el(
      "section",
      { class: "panel path", "data-view": "path", "aria-labelledby": "path-title", tabindex: -1 },
      el("h2", { id: "path-title" }, texts.path.title),
      this.#none,
      this.#list,
      this.#retry,
      this.#tried,
    );
    connection.on("attempt", () => this.#showAttempts());
    connection.on("state", () => void this.#read());
    connection.on("peers", () => void this.#read());
    setInterval(() => {
      if (document.visibilityState === "visible") void this.#read();
    }, READ_EVERY_MS);
    void this.#read();
  }

  /** The relay that the edge names for the stream. */
  relay(id: string | undefined): void {
    this.#relay = id ?? "";
    void this.#read();
  }

  async #read(): Promise<void> {
    const path = await this.#connection.getPath().catch(() => undefined);
    const { state } = this.#connection.state;
    setText(this.#none, state === "http" ? texts.path.byHttp : texts.path.none);
    this.#none.hidden = path !== undefined;
    this.#retry.hidden = path !== undefined || state === "closed";
    this.#list.hidden = path === undefined;
    if (path !== undefined) this.#show(path);
  }

  #show(path: ConnectionPath): void {
    const { types } = texts.path;
    const values: Record<(typeof FACTS)[number], string> = {
      relay: this.#relay || "–",
      protocol: [path.protocol.toUpperCase(), path.dtls].filter(Boolean).join(", "),
      local: [path.localAddress, types[path.localType] ?? path.localType].filter(Boolean).join(", "),
      remote: path.remoteAddress,
      rtt: path.rttMs === undefined ? "–" : texts.latency.ms(path.rttMs),
      traffic: `${byteCount(path.bytesSent)} / ${byteCount(path.bytesReceived ?? 0)}`,
      direct: this.#connection.peers.map((author) => shortHex(author, 6, 4)).join(", ") || "–",
    };
    for (const fact of FACTS) setText(this.#facts.get(fact) as HTMLElement, values[fact]);
  }

  #showAttempts(): void {
    const attempts = [...this.#connection.attempts].reverse();
    const latest = attempts[0];
    if (latest === undefined) return;
    const total = latest.steps.reduce((sum, step) => sum + (step.tookMs ?? 0), 0);
    const title = latest.error === undefined ? texts.path.setUp : texts.path.tried;
    this.#steps.replaceChildren(...latest.steps.map((step) => stepRow(step, total)));
    this.#tried.replaceChildren(
      el("h3", {}, title, el("span", { class: "aside" }, texts.path.total(total))),
      ...failure(latest),
      this.#steps,
      ...candidatePaths(latest),
      ...attempts.slice(1, 4).map(earlier),
    );
  }
}

/** The failure of an attempt, and what the user can do. */
function failure({ error, advice }: Attempt): HTMLElement[] {
  if (error === undefined) return [];
  const said = error.code === "refused" ? `${texts.error.refused} ${error.message}` : texts.error[error.code];
  const why = el("p", { class: "problem", testid: "failure" }, said);
  if (advice === undefined) return [why];
  const words = el("p", { class: "advice", testid: "advice", "data-advice": advice }, texts.path.advice[advice]);
  return [why, el("h4", {}, texts.path.why), words];
}

/** Each candidate path to the relay, and its outcome. */
function candidatePaths({ ways: all, request }: Attempt): HTMLElement[] {
  const { candidate, candidateOutcome, candidates: title } = texts.path;
  const row = ({ id, address, outcome, detail }: CandidatePath): HTMLElement =>
    el(
      "li",
      { "data-path": id, "data-outcome": outcome },
      outcome === "used" || outcome === "answered" ? icon("check") : el("i", { class: "dot" }),
      el("span", { class: "name" }, candidate[id]),
      el("span", { class: "outcome" }, [candidateOutcome[outcome], detail].filter(Boolean).join(": ")),
      el("code", { class: "address" }, address),
    );
  const { ms } = texts.latency;
  const timing =
    request === undefined
      ? null
      : el("p", { class: "hint" }, texts.path.request(ms(request.dnsMs), ms(request.connectMs), ms(request.waitMs)));
  if (all.length === 0) return timing === null ? [] : [timing];
  const list = el("ul", { class: "candidates", testid: "candidate-paths" }, ...all.map(row));
  return [el("h4", {}, title), list, ...(timing === null ? [] : [timing])];
}

/** A step, with its time as a bar that shows the slow ones. */
function stepRow(step: AttemptStep, total: number): HTMLElement {
  const bar = el("i", { class: "part" });
  bar.style.width = `${total > 0 ? (100 * (step.tookMs ?? 0)) / total : 0}%`;
  const time =
    step.outcome === "failed" ? texts.path.stepFailed : step.tookMs === undefined ? "" : texts.latency.ms(step.tookMs);
  return el(
    "li",
    { "data-step": step.id, "data-outcome": step.outcome },
    step.outcome === "failed" ? icon("cross") : step.outcome === "ok" ? icon("check") : el("i", { class: "dot" }),
    el("span", { class: "name" }, texts.path.steps[step.id]),
    el("span", { class: "took" }, time, step.outcome === "not-reached" ? unseen(texts.path.stepNotReached) : null),
    el("span", { class: "track", "aria-hidden": "true" }, bar),
  );
}

/** The outcome for screen readers; others see it by the colour. */
const unseen = (text: string): HTMLElement => el("span", { class: "unseen" }, text);

function earlier(attempt: Attempt): HTMLElement {
  const outcome = attempt.error === undefined ? texts.connection.open : texts.error[attempt.error.code];
  return el("p", { class: "hint" }, `${texts.path.attempt(timeOfDay(attempt.startedAt))}: ${outcome}`);
}
