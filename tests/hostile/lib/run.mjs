// Runs attacks one after the other, each bounded in time.

import { setTimeout as delay } from "node:timers/promises";
import { Tally } from "./tally.mjs";

/** An attack that takes longer has stopped something, or hangs. */
const MAX_ATTACK_MS = 90_000;

/**
 * @param {import("./tally.mjs").Attack} attack
 * @param {import("./target.mjs").Target} target
 */
export const runAttack = async (attack, target) => {
  const tally = new Tally();
  const over = new AbortController();
  try {
    const limit = delay(MAX_ATTACK_MS, "over", { signal: over.signal });
    const ended = await Promise.race([attack.run(target, tally), limit]);
    if (ended === "over") tally.check("the attack ends", false, `it still runs after ${MAX_ATTACK_MS / 1000} s`);
  } catch (error) {
    // The system must answer its attackers: a request without an answer is a finding.
    tally.check(
      "the attack runs to its end",
      false,
      error instanceof Error ? (error.stack ?? error.message) : `${error}`,
    );
  } finally {
    over.abort();
  }
  return tally;
};

/**
 * @param {readonly import("./tally.mjs").Attack[]} attacks
 * @param {import("./target.mjs").Target} target
 * @param {(line: string) => void} log
 * @returns {Promise<{ through: number, left: number }>} how much got through, and how many attacks were left out
 */
export const runAttacks = async (attacks, target, log) => {
  let [through, left] = [0, 0];
  for (const attack of attacks) {
    const lacks = target.lacks(attack.needs);
    if (lacks.length > 0) {
      left += 1;
      log(`- ${attack.name}: left out, it needs ${lacks.join(" and ")}`);
      continue;
    }
    log(`▶ ${attack.name}: ${attack.title}`);
    const tally = await runAttack(attack, target);
    through += tally.through.length;
    for (const line of tally.notes) log(`    ${line}`);
    for (const line of tally.through) log(`    got through: ${line}`);
    const mark = tally.through.length === 0 ? "✓" : "✗";
    log(`${mark} ${attack.name}: tried ${tally.tried}, got through: ${tally.through.length}`);
  }
  return { through, left };
};
