// Which of several things a command runs: all of them, or those that the command line names.

import { Failure } from "./console.mjs";

/** @param {string} word */
const isHelp = (word) => ["--help", "-h", "--list"].includes(word);

/**
 * Those of `all` that `words` name, in the order of `all`; all of them without words, and null when help was asked for and
 * printed. Fails for a word that is none of them, before anything was done.
 * @template {{ name: string, title: string }} T
 * @param {readonly string[]} words
 * @param {readonly T[]} all
 * @param {{ command: string, does: string, kind: string }} about `command` is how it is typed, `does` a sentence or more
 * @returns {readonly T[] | null}
 */
export const choose = (words, all, { command, does, kind }) => {
  if (words.some(isHelp)) {
    const width = Math.max(...all.map(({ name }) => name.length));
    const lines = all.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`);
    console.log(`${command} [-- NAME…]\n\n${does}\nWithout a name, all of them run:\n\n${lines.join("\n")}`);
    return null;
  }
  const unknown = words.filter((word) => !all.some(({ name }) => name === word));
  if (unknown.length > 0) {
    const names = all.map(({ name }) => name).join(", ");
    throw new Failure(`No such ${kind}: ${unknown.join(", ")}`, [`There are: ${names}`, `${command} -- --help`]);
  }
  return words.length > 0 ? all.filter(({ name }) => words.includes(name)) : all;
};

/**
 * Prints `help` and returns true when the command line asks for it. Fails for any other word, before anything was done:
 * for commands that have no options.
 * @param {readonly string[]} words
 * @param {string} command
 * @param {string} help
 */
export const helpOnly = (words, command, help) => {
  const [unknown] = words.filter((word) => !isHelp(word));
  if (unknown !== undefined) throw new Failure(`${command} has no option ${unknown}`, [`${command} -- --help`]);
  if (words.length > 0) console.log(`${command}\n\n${help}`);
  return words.length > 0;
};
