// Runs cargo and the tools that call it.

import { show } from "../run.mjs";

/**
 * Two builds side by side wait for the lock of the package cache for moments, and print a line each time: these lines are
 * left out. (A wait for the lock of a build folder is shown, since it lasts as long as the other build.)
 */
export const BRIEF_WAIT = /^\s*Blocking waiting for file lock on package cache\s*$/;

/**
 * Runs cargo, or a tool that does, with its output shown; on a terminal as it is, for its progress.
 * @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} env
 */
export const showCargo = (command, args, env = {}) =>
  show(command, args, process.stderr.isTTY ? { env } : { env, unwanted: BRIEF_WAIT });
