// Running commands that end by themselves. (Parts that keep running: system/part.mjs.)

import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
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

/** The quiet commands that run at this moment, in the order in which they were started. @type {Set<{ name: string, start: number, last: string }>} */
const bars = new Set();

/** One line for all of them: how long each has run, and what it wrote last. */
const progressLine = () => {
  const width = Math.max(40, (process.stdout.columns || 110) - 6);
  const each = Math.floor(width / bars.size) - 3;
  const parts = [...bars].map(({ name, start, last }) => {
    const title = bars.size > 1 ? `${name} ` : "";
    return `${title}${elapsed(start)}  ${last}`.slice(0, each);
  });
  return parts.join(" | ");
};

/** Prints from time to time how long a command has run and what it last wrote. @param {string} name */
const progress = (name) => {
  const bar = { name, start: Date.now(), last: "" };
  bars.add(bar);
  const tty = process.stdout.isTTY;
  const timer = setInterval(
    () => {
      if (!tty) return console.log(`    ${name}: ${elapsed(bar.start)}  ${bar.last}`.slice(0, 110));
      // On a terminal there is one line, which the first of them draws.
      if ([...bars][0] === bar) process.stdout.write(`\r\x1b[K    ${dim(progressLine())}`);
    },
    tty ? REDRAW_MS : HEARTBEAT_MS,
  );
  return {
    /** @param {string} text */
    note: (text) => {
      bar.last =
        text
          .split(/[\r\n]+/)
          .findLast((line) => line.trim())
          ?.trim() ?? bar.last;
    },
    end: () => {
      bars.delete(bar);
      clearInterval(timer);
      if (tty) process.stdout.write("\r\x1b[K");
    },
  };
};

/** The groups of background commands, which are killed when this process exits, even by a crash. @type {Set<number>} */
const groups = new Set();

/** @param {number} group @param {NodeJS.Signals} signal */
const endGroup = (group, signal) => {
  try {
    process.kill(-group, signal);
  } catch {
    // It ended by itself meanwhile.
  }
};
process.on("exit", () => {
  for (const group of groups) endGroup(group, "SIGKILL");
});

/**
 * Makes a child yield to all that a person waits for, and ends it with everything that it started when the signal says so.
 * @param {import("node:child_process").ChildProcess} child the leader of its process group @param {AbortSignal} signal
 */
const keepInBackground = (child, signal) => {
  const { pid } = child;
  if (pid === undefined) return;
  groups.add(pid);
  child.on("close", () => groups.delete(pid));
  setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  const end = () => endGroup(pid, "SIGTERM");
  if (signal.aborted) end();
  else signal.addEventListener("abort", end);
};

/**
 * Runs a command quietly with its output in a log file and its progress on one line.
 * Fails with the log's last lines and the advice.
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @param {{ log: string, cwd?: string, env?: NodeJS.ProcessEnv, advice?: string[], background?: AbortSignal }} options
 *   `background`: it runs with a lower priority, out of reach of the terminal's Ctrl-C, until this signal ends it
 */
export const runLogged = async (name, command, args, { log, cwd = ROOT, env = {}, advice = [], background }) => {
  mkdirSync(dirname(log), { recursive: true });
  const file = createWriteStream(log);
  const bar = progress(name);
  const detached = background !== undefined;
  const code = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: childEnv(env), stdio: ["ignore", "pipe", "pipe"], detached });
    if (background) keepInBackground(child, background);
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
