// What the edge, the relays and the pages tell of a stream, as tests compare it.

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { eventually, type TestSystem } from "./system.ts";

/** `GET /v1/streams/{stream}`. */
export interface StreamFigures {
  readonly id: string;
  readonly epoch: number;
  readonly head: number;
  readonly stored: number;
  readonly anchored: number;
  readonly final: number;
}

/** `GET /v1/streams/{stream}/anchors`. */
export interface AnchorFigures {
  readonly first: number;
  readonly count: number;
  readonly root: string;
  readonly tx: string;
  readonly block: number;
  readonly blockHash: string;
  readonly state: "anchored" | "final";
}

export const streamFigures = (system: TestSystem, stream: string): Promise<StreamFigures> =>
  system.get(`/v1/streams/${stream}`);

/** Resolves once so many messages from the stream's start have this state. */
export const streamReaches = (
  system: TestSystem,
  stream: string,
  state: "stored" | "anchored" | "final",
  count: number,
  timeoutMs = 60_000,
): Promise<StreamFigures> =>
  eventually(
    `${count} messages of ${stream} are ${state}`,
    async () => {
      const figures = await streamFigures(system, stream);
      return figures[state] >= count && figures;
    },
    timeoutMs,
  );

/** How often a block is mined while a test waits for the chain. */
const MINING_INTERVAL_MS = 250;

/** Mines a block now and then until `done` settles: on this chain no time passes unless somebody asks for a block. */
export const miningUntil = async <T>(system: TestSystem, done: Promise<T>): Promise<T> => {
  let settled = false;
  const end = () => {
    settled = true;
  };
  done.then(end, end);
  while (!settled) {
    await system.mine();
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, MINING_INTERVAL_MS))]).catch(() => {});
  }
  return done;
};

/** All anchors of a stream, in order. */
export const anchorsOf = async (system: TestSystem, stream: string): Promise<AnchorFigures[]> => {
  const anchors: AnchorFigures[] = [];
  let from: number | undefined = 0;
  while (from !== undefined) {
    const page: { anchors: AnchorFigures[]; next?: number | null } = await system.get(
      `/v1/streams/${stream}/anchors?from=${from}`,
    );
    anchors.push(...page.anchors);
    from = page.next ?? undefined;
  }
  return anchors;
};

/** `GET /v1/streams/{stream}/runs`. */
export interface RunFigures extends Omit<AnchorFigures, "tx" | "block" | "blockHash" | "state"> {
  readonly previous: string;
  readonly round: number;
  readonly tx?: string;
  readonly state?: "anchored" | "final";
}

/** All runs of a stream in rounds, in order. */
export const runsOf = async (system: TestSystem, stream: string): Promise<RunFigures[]> => {
  const runs: RunFigures[] = [];
  let from: number | undefined = 0;
  while (from !== undefined) {
    const page: { runs: RunFigures[]; next?: number | null } = await system.get(
      `/v1/streams/${stream}/runs?from=${from}`,
    );
    runs.push(...page.runs);
    from = page.next ?? undefined;
  }
  return runs;
};

/** A receipt's text as the edge gives it. */
export const receiptText = async (system: TestSystem, stream: string, seq: number): Promise<string> => {
  const response = await fetch(`${system.edge}/v1/streams/${stream}/messages/${seq}/receipt`);
  if (!response.ok) throw new Error(`receipt of ${seq}: ${response.status} ${await response.text()}`);
  return response.text();
};

/** A message as the edge's history has it. */
export interface HistoryMessage {
  readonly seq: number;
  readonly author: string;
  readonly text: string;
}

/** All stored messages of a stream, in order. */
export const historyOf = async (system: TestSystem, stream: string): Promise<HistoryMessage[]> => {
  const messages: HistoryMessage[] = [];
  for (;;) {
    const page: { messages: { seq: number; author: string; payload: string }[]; head: number; next: number } =
      await system.get(`/v1/streams/${stream}/messages?from=${messages.length}&limit=1000`);
    for (const { seq, author, payload } of page.messages) {
      messages.push({ seq, author, text: Buffer.from(payload.slice(2), "hex").toString() });
    }
    if (messages.length >= page.head) return messages;
    if (page.messages.length === 0) throw new Error(`nothing at ${messages.length}, below the head ${page.head}`);
  }
};

/** A page whose collector reads a stream from its start comes to have exactly these messages, in this order. */
export const readsAll = async (page: Page, history: readonly HistoryMessage[]): Promise<void> => {
  await page.waitForFunction((count) => window.kept.collector.standing.length >= count, history.length);
  const read = await page.evaluate(() =>
    window.kept.collector.standing.map(({ seq, payload }) => [
      seq,
      new TextDecoder().decode(window.tools.lib.fromHex(payload)),
    ]),
  );
  assert.deepEqual(
    read,
    history.map(({ seq, text }) => [seq, text]),
  );
};

/** The value of one of a relay's metrics; `NaN` while it has none of this name. */
export const relayMetric = async (
  { relayMetrics }: Pick<TestSystem["system"], "relayMetrics">,
  relay: string,
  name: string,
): Promise<number> => {
  const answer = await fetch(relayMetrics[relay] ?? "");
  const line = (await answer.text()).split("\n").find((line) => line.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length));
};

/** Resolves once each of the pages has a session for its connection, and no relay has one that is left over. */
export const oneSessionEach = (system: TestSystem, pages: readonly Page[], timeoutMs: number): Promise<unknown> =>
  eventually(
    "each page has one session",
    async () => {
      const states = await Promise.all(pages.map((page) => page.evaluate(() => window.kept.connection.state.state)));
      const running = system.system.relayIds.filter((relay) => system.system.relayPart(relay).running);
      const sessions = await Promise.all(
        running.map((relay) => relayMetric(system.system, relay, "streamchain_sessions")),
      );
      return states.every((state) => state === "open") && sessions.reduce((sum, own) => sum + own, 0) === pages.length;
    },
    timeoutMs,
  );

/** Resolves once the edge counts so many sessions, by what relays say when they renew. */
export const edgeCounts = (system: TestSystem, sessions: number): Promise<unknown> =>
  eventually("the edge knows of the sessions", async () => {
    const { relays } = await system.get<{ relays: { sessions: number }[] }>("/v1/status");
    return relays.reduce((sum, { sessions }) => sum + sessions, 0) === sessions;
  });

/** When each page's present session was asked for: another time is another session, however many attempts are remembered. */
export const sessionsBegan = (pages: readonly Page[]): Promise<(number | undefined)[]> =>
  Promise.all(pages.map((page) => page.evaluate(() => window.kept.connection.attempts.at(-1)?.startedAt)));
