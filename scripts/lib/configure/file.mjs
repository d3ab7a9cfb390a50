// The file that `npm run configure` writes: wrangler.toml with the deployment's values in place of the local chain's.

import { rpcIsSecret, SETTINGS } from "./settings.mjs";

const HEAD = [
  "# Made by `npm run configure` from wrangler.toml, which says what each part is. Run it again to change a value or after an",
  "# update: it begins from this file's values, and keeps lines of your own at the top and under [vars], one value a line.",
  "# The secrets MASTER_SECRET and ANCHORER_KEY never stand here: `wrangler secret put`.",
];
const VARS = "[vars]";

/** @typedef {import("./settings.mjs").Answers} Answers */

/** A string of TOML; JSON's escapes are TOML's. @param {string} text */
const quoted = (text) => JSON.stringify(text);

/** The key of a line `key = value`, or null. @param {string} line */
const keyOf = (line) => /^([A-Za-z_]+)\s*=/.exec(line)?.[1] ?? null;

/** The value of a line `KEY = "value"`, or null. @param {string} line @param {string} key */
const stringAt = (line, key) => {
  const found = keyOf(line) === key ? /=\s*("(?:[^"\\]|\\.)*")/.exec(line)?.[1] : undefined;
  return found === undefined ? null : String(JSON.parse(found));
};

/** The parts of a configuration: what stands before its first table, the tables, and the variables. @param {string} text */
const split = (text) => {
  const lines = text.trimEnd().split("\n");
  const vars = lines.indexOf(VARS);
  if (vars < 0 || lines.slice(vars + 1).some((line) => line.startsWith("["))) {
    throw new Error("[vars] must be the last table of the configuration.");
  }
  const first = lines.findIndex((line) => line.startsWith("["));
  let end = vars;
  // The comment above [vars] is about the local chain's values.
  while (lines[end - 1]?.startsWith("#")) end -= 1;
  // A comment above the first table belongs to it.
  let start = first;
  while (lines[start - 1]?.startsWith("#")) start -= 1;
  return { top: lines.slice(0, start), tables: lines.slice(start, end), vars: lines.slice(vars + 1) };
};

/**
 * @param {string} template the text of wrangler.toml
 * @param {Answers} answers
 * @param {string | null} before the file that was made earlier, whose own lines are kept
 * @returns {string}
 */
export const render = (template, answers, before = null) => {
  const { top, tables, vars } = split(template);
  const old = before === null ? { top: [], vars: [] } : split(before);
  const settled = top
    .filter((line) => !line.startsWith("#"))
    .map((line) => (keyOf(line) === "name" ? `name = ${quoted(answers.name ?? "")}` : line));
  while (settled.at(-1) === "") settled.pop();
  const lines = [
    ...HEAD,
    ...settled,
    ...own(old.top, top),
    "",
    ...tables.map((line) =>
      keyOf(line) === "database_id" ? `database_id = ${quoted(answers["database-id"] ?? "")}` : line,
    ),
    VARS,
    ...varLines(answers),
    ...keptVars(vars, old.vars),
  ];
  return `${lines.join("\n")}\n`;
};

/** The lines whose keys the template does not have. @param {string[]} lines @param {string[]} template */
const own = (lines, template) => {
  const known = new Set(template.map(keyOf));
  return lines.filter((line) => keyOf(line) !== null && !known.has(keyOf(line)));
};

/** @param {Answers} answers */
const varLines = (answers) =>
  SETTINGS.flatMap(({ name, variable }) => {
    const value = answers[name] ?? "";
    if (variable === undefined || value === "") return [];
    if (name === "rpc" && rpcIsSecret(answers)) {
      return ["# CHAIN_RPC_URLS has a key in it: `wrangler secret put CHAIN_RPC_URLS`."];
    }
    return [`${variable} = ${quoted(value)}`];
  });

/** The variables that no question is about, as the old file has them. @param {string[]} template @param {string[]} old */
const keptVars = (template, old) => {
  const asked = new Set(SETTINGS.map(({ variable }) => variable));
  const isKept = (/** @type {string} */ line) => keyOf(line) !== null && !asked.has(keyOf(line) ?? "");
  const lines = template.filter((line) => isKept(line) && !old.some((other) => keyOf(other) === keyOf(line)));
  return [...lines, ...old.filter(isKept)];
};

/**
 * The answers that a file made earlier holds.
 * @param {string} text
 * @returns {Answers}
 */
export const answersIn = (text) => {
  const { top, tables, vars } = split(text);
  /** @type {Answers} */
  const answers = {};
  for (const { name, variable } of SETTINGS) {
    const key = variable ?? name.replaceAll("-", "_");
    const lines = variable ? vars : name === "name" ? top : tables;
    const value = lines.map((line) => stringAt(line, key)).find((found) => found !== null);
    if (typeof value === "string") answers[name] = value;
  }
  return answers;
};
