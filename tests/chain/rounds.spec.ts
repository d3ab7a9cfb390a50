// Streams that are anchored in rounds, on a real node: one transaction for all of them, receipts that stand, forks, an
// edge that is killed again and again, and objects that die before or behind each step between them.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { verifyWithRelayNode } from "../harness/receipts.ts";
import { eventually } from "../harness/system.ts";
import { ChainNode } from "./nodes.ts";
import { ChainScene } from "./scene.ts";

/** Two epochs are final. */
const EPOCH = 12;
/** So many that two of those which the first of two rounds leaves out have one of two batchers. */
const STREAMS = ["one", "two", "three", "four"];
/** How long a test waits for what edge and node do by themselves, on a busy machine. */
const PATIENCE_MS = 60_000;

/**
 * Objects that die at some of their requests: before they do anything, or behind it, so that the answer is lost. The
 * numbers count an object's class's requests of that name.
 */
const DYING = `
  import * as built from "./index.js";
  export * from "./index.js";
  export { default } from "./index.js";
  const before = {
    OfferRun: [2, 9], CloseRound: [2, 7], FixRound: [3], ApplyRounds: [2, 8], AnnounceRuns: [2], ApplyAnchors: [3],
  };
  const behind = {
    OfferRun: [4, 11], CloseRound: [4, 9], FixRound: [1, 5], ApplyRounds: [4, 10], AnnounceRuns: [1, 4], ApplyAnchors: [1, 5],
  };
  const counts = {};
  const dying = (Base) => class extends Base {
    #context;
    constructor(context, env) {
      super(context, env);
      this.#context = context;
    }
    async #answer(name, answer) {
      const count = (counts[name] = (counts[name] ?? 0) + 1);
      if (before[name]?.includes(count)) this.#context.abort("dies before " + name);
      const answered = await answer();
      if (behind[name]?.includes(count)) this.#context.abort("dies behind " + name);
      return answered;
    }
    fetch(request) {
      return this.#answer(new URL(request.url).pathname.split("/")[1], () => super.fetch(request));
    }
    call(name, ...asked) {
      return this.#answer(name, () => super.call(name, ...asked));
    }
  };
  export const Batcher = dying(built.Batcher);
  export const Anchorer = dying(built.Anchorer);
`;

interface Run {
  readonly first: number;
  readonly count: number;
  readonly round: number;
  readonly tx?: string;
  readonly state?: string;
}

let node: ChainNode;
let scene: ChainScene;
const stored = new Map<string, number>();

before(async () => {
  node = await ChainNode.start("anvil", EPOCH);
  // On a chain as young as its first epoch nothing is final yet.
  await node.mine(2 * EPOCH + 2);
  scene = await ChainScene.on(node, {
    settings: { anchor: "shared" },
    vars: { BATCHERS: "2" },
    around: [{ type: "ESModule", name: "dying.js", contents: DYING }],
  });
});
after(async () => {
  await scene?.stop();
  await node?.stop();
});

/** Stores so many more messages of each stream. */
const store = async (count: number): Promise<void> => {
  for (const name of STREAMS) {
    await scene.store(name, count);
    stored.set(name, (stored.get(name) ?? 0) + count);
  }
};

/** Mines until all that is stored is final. */
const settle = async (): Promise<void> => {
  for (const name of STREAMS) await scene.reachesMining(name, "final", stored.get(name) ?? 0);
};

const runsOf = async (name: string): Promise<Run[]> => {
  const { json } = await scene.edge.get(`/v1/streams/${name}/runs?limit=1000`);
  return json.runs as Run[];
};

/** Fails unless each message is in one run, each run in one final round, and no transaction has two rounds. */
const assertRuns = async (): Promise<void> => {
  for (const name of STREAMS) {
    let next = 0;
    let round = -1;
    for (const run of await runsOf(name)) {
      assert.equal(run.first, next, `${name}: runs touch`);
      assert.ok(run.round > round, `${name}: a stream has one run in a round`);
      assert.equal(run.state, "final", `${name}: run ${run.first}`);
      next += run.count;
      round = run.round;
    }
    assert.equal(next, stored.get(name), `${name}: every message is in a run`);
  }
};

const assertReceipts = async (seqs: (count: number) => number[]): Promise<void> => {
  for (const name of STREAMS) {
    for (const seq of seqs(stored.get(name) ?? 0)) {
      const receipt = await scene.edge.get(`/v1/streams/${name}/messages/${seq}/receipt`);
      assert.equal(receipt.json.version, 2, receipt.text);
      const verdict = await verifyWithRelayNode(receipt.text, { rpc: node.url, contract: scene.contract });
      assert.equal(verdict.code, 0, verdict.text);
    }
  }
};

describe("streams in rounds", () => {
  it("have receipts that lead to the chain", async () => {
    await store(4);
    await settle();
    await assertRuns();
    await assertReceipts((count) => [0, count - 1]);
  });

  it("are together in one transaction", async () => {
    const { json } = await scene.edge.get("/v1/rounds?limit=1000");
    const from = (json.rounds as unknown[]).length;
    const since = async () => {
      const rounds = await scene.edge.get(`/v1/rounds?from=${from}&limit=1000`);
      return rounds.json.rounds as { runs: number; tx?: string }[];
    };
    // Nothing is mined meanwhile, so what is offered behind the first of these rounds waits for the next one.
    await store(3);
    await eventually(
      "every stream has a run in a round, or one that waits",
      async () => {
        const { rounds } = (await scene.edge.get("/v1/status")).json as {
          rounds: { batchers: { pending?: number }[] };
        };
        const waiting = rounds.batchers.reduce((sum, { pending = 0 }) => sum + pending, 0);
        return (await since()).reduce((sum, { runs }) => sum + runs, waiting) >= STREAMS.length;
      },
      PATIENCE_MS,
    );
    await settle();
    const made = await since();
    // A stream that is slow to offer has two runs, and a batcher that dies is in the next round: still some are together.
    const runs = made.reduce((sum, round) => sum + round.runs, 0);
    assert.ok(made.length < runs, `${runs} runs in ${made.length} rounds: ${JSON.stringify(made)}`);
    assert.equal(new Set(made.map(({ tx }) => tx)).size, made.length, "a transaction has one round");
  });

  for (const depth of [1, 3, 20]) {
    it(`survive a fork of ${depth} blocks`, async () => {
      await store(2);
      await scene.inFlight();
      await node.mine(depth);
      for (const name of STREAMS) await scene.reachesMining(name, "anchored", stored.get(name) ?? 0);
      await node.rpc("anvil_reorg", [depth, []]);
      await store(1);
      await settle();
      await assertRuns();
      await assertReceipts((count) => [count - 3, count - 1]);
    });
  }

  it("survive that the edge is killed again and again", async () => {
    for (let kill = 0; kill < 4; kill += 1) {
      await store(2);
      const name = STREAMS[kill % STREAMS.length] as string;
      const before = (stored.get(name) ?? 0) - 2;
      // What was stored before is on the chain for some of the kills, so that the Worker is somewhere else each time it goes.
      if (kill % 2 === 1) {
        const onChain = async () => {
          await node.mine();
          return (await scene.figures(name)).anchored >= before;
        };
        await eventually(`${before} messages of ${name} are anchored`, onChain, PATIENCE_MS);
      }
      await scene.restartEdge();
    }
    await settle();
    await assertRuns();
    await assertReceipts((count) => [count - 1]);
  });

  it("are in rounds that the contract has, one after the other", async () => {
    const { json } = await scene.edge.get("/v1/rounds?limit=1000");
    const rounds = json.rounds as { round: number; state?: string }[];
    assert.deepEqual(
      rounds.map(({ round }) => round),
      rounds.map((_, index) => index),
    );
    assert.ok(rounds.every(({ state }) => state === "final"));
    console.log(`    ${rounds.length} rounds of ${STREAMS.length} streams`);
  });
});
