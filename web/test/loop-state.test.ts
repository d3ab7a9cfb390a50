import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type LoopEvent, type LoopState, sessionOf, shownState, transition } from "../src/lib/connection/loop-state.ts";
import type { StateChange } from "../src/lib/connection/types.ts";
import { StreamChainError } from "../src/lib/errors.ts";

const error = new StreamChainError("relay-unreachable", "no path", { retryable: true });
const refused = new StreamChainError("refused", "no");

/** One state of each kind. */
const states: Record<LoopState<string>["at"], LoopState<string>> = {
  connecting: { at: "connecting", stale: false },
  greeting: { at: "greeting", session: "s", stale: false },
  open: { at: "open", session: "s", since: 1_000 },
  ended: { at: "ended", error, openMs: 0, stale: false },
  waiting: { at: "waiting", error, retryAt: 7 },
  closed: { at: "closed", error: undefined },
};

/** One event of each kind. */
const events: Record<LoopEvent<string>["kind"], LoopEvent<string>> = {
  attempt: { kind: "attempt" },
  channel: { kind: "channel", session: "new" },
  welcome: { kind: "welcome", clock: 1_500 },
  ended: { kind: "ended", error: refused, clock: 4_000 },
  wait: { kind: "wait", retryAt: 9 },
  network: { kind: "network" },
  close: { kind: "close", error: refused },
};

describe("transitions of the session loop", () => {
  /** The kind of state that each event leads to; what is not listed leaves the state as it is. */
  const table: Record<LoopState<string>["at"], Partial<Record<LoopEvent<string>["kind"], LoopState<string>["at"]>>> = {
    connecting: { channel: "greeting", ended: "ended", network: "connecting", close: "closed" },
    greeting: { welcome: "open", ended: "ended", close: "closed" },
    open: { ended: "ended", close: "closed" },
    ended: { wait: "waiting", network: "ended", close: "closed" },
    waiting: { attempt: "connecting", close: "closed" },
    closed: {},
  };

  test("every event in every state leads where the table says", () => {
    for (const state of Object.values(states)) {
      for (const event of Object.values(events)) {
        const next = transition(state, event);
        const expected = table[state.at][event.kind];
        if (expected === undefined) assert.equal(next, state, `${state.at} + ${event.kind} changes nothing`);
        else assert.equal(next.at, expected, `${state.at} + ${event.kind}`);
      }
    }
  });

  test("a session is kept from its channel to its end", () => {
    const greeting = transition(states.connecting, events.channel);
    assert.equal(sessionOf(greeting), "new");
    const open = transition(greeting, events.welcome);
    assert.deepEqual(open, { at: "open", session: "new", since: 1_500 });
    assert.equal(sessionOf(transition(open, events.ended)), null);
  });

  test("the end says how long the session was open", () => {
    const after = (state: LoopState<string>): unknown => transition(state, events.ended);
    assert.deepEqual(after(states.open), { at: "ended", error: refused, openMs: 3_000, stale: false });
    assert.deepEqual(after(states.greeting), { at: "ended", error: refused, openMs: 0, stale: false });
  });

  test("a network change is remembered until the attempt is over", () => {
    const stale = transition(states.connecting, events.network);
    const greeting = transition(stale, events.channel);
    assert.deepEqual(greeting, { at: "greeting", session: "new", stale: true });
    assert.deepEqual(transition(greeting, events.ended), { at: "ended", error: refused, openMs: 0, stale: true });
    const opened = transition(greeting, events.welcome);
    assert.deepEqual(transition(opened, events.ended), { at: "ended", error: refused, openMs: 2_500, stale: false });
  });

  test("the reason of the last end stays while the loop waits", () => {
    assert.deepEqual(transition(states.ended, events.wait), { at: "waiting", error, retryAt: 9 });
  });
});

describe("the state that a connection shows", () => {
  const before: StateChange = { state: "http", error, retryAt: 5 };

  test("without HTTP it is that of the loop", () => {
    const shown = (state: LoopState<string>): string => shownState(state, false, before).state;
    assert.equal(shown(states.connecting), "connecting");
    assert.equal(shown(states.greeting), "connecting");
    assert.equal(shown(states.open), "open");
    assert.equal(shown(states.waiting), "waiting");
    assert.equal(shown(states.closed), "closed");
    assert.equal(shownState(states.connecting, false, before).error, undefined);
  });

  test("while HTTP follows, attempts and pauses show as http", () => {
    assert.deepEqual(shownState(states.connecting, true, before), { state: "http", error, retryAt: undefined });
    assert.deepEqual(shownState(states.waiting, true, before), { state: "http", error, retryAt: 7 });
    assert.equal(shownState(states.open, true, before).state, "open");
    assert.equal(shownState(states.closed, true, before).state, "closed");
  });

  test("it stays until it is decided what follows an end", () => {
    assert.equal(shownState(states.ended, false, before), before);
  });
});
