// How long a start still takes. Pure: the clock is an argument.

/** Seconds below which the time so far says nothing of the machine's speed. */
const LEAST_SAMPLE_S = 5;

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {number} seconds how long it takes on two cores that do nothing else, with empty caches
 * @property {boolean} isDone whether what it makes is there already
 */

/** Estimates from the parts that are over how long the others take. */
export class Remaining {
  /** @param {Part[]} parts in their order @param {number} startMs */
  constructor(parts, startMs) {
    this.parts = parts.filter(({ isDone }) => !isDone);
    this.startMs = startMs;
  }

  /**
   * Seconds from the beginning of this part until everything is over, or until the beginning of the part `until`; null when
   * nothing takes long.
   * @param {string} name @param {number} nowMs @param {string} [until]
   */
  secondsFrom(name, nowMs, until) {
    const at = this.parts.findIndex((part) => part.name === name);
    if (at < 0) return null;
    const end = this.parts.findIndex((part) => part.name === until);
    /** @param {Part[]} parts */
    const sum = (parts) => parts.reduce((total, { seconds }) => total + seconds, 0);
    const before = sum(this.parts.slice(0, at));
    const spent = (nowMs - this.startMs) / 1000;
    const slowness = before < LEAST_SAMPLE_S ? 1 : spent / before;
    return sum(this.parts.slice(at, end < 0 ? undefined : end)) * slowness;
  }
}

/**
 * "about 3 min left", in steps that the estimate can keep; empty when it is over soon.
 * @param {number | null} seconds @param {string} what
 */
export const leftText = (seconds, what = "left") => {
  if (seconds === null || seconds < LEAST_SAMPLE_S) return "";
  if (seconds < 60) return `about ${Math.ceil(seconds / 10) * 10} s ${what}`;
  return `about ${Math.round(seconds / 60)} min ${what}`;
};
