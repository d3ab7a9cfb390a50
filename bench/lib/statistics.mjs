// Statistics of samples. Quantiles are by the nearest rank: always a value that was measured.

/** @param {readonly number[]} samples at least one @param {number} q from 0 to 1 @returns {number} */
export const quantile = (samples, q) => {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
  if (value === undefined) throw new Error("There is no sample.");
  return value;
};

/** @param {readonly number[]} samples */
export const median = (samples) => quantile(samples, 0.5);

/** A number with so many significant digits that noise does not show. @param {number} value */
export const rounded = (value, digits = 3) => {
  if (value === 0) return 0;
  const step = 10 ** (Math.floor(Math.log10(Math.abs(value))) + 1 - digits);
  return step >= 1 ? Math.round(value / step) * step : Number(value.toPrecision(digits));
};

/**
 * "1.7 × what": how a figure compares with its floor of the same run.
 * @param {number} value
 * @param {number} floor
 * @param {string} what
 */
export const ratio = (value, floor, what) => `${rounded(value / floor, 2)} × ${what} (${rounded(floor)})`;

/**
 * Runs `once` so many times, one after the other; what each resolved to.
 * @template T
 * @param {number} times
 * @param {(index: number) => Promise<T>} once
 */
export const repeated = async (times, once) => {
  /** @type {T[]} */
  const results = [];
  for (let i = 0; i < times; i++) results.push(await once(i));
  return results;
};

/** The milliseconds that `work` takes. @param {() => Promise<unknown>} work */
export const milliseconds = async (work) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};
