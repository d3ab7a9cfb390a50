// The receipt of one message, from its anchor on, and its check.
//
// What always holds: `valid` is said only after every check that the caller asked for passed, against a deployment that
// the caller named and a node that the caller trusts; nothing that the edge says makes a receipt valid.

import { backoffMs } from "../lib/backoff.ts";
import { checkOnChain } from "../lib/chain/on-chain.ts";
import {
  type CheckResult,
  checkDeployment,
  checkProof,
  type ExpectedDeployment,
  type Receipt,
} from "../lib/chain/receipt.ts";
import type { StreamConnection } from "../lib/connection/connection.ts";
import { asStreamChainError, type StreamChainError } from "../lib/errors.ts";
import { FALLBACK_BACKOFF } from "../lib/limits.ts";
import type { Voucher } from "../lib/signed/certificate.ts";
import { type AuthorResult, checkAuthor } from "../lib/signed/receipt-author.ts";
import type { StreamMessage } from "../lib/wire/records.ts";
import { Store, TIMERS, type Timers } from "./store.ts";

/** What a receipt is checked against. */
export interface ReceiptChecks {
  /** The chain and contract, and the stream and message if they are known: from the caller, not from the edge. */
  readonly expected: ExpectedDeployment;
  /** A JSON-RPC node that the caller trusts. */
  readonly rpcUrl: string;
  /** Sends the requests to the node; the environment's `fetch` by default. */
  readonly fetch?: typeof fetch;
}

/** Where the receipt of a message is. */
export type ReceiptState =
  /** The message has no anchor yet. */
  | "waiting"
  /** The receipt is there, and nothing was to be checked. */
  | "fetched"
  /** The receipt is being checked. */
  | "checking"
  /** All checks passed. */
  | "valid"
  /** A check failed: `result` says which. */
  | "invalid"
  /** The edge or the node refused, or could not be read: `error`. This says nothing about the message. */
  | "failed";

/** What `useReceipt` returns. */
export interface ReceiptView {
  readonly state: ReceiptState;
  readonly receipt: Receipt | undefined;
  /** The steps of all checks, once they are done. */
  readonly result: CheckResult | undefined;
  /** Who vouches for the author, once the checks passed. */
  readonly voucher: Voucher | undefined;
  readonly error: StreamChainError | undefined;
}

const view = (state: ReceiptState, parts: Partial<ReceiptView> = {}): ReceiptView => ({
  state,
  receipt: undefined,
  result: undefined,
  voucher: undefined,
  error: undefined,
  ...parts,
});

/** Whether asking again can succeed: the network or the node may come back, and the anchor after a reorganisation too. */
const isTemporary = ({ code, retryable, problem }: StreamChainError): boolean =>
  retryable || code === "rpc" || problem?.slug === "not-anchored";

/** The seq of a message. */
const seqOf = (message: StreamMessage | number): number => (typeof message === "number" ? message : message.seq);

/** Checks a receipt against itself, against what the caller expects, and against a node. */
async function checkAll(
  receipt: Receipt,
  message: StreamMessage | number,
  { expected, rpcUrl, fetch }: ReceiptChecks,
): Promise<AuthorResult> {
  const all = typeof message === "number" ? expected : { ...expected, message };
  const own = [checkProof(receipt), checkDeployment(receipt, all)];
  const isOwn = own.every(({ ok }) => ok) && receipt.message.seq === seqOf(message);
  if (!isOwn) return { ok: false, steps: own.flatMap(({ steps }) => steps), voucher: undefined }; // the node is not asked
  const author = await checkAuthor(receipt, { rpcUrl, ...(fetch === undefined ? {} : { fetch }) });
  const results = [...own, author, await checkOnChain(receipt, rpcUrl, fetch)];
  const ok = results.every((result) => result.ok);
  return { ok, steps: results.flatMap(({ steps }) => steps), voucher: ok ? author.voucher : undefined };
}

/** The receipt of one message of a connection's stream. */
export class ReceiptStore extends Store<ReceiptView> {
  readonly #connection: StreamConnection | null;
  readonly #message: StreamMessage | number | null;
  readonly #checks: ReceiptChecks | undefined;
  #view = view("waiting");
  #unlisten: () => void = () => {};
  #timer: unknown = null;
  #failures = 0;
  /** Counts starts and stops, so that an answer which comes late changes nothing. */
  #run = 0;
  #isAsking = false;

  constructor(
    connection: StreamConnection | null,
    message: StreamMessage | number | null,
    checks: ReceiptChecks | undefined,
    timers: Timers = TIMERS,
  ) {
    super(view("waiting"), timers);
    this.#connection = connection;
    this.#message = message;
    this.#checks = checks;
  }

  protected override start(): void {
    this.#run++;
    this.#isAsking = false;
    this.#unlisten = this.#connection?.on("marks", () => this.#ask()) ?? this.#unlisten;
    this.#ask();
  }

  protected override stop(): void {
    this.#run++;
    this.#unlisten();
    this.timers.clearTimer(this.#timer);
  }

  protected override compute(): ReceiptView {
    return this.#view;
  }

  #show(next: ReceiptView): void {
    this.#view = next;
    this.changed();
  }

  /** Asks for the receipt once the message is anchored. */
  #ask(): void {
    const connection = this.#connection;
    const message = this.#message;
    if (connection === null || message === null || this.#isAsking) return;
    if (connection.marks.anchored <= seqOf(message)) return;
    this.#isAsking = true;
    const run = this.#run;
    this.#answer(connection, message, run).catch((cause) => {
      if (run === this.#run) this.#failed(asStreamChainError(cause));
    });
  }

  async #answer(connection: StreamConnection, message: StreamMessage | number, run: number): Promise<void> {
    const receipt = await connection.edge.receipt(connection.stream, seqOf(message));
    if (run !== this.#run) return;
    const checks = this.#checks;
    if (checks === undefined) return this.#show(view("fetched", { receipt }));
    this.#show(view("checking", { receipt }));
    const result = await checkAll(receipt, message, checks);
    if (run === this.#run) {
      const { ok, steps, voucher } = result;
      this.#show(view(ok ? "valid" : "invalid", { receipt, result: { ok, steps }, voucher }));
    }
  }

  #failed(error: StreamChainError): void {
    this.#show(error.problem?.slug === "not-anchored" ? view("waiting") : view("failed", { error }));
    if (!isTemporary(error)) return;
    this.#timer = this.timers.setTimer(
      () => {
        this.#isAsking = false;
        this.#ask();
      },
      backoffMs(FALLBACK_BACKOFF, this.#failures++, 0),
    );
  }
}
