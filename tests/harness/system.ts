// A whole system for one test: its own chain, edge and relay, on free ports, in a folder that goes with it.
//
//   await using system = await runningSystem({ mining: "manual" });
//   await system.mine(3);

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SystemOptions, startSystem } from "../../scripts/lib/system/index.mjs";

// A test that is told to end (by the runner's time limit, or Ctrl-C) must take its parts with it: they go on "exit".
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

type Started = Awaited<ReturnType<typeof startSystem>>;
type Options = Partial<SystemOptions>;

/** A started system with what tests ask of it; stops, and removes its folder, when disposed of. */
export class TestSystem {
  #system: Started;
  readonly #options: SystemOptions;
  readonly #ownsFolder: boolean;

  constructor(system: Started, options: SystemOptions, ownsFolder: boolean) {
    this.#system = system;
    this.#options = options;
    this.#ownsFolder = ownsFolder;
  }

  /** The edge's base address, without a slash at its end. */
  get edge(): string {
    return this.#system.urls.edge;
  }

  /** The chain's JSON-RPC address. */
  get chain(): string {
    return this.#system.urls.rpc;
  }

  /** The folder with the logs and the state. */
  get folder(): string {
    return this.#system.dir;
  }

  /** The started system itself: ports, parts, contract, operator, master secret. */
  get system(): Started {
    return this.#system;
  }

  /** Mines this many blocks. */
  async mine(blocks = 1): Promise<void> {
    await this.#system.rpc("anvil_mine", [`0x${blocks.toString(16)}`]);
  }

  /** GET of a path of the edge, as JSON; fails on a status that is not a success. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.edge}${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Stops everything and starts it again on the same folder and ports, as a person would. */
  async restartAll(): Promise<void> {
    await this.#system.stop();
    this.#system = await startSystem({ ...this.#options, ports: this.#system.ports });
  }

  async stop(): Promise<void> {
    await this.#system.stop();
    if (this.#ownsFolder) await rm(this.#options.dir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Starts a system; without a `dir` in a new temporary folder. Everything must have been built. */
export const runningSystem = async (options: Options = {}): Promise<TestSystem> => {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "streamchain-")));
  const all: SystemOptions = { ...options, dir };
  return new TestSystem(await startSystem(all), all, options.dir === undefined);
};

/**
 * Resolves to what `check` returns once it is neither null, undefined nor false; a failing check counts as "not yet".
 * @param what what is waited for, as it ends the sentence "timed out waiting until …"
 */
export const eventually = async <T>(
  what: string,
  check: () => Promise<T | null | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> => {
  const deadline = Date.now() + timeoutMs;
  const POLL_MS = 50;
  for (;;) {
    let reason: unknown;
    const result = await check().catch((error: unknown) => {
      reason = error;
      return null;
    });
    if (result !== null && result !== undefined && result !== false) return result;
    if (Date.now() > deadline) {
      throw new Error(`timed out waiting until ${what}`, reason === undefined ? undefined : { cause: reason });
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};
