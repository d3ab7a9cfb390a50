// Cargo, and what runs it.

import { show } from "../run.mjs";

/**
 * Two builds side by side both want the lock of the package cache, for moments, and say so each time: no news. (The
 * lock of a build folder is another matter: whoever waits for that waits for a whole build.)
 */
export const BRIEF_WAIT = /^\s*Blocking waiting for file lock on package cache\s*$/;

/**
 * Runs cargo, or a tool that does, with its output shown; on a terminal as it is, for its progress.
 * @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} env
 */
export const showCargo = (command, args, env = {}) =>
  show(command, args, process.stderr.isTTY ? { env } : { env, unwanted: BRIEF_WAIT });
