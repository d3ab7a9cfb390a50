// Running commands that end by themselves. (Parts that keep running: system/part.mjs.)

import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { dim, elapsed, Failure } from "./console.mjs";
import { childEnv, ROOT } from "./paths.mjs";

/** How often a long quiet command says that it still works, when the output is no terminal. */
const HEARTBEAT_MS = 20_000;
/** How often the line on a terminal changes. */
const REDRAW_MS = 500;
const TAIL_LINES = 25;

/**
 * The first line of what a command prints, or null when it can't be run.
 * @param {string} command @param {string[]} args
 * @returns {string | null}
 */
export const ask = (command, args) => {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", env: childEnv(), cwd: ROOT });
  return status === 0 ? (stdout.trim().split("\n")[0] ?? null) : null;
};

/**
 * A text that comes in pieces, given back as whole lines without those that match: `take` for each piece, `rest` in the
 * end for a last line without its end.
 * @param {RegExp} unwanted
 */
export const linesWithout = (unwanted) => {
  let rest = "";
  return {
    /** @param {string} text */
    take: (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      return lines
        .filter((line) => !unwanted.test(line))
        .map((line) => `${line}\n`)
        .join("");
    },
    rest: () => (unwanted.test(rest) ? "" : rest),
  };
};

/**
 * Passes a child's output on to our own; `onOutput` sees it, and lines that match `unwanted` are left out.
 * @param {import("node:stream").Readable} stream
 * @param {NodeJS.WriteStream} out
 * @param {((text: string) => void) | undefined} onOutput
 * @param {RegExp | undefined} unwanted
 */
const pass = (stream, out, onOutput, unwanted) => {
  stream.setEncoding("utf8");
  const lines = unwanted && linesWithout(unwanted);
  stream.on("data", (/** @type {string} */ text) => {
    out.write(lines ? lines.take(text) : text);
    onOutput?.(text);
  });
  if (lines) stream.on("end", () => out.write(lines.rest()));
};

/**
 * Runs a command with its output shown; resolves to its exit code. With `onOutput` or `unwanted` (lines that are
 * left out) the command does not write to the terminal itself.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onOutput?: (text: string) => void, unwanted?: RegExp }} options
 * @returns {Promise<number>}
 */
export const show = (command, args, { cwd = ROOT, env = {}, onOutput, unwanted } = {}) =>
  new Promise((resolve, reject) => {
    const piped = onOutput || unwanted;
    const output = piped ? "pipe" : "inherit";
    const child = spawn(command, args, { cwd, env: childEnv(env), stdio: ["ignore", output, output] });
    if (child.stdout) pass(child.stdout, process.stdout, onOutput, unwanted);
    if (child.stderr) pass(child.stderr, process.stderr, onOutput, unwanted);
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });

/** @param {string} path */
const tail = (path) => {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return lines.slice(-TAIL_LINES);
};

/** Prints from time to time how long a command has run and what it last wrote. @param {string} name */
const progress = (name) => {
  const start = Date.now();
  const tty = process.stdout.isTTY;
  let last = "";
  const timer = setInterval(
    () => {
      const line = `${elapsed(start)}  ${last}`.slice(0, Math.max(40, (process.stdout.columns || 110) - 6));
      if (tty) process.stdout.write(`\r\x1b[K    ${dim(line)}`);
      else console.log(`    ${name}: ${line}`);
    },
    tty ? REDRAW_MS : HEARTBEAT_MS,
  );
  return {
    /** @param {string} text */
    note: (text) => {
      last =
        text
          .split(/[\r\n]+/)
          .findLast((line) => line.trim())
          ?.trim() ?? last;
    },
    end: () => {
      clearInterval(timer);
      if (tty) process.stdout.write("\r\x1b[K");
    },
  };
};

/**
 * Runs a command quietly with its output in a log file and its progress on one line.
 * Fails with the log's last lines and the advice.
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @param {{ log: string, cwd?: string, env?: NodeJS.ProcessEnv, advice?: string[] }} options
 */
export const runLogged = async (name, command, args, { log, cwd = ROOT, env = {}, advice = [] }) => {
  mkdirSync(dirname(log), { recursive: true });
  const file = createWriteStream(log);
  const bar = progress(name);
  const code = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: childEnv(env), stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (/** @type {string} */ text) => {
        file.write(text);
        bar.note(text);
      });
    }
    child.on("error", reject);
    child.on("close", (status, signal) => resolve(signal ?? status));
  }).finally(bar.end);
  await new Promise((resolve) => file.end(resolve));
  if (code === 0) return;
  const shown = tail(log).map((line) => dim(`  ${line}`));
  throw new Failure(`${name} failed (${code}).`, [...shown, `The whole output: ${relative(ROOT, log)}`, ...advice]);
};
