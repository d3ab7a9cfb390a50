import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  remedyOf,
  type TokenEvent,
  type TokenSource,
  type TokenState,
  tokenTransition,
} from "../src/lib/http/token-state.ts";
import { account, People } from "./support/people.ts";

const people = new People({ now: 0 });
const [A, B] = [account(1), account(2)];
const [wallet, other] = [people.sign(A), people.sign(B)];

/** One state of each kind. */
const states: Record<TokenState["at"], TokenState> = {
  none: { at: "none" },
  held: { at: "held", token: wallet, author: A },
  refused: { at: "refused", token: wallet, author: A },
};

/** One event of each kind, and what differs by the token that it is about. */
const events: Record<string, TokenEvent> = {
  given: { kind: "given", token: other },
  "given again": { kind: "given", token: wallet },
  guest: { kind: "guest", token: "opaque", author: B },
  named: { kind: "named", token: wallet, author: B },
  "named of another": { kind: "named", token: other, author: B },
  refused: { kind: "refused", token: wallet },
  "refused another": { kind: "refused", token: other },
  forgotten: { kind: "forgotten" },
};

describe("transitions of a token", () => {
  const table: Record<TokenState["at"], Record<string, TokenState>> = {
    none: {
      given: { at: "held", token: other, author: B },
      "given again": { at: "held", token: wallet, author: A },
      guest: { at: "held", token: "opaque", author: B },
    },
    held: {
      given: { at: "held", token: other, author: B },
      named: { at: "held", token: wallet, author: B },
      refused: states.refused,
    },
    refused: {
      given: { at: "held", token: other, author: B },
      named: { at: "refused", token: wallet, author: B },
      forgotten: states.none,
    },
  };

  test("every event in every state leads where the table says", () => {
    for (const state of Object.values(states)) {
      for (const [name, event] of Object.entries(events)) {
        const next = tokenTransition(state, event);
        const expected = table[state.at][name];
        if (expected === undefined) assert.equal(next, state, `${state.at} + ${name} changes nothing`);
        else assert.deepEqual(next, expected, `${state.at} + ${name}`);
      }
    }
  });

  test("only a guest's token, or a function's, has a remedy", () => {
    const guest: TokenState = { at: "refused", token: people.guest().token, author: undefined };
    const opaque: TokenState = { at: "refused", token: "opaque", author: undefined };
    const remedies: [TokenState, TokenSource, string][] = [
      [states.refused, "fixed", "none"],
      [states.refused, "kept", "none"],
      [states.refused, "function", "again"],
      [guest, "kept", "again"],
      [guest, "fixed", "none"],
      [opaque, "kept", "again"],
      [opaque, "fixed", "none"],
      [states.none, "kept", "none"],
    ];
    for (const [state, source, expected] of remedies) {
      const token = state.at === "none" ? undefined : state.token;
      assert.equal(remedyOf(state, source, token), expected, `${source} ${token}`);
    }
    assert.equal(remedyOf(states.held, "fixed", other), "again", "a newer one came meanwhile");
  });
});
