// Two things that are started at the same time, and whose processes would keep a test from ending.

/** How a thing is started and stopped. */
export interface Startable<T> {
  readonly start: () => Promise<T>;
  readonly stop: (started: T) => Promise<unknown>;
}

/**
 * Starts both at once. When one of them does not start, the other one is stopped, and the reason is thrown: nobody else
 * would know of it, and a test does not end while a process of it runs.
 */
export const startedTogether = async <A, B>(first: Startable<A>, second: Startable<B>): Promise<[A, B]> => {
  const [a, b] = await Promise.allSettled([first.start(), second.start()]);
  if (a.status === "fulfilled" && b.status === "fulfilled") return [a.value, b.value];
  if (a.status === "fulfilled") await first.stop(a.value);
  if (b.status === "fulfilled") await second.stop(b.value);
  throw a.status === "rejected" ? a.reason : (b as PromiseRejectedResult).reason;
};
