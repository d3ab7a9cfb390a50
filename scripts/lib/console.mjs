// What the scripts print: headings, steps with elapsed time, failures that say what to do.

const colour = process.stdout.isTTY && !process.env.NO_COLOR;

/** Settings of commands whose output is read on its way to the terminal, so that they colour it all the same. */
export const COLOUR_ENV = colour ? { CARGO_TERM_COLOR: "always", FORCE_COLOR: "1" } : {};

/** @param {string} code @returns {(text: string) => string} */
const paint = (code) => (text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = paint("1");
export const dim = paint("2");
export const green = paint("32");
export const red = paint("31");
const cyan = paint("36");

/** A failure that a person can act on: printed without a stack trace. */
export class Failure extends Error {
  /** @param {string} message what went wrong  @param {string[]} advice what to do, a line each */
  constructor(message, advice = []) {
    super(message);
    this.advice = advice;
  }
}

/** What an error says. @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/** What to do about an error, where it says so. @param {unknown} error */
export const adviceOf = (error) => (error instanceof Failure ? error.advice : []);

/** The code that Node gives an error; undefined for others. @param {unknown} error */
export const codeOf = (error) =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;

/** Elapsed time for people: "0.4 s", "12 s", "3 min 05 s". @param {number} since */
export const elapsed = (since) => {
  const seconds = (Date.now() - since) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
};

/** @param {string} text */
export const heading = (text) => console.log(`\n${bold(text)}`);

/**
 * Runs one step; prints its name, and how long it took.
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} work
 */
export const step = async (name, work) => {
  const start = Date.now();
  console.log(`  ${cyan("…")} ${name}`);
  const result = await work();
  console.log(`  ${green("✓")} ${name} ${dim(`(${elapsed(start)})`)}`);
  return result;
};

/** A box around the lines, for the one thing that a person must see. @param {string[]} lines */
export const box = (lines) => {
  const width = Math.max(...lines.map((line) => line.length));
  const edge = "─".repeat(width + 2);
  const rows = lines.map((line) => `│ ${line.padEnd(width)} │`);
  return [`┌${edge}┐`, ...rows, `└${edge}┘`].join("\n");
};

/**
 * Runs a script's main function; a Failure prints its advice, anything else its stack; both exit with 1.
 * @param {() => Promise<number | void>} work resolves to the exit code
 */
export const main = async (work) => {
  try {
    const code = await work();
    if (typeof code === "number") process.exitCode = code;
  } catch (error) {
    printFailure(error);
    process.exit(1);
  }
};

/** @param {unknown} error */
export const printFailure = (error) => {
  if (!(error instanceof Failure)) return console.error(error);
  console.error(`\n${red("✗")} ${error.message}`);
  for (const line of error.advice) console.error(`  ${line}`);
};
