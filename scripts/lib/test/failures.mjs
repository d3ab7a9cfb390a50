// Which tests failed, read from what a runner printed: their names, files and messages for the summary of `npm test`, so that a log
// of which only the end is kept still names them.

import { withoutColours } from "./counts.mjs";

/** @typedef {{ test: string, file: string, message: string }} FailedTest `file` is empty where the runner names none */

/** How much the summary shows: enough to see what failed, little enough that the end of a log holds it. */
const MAX_SHOWN = 20;
const MAX_MESSAGE_LINES = 15;
const MAX_LINE_CHARS = 180;

/** Lines that tell how far a command got, not what it found. */
const PROGRESS =
  /^\s*(Blocking|Building|Checking|Compiling|Dirty|Doc-tests|Downloaded|Downloading|Finished|Fresh|Locking|Running|Updating|ℹ)\s/;

/** @param {string} text */
const linesOf = (text) => withoutColours(text).split("\n");

/** The lines without empty ones at both ends. @param {string[]} lines */
const trimmed = (lines) =>
  lines
    .join("\n")
    .replace(/^(\s*\n)+/, "")
    .trimEnd();

/** The lines behind `from` up to the first that ends the block. @param {string[]} lines @param {number} from @param {RegExp} end */
const block = (lines, from, end) => {
  const length = lines.slice(from + 1).findIndex((line) => end.test(line));
  return lines.slice(from + 1, length < 0 ? undefined : from + 1 + length);
};

/**
 * Walks through the lines: `fileOf` says which file a line begins, `failureOf` which failed test it reports.
 * @param {string[]} lines
 * @param {(line: string) => string | undefined} fileOf
 * @param {(line: string, at: number) => { test: string, message: string, file?: string } | undefined} failureOf
 * @returns {FailedTest[]}
 */
const collect = (lines, fileOf, failureOf) => {
  let file = "";
  return lines.flatMap((line, at) => {
    file = fileOf(line) ?? file;
    const failure = failureOf(line, at);
    return failure ? [{ file, ...failure }] : [];
  });
};

/** What a line has in the place of `pattern`'s first group. @param {RegExp} pattern @param {string} line */
const part = (pattern, line) => pattern.exec(line)?.[1];

/** What says in `cargo test` that the report of one test ends, and that of an error of the compiler. */
const CARGO_BLOCK_END = /^(---- .* stdout ----|failures:|test result: .*|stack backtrace:)$/;
const CARGO_ERROR_END = /^(\s*(Running|Doc-tests) .*|(error|warning).*|running \d+ tests?)$/;

/** A test's report from its panic on: what the test printed before it may be long. @param {string[]} report */
const fromPanic = (report) => {
  const at = report.findIndex((line) => /^thread '.*' (\(\d+\) )?panicked at /.test(line));
  return trimmed(report.slice(Math.max(0, at)));
};

/** @param {string} line */
const cargoFile = (line) => {
  const crate = part(/^\s+Doc-tests (\S+)/, line);
  return crate ? `documentation of ${crate}` : part(/^\s+Running (?:unittests )?(\S+) \(/, line);
};

/**
 * `cargo test`: the reports of the failed tests, ignored tests, code that does not compile, and test programs that crashed.
 * @param {string} output
 * @returns {FailedTest[]}
 */
export const cargoFailures = (output) => {
  const lines = linesOf(output);
  return collect(lines, cargoFile, (line, at) => {
    const failed = part(/^---- (.+) stdout ----$/, line);
    if (failed) return { test: failed, message: fromPanic(block(lines, at, CARGO_BLOCK_END)) };
    const ignored = part(/^test (.+) \.\.\. ignored/, line);
    if (ignored) return { test: ignored, message: "It is ignored, so it did not run." };
    const crash = part(/(process didn't exit successfully: .*\(signal: .*)/, line);
    if (crash) return { test: "the test program", message: crash };
    if (!/^error(\[E\d+\])?: (?!.*(to rerun pass|targets? failed))/.test(line)) return undefined;
    const message = trimmed([line, ...block(lines, at, CARGO_ERROR_END)]);
    return { test: "the compilation", file: part(/^\s+--> (\S+)$/m, message) ?? "", message };
  });
};

const FORGE_FILE = /^(?:Ran \d+ tests? for|Encountered \d+ failing tests? in) (\S+?):/;
const FORGE_BLOCK_END = /^(\[(FAIL|PASS|SKIP)|Encountered|Suite result|Ran )/;

/**
 * `forge test`: the list of failing tests at its end, and skipped tests.
 * @param {string} output
 * @returns {FailedTest[]}
 */
export const forgeFailures = (output) => {
  const lines = linesOf(output);
  const list = lines.lastIndexOf("Failing tests:");
  return collect(
    lines,
    (line) => part(FORGE_FILE, line),
    (line, at) => {
      const skipped = part(/^\[SKIP.*\] (\w+\(.*?\))/, line);
      if (skipped) return { test: skipped, message: `${line}: it did not run.` };
      if (!line.startsWith("[FAIL") || at < list) return undefined;
      const test = part(/\] (\w+\([^\]]*?\)) \([^\]]*$/, line) ?? "a test";
      return { test, message: trimmed([line, ...block(lines, at, FORGE_BLOCK_END)]) };
    },
  );
};

/**
 * `node --test` with the spec reporter: the list of failing tests at its end, and skipped tests. Of a test file that failed as a whole
 * the message is what was printed just before it.
 * @param {string} output
 * @returns {FailedTest[]}
 */
export const nodeFailures = (output) => {
  const lines = linesOf(output);
  const list = lines.lastIndexOf("✖ failing tests:");
  const [before, report] = list < 0 ? [lines, []] : [lines.slice(0, list), lines.slice(list)];
  const failed = report.flatMap((line, at) => {
    const file = part(/^test at (.+)$/, line);
    if (!file) return [];
    const test = (report[at + 1] ?? "").replace(/^✖ | \([\d.]+ms\)$/g, "");
    const said = trimmed(block(report, at + 1, /^test at /));
    return [{ test, file, message: said.trim() === "'test failed'" ? fileMessage(before, test, said) : said }];
  });
  const notRun = before.flatMap((line) => {
    const test = part(/^\s*﹣ (.+) \([\d.]+ms\)/, line) ?? part(/^\s*[✔✖] (.+) \([\d.]+ms\) # TODO/, line);
    return test ? [{ test, file: "", message: `It is skipped or left to be done: ${line.trim()}` }] : [];
  });
  return [...failed, ...notRun];
};

/** What a test file printed before its line of failure. @param {string[]} lines @param {string} name @param {string} fallback */
const fileMessage = (lines, name, fallback) => {
  const at = lines.findIndex((line) => line.startsWith(`✖ ${name} (`));
  const start = lines.slice(0, Math.max(0, at)).findLastIndex((line) => /^\s*[✔✖﹣▶] /.test(line));
  return trimmed(lines.slice(start + 1, Math.max(0, at))) || fallback;
};

/** What a command printed, without lines of progress: the first lines name what is wrong. @param {string} output */
export const findings = (output) => trimmed(linesOf(output).filter((line) => !PROGRESS.test(line)));

/** The last lines that a runner printed which ended without naming a failed test. @param {string} output @returns {FailedTest} */
export const unnamedFailure = (output) => ({
  test: "the runner ended with a failure that no test has",
  file: "",
  message: linesOf(output.trimEnd()).slice(-MAX_MESSAGE_LINES).join("\n"),
});

/** @param {string} line */
const cut = (line) => (line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS)} …` : line);

/**
 * Failed tests, each with its group, file and message.
 * @param {readonly { group: string, failures: readonly FailedTest[] }[]} groups
 * @returns {string[]}
 */
export const failedLines = (groups) => {
  const all = groups.flatMap(({ group, failures }) => failures.map((failure) => ({ group, ...failure })));
  const shown = all.slice(0, MAX_SHOWN).flatMap(({ group, test, file, message }) => {
    const name = `✗ ${[group, file, test].filter((part) => part !== "").join("  ")}`;
    const lines = message.split("\n").slice(0, MAX_MESSAGE_LINES);
    return [name, ...lines.map((line) => `    ${line}`)].map(cut);
  });
  const more = all.length - MAX_SHOWN;
  return [...shown, ...(more > 0 ? [`… and ${more} more, whose names are above.`] : [])];
};

/** What the summary prints about failed tests. @param {readonly { group: string, failures: readonly FailedTest[] }[]} groups */
export const failureLines = (groups) => {
  const lines = failedLines(groups);
  return lines.length === 0 ? [] : ["Failed:", ...lines];
};
