// The environment of a page on a virtual clock: timers, storage, locks. Nothing here waits for real time.

import type { Platform, SharedLocks, TextStorage } from "../../src/lib/platform.ts";

/** Timers that fire only when the test advances the clock. */
export class VirtualClock {
  now = 1_700_000_000_000;
  #timers: { at: number; callback: () => void }[] = [];

  readonly setTimer = (callback: () => void, ms: number): unknown => {
    const timer = { at: this.now + ms, callback };
    this.#timers.push(timer);
    return timer;
  };

  readonly clearTimer = (timer: unknown): void => {
    this.#timers = this.#timers.filter((candidate) => candidate !== timer);
  };

  /** Runs every timer that is due within the next `ms`, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await settle();
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.clearTimer(due);
      this.now = Math.max(this.now, due.at);
      due.callback();
    }
    this.now = end;
    await settle();
  }
}

/** Lets all promises and in-memory deliveries that are under way finish. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Storage in memory; `limit` is the number of characters that fit. */
export class MemoryStorage implements TextStorage {
  readonly entries = new Map<string, string>();
  limit = Number.POSITIVE_INFINITY;

  get length(): number {
    return this.entries.size;
  }

  key(index: number): string | null {
    return [...this.entries.keys()][index] ?? null;
  }

  getItem(key: string): string | null {
    return this.entries.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    const used = [...this.entries].reduce((sum, [k, v]) => sum + k.length + v.length, 0);
    if (used + key.length + value.length > this.limit) throw new Error("QuotaExceededError");
    this.entries.set(key, value);
  }

  removeItem(key: string): void {
    this.entries.delete(key);
  }

  /** What a browser does when a tab is duplicated. */
  copy(): MemoryStorage {
    const copied = new MemoryStorage();
    for (const [key, value] of this.entries) copied.setItem(key, value);
    return copied;
  }
}

/** Locks of one origin, shared by the pages of a test. */
export class MemoryLocks {
  readonly taken = new Set<string>();

  /** The locks as one page sees them; `freeAll` is what the browser does when the page ends. */
  page(): SharedLocks & { freeAll(): void } {
    const mine = new Set<string>();
    return {
      acquire: async (name) => {
        if (this.taken.has(name)) return null;
        this.taken.add(name);
        mine.add(name);
        return () => {
          mine.delete(name);
          this.taken.delete(name);
        };
      },
      freeAll: () => {
        for (const name of mine) this.taken.delete(name);
      },
    };
  }
}

let pages = 0;

/** A platform for tests; everything can be replaced. */
export function testPlatform(clock: VirtualClock, parts: Partial<Platform>): Platform {
  const page = ++pages;
  let drawn = 0;
  return {
    fetch: () => Promise.reject(new Error("no network in this test")),
    createPeerConnection: () => {
      throw new Error("no WebRTC in this test");
    },
    createDirectConnection: () => {
      throw new Error("no direct connections in this test");
    },
    storage: null,
    tabStorage: null,
    locks: null,
    keys: null,
    now: () => clock.now,
    clock: () => clock.now,
    setTimer: clock.setTimer,
    clearTimer: clock.clearTimer,
    // Different in every page and every draw, the same in every run.
    randomBytes: (length) => {
      const draw = ++drawn;
      return Uint8Array.from({ length }, (_, i) => (i === 0 ? page : i === 1 ? draw : i));
    },
    random: () => 0.5,
    onNetworkChange: () => () => {},
    networkKind: () => "",
    online: () => true,
    beginsHandshake: false,
    requestTiming: () => undefined,
    queuesRequests: () => true,
    ...parts,
  };
}
