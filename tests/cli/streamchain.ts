// The program `streamchain` as tests run it.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { streamchainPath } from "../../scripts/lib/build/relay.mjs";
import type { TestSystem } from "../harness/system.ts";

/** A run of the program: what it wrote, and how it ended. */
export class Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #out: Buffer[] = [];
  #error = "";
  /** Lines that it wrote to standard output so far. */
  lines = 0;
  /** Resolves to the exit code, or to the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;

  constructor(system: TestSystem, args: readonly string[], env: Record<string, string> = {}) {
    const inherited = { ...process.env, STREAMCHAIN_EDGE: system.edge };
    this.child = spawn(streamchainPath(), args, { env: { ...inherited, ...env } });
    this.child.stdout.on("data", (bytes: Buffer) => {
      this.#out.push(bytes);
      for (const byte of bytes) if (byte === 10) this.lines++;
    });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#error += text;
    });
    // A program that ends before it has read everything breaks the pipe: its exit code is what counts.
    this.child.stdin.on("error", () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (code, signal) => resolve(code ?? signal));
    });
  }

  get out(): string {
    return Buffer.concat(this.#out).toString("utf8");
  }

  get error(): string {
    return this.#error;
  }

  /** Resolves once it has written so many lines; rejects if it ends before. */
  wrote(lines: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.lines >= lines) resolve();
      };
      this.child.stdout.on("data", look);
      this.ended.then(() => (this.lines >= lines ? resolve() : reject(new Error(`it ended: ${this.error}`))), reject);
      look();
    });
  }
}
