// What `npm run configure` and `npm run deploy` have in common: an option for each setting, the options about where answers
// come from, and the person who is asked.

import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { Failure, messageOf } from "../console.mjs";
import { ROOT } from "../paths.mjs";
import { SETTINGS } from "./settings.mjs";

/** @satisfies {import("node:util").ParseArgsOptionsConfig} */
const COMMON = {
  answers: { type: "string" },
  "no-input": { type: "boolean", default: false },
  out: { type: "string", default: join(ROOT, "wrangler.production.toml") },
  "dry-run": { type: "boolean", default: false },
  offline: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
};

const ofSettings = Object.fromEntries(SETTINGS.map(({ name }) => [name, { type: /** @type {const} */ ("string") }]));

/** The help's lines about the settings. */
export const settingsHelp = () => SETTINGS.map(({ name, question }) => `  --${name}\n      ${question}`).join("\n");

/**
 * The values of the options that both commands or this one have, and the answers that the settings' options give.
 * @template {import("node:util").ParseArgsOptionsConfig} Own
 * @param {string} command as it is typed
 * @param {Own} own the options that only this command has
 * @param {string[]} [args]
 */
export const readOptions = (command, own, args = process.argv.slice(2)) => {
  try {
    const options = { ...COMMON, ...own };
    const all = parseArgs({ args, options: { ...ofSettings, ...options } }).values;
    // Without the settings' options, of which the types know nothing.
    const values = /** @type {ReturnType<typeof parseArgs<{ options: typeof COMMON & Own }>>["values"]} */ (all);
    return { values, given: answersIn(all) };
  } catch (cause) {
    throw new Failure(messageOf(cause), [`\`${command} -- --help\` lists the options.`]);
  }
};

/** @param {Record<string, unknown>} values @returns {import("./settings.mjs").Answers} */
const answersIn = (values) =>
  Object.fromEntries(
    SETTINGS.flatMap(({ name }) => {
      const value = values[name];
      return typeof value === "string" ? [[name, value.trim()]] : [];
    }),
  );

/**
 * Does the work with a person to ask; with null where there is none, or nothing may be asked. At the end of the input (Ctrl-D)
 * the process ends with code 1.
 * @param {boolean} isAsked
 * @param {(ask: ((question: string) => Promise<string>) | null) => Promise<boolean>} work resolves to whether all is well
 */
export const withPerson = async (isAsked, work) => {
  const lines =
    isAsked && process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : null;
  process.exitCode = 1;
  try {
    const isWell = await work(lines === null ? null : (question) => lines.question(question));
    process.exitCode = isWell ? 0 : 1;
  } finally {
    lines?.close();
  }
};
