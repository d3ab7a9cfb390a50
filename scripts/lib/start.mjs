// The order of a start. The page comes first: it publishes and reads by HTTP as soon as the Worker is there. The relay is
// compiled behind it, and the page goes over to WebRTC by itself when the relay has registered.

/**
 * @typedef {object} StartedSystem
 * @property {Promise<unknown>} died rejects when a part ends unexpectedly
 * @property {() => Promise<unknown>} addRelay
 * @property {() => Promise<void>} stop
 */

/**
 * Starts everything and waits for its end; resolves to why it ended, or null when it was asked to. Nothing that was begun
 * runs on afterwards.
 * @template {StartedSystem} System
 * @param {object} steps in their order
 * @param {() => Promise<unknown>} steps.buildPage
 * @param {() => Promise<System>} steps.startSystem without a relay
 * @param {(system: System) => Promise<unknown>} steps.pageWorks
 * @param {(signal: AbortSignal) => Promise<unknown>} steps.buildRelay ends early by the signal
 * @param {(system: System) => void} steps.relayWorks
 * @param {() => Promise<unknown>} steps.asked resolves when the start is asked to end
 * @param {(failure: unknown) => void} steps.ends called before the parts are stopped
 * @returns {Promise<unknown>}
 */
export const startInOrder = async ({ buildPage, startSystem, pageWorks, buildRelay, relayWorks, asked, ends }) => {
  await buildPage();
  const system = await startSystem();
  const compilation = new AbortController();
  const behind = async () => {
    await buildRelay(compilation.signal);
    if (compilation.signal.aborted) return;
    await system.addRelay();
    relayWorks(system);
  };
  /** @type {unknown} */
  let failure = null;
  /** @type {Promise<void>} */
  let relay = Promise.resolve();
  try {
    const end = Promise.race([system.died, asked()]);
    // It is waited for below; until then its rejection must not end the process.
    end.catch(() => {});
    await pageWorks(system);
    relay = behind();
    await Promise.race([end, relay.then(() => end)]);
  } catch (error) {
    failure = error;
  }
  ends(failure);
  compilation.abort();
  await Promise.allSettled([system.stop(), relay]);
  return failure;
};
