// What a hook reads: a value that changes by itself while somebody reads it, as `useSyncExternalStore` takes it.
//
// What always holds: a store runs while it has readers, and stops after the last one has left. In strict mode React
// removes each reader and adds it again at once; the store goes on then, since it stops in a later task.

/** The timers of a store; tests pass their own. */
export interface Timers {
  readonly setTimer: (callback: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
}

/** The timers of the environment. */
export const TIMERS: Timers = {
  setTimer: (callback, ms) => setTimeout(callback, ms),
  clearTimer: (timer) => clearTimeout(timer as number),
};

/** Readers are notified at most once in this time, in ms: a display shows about 60 images a second. */
const UPDATE_MS = 16;

/** A value that changes while it is read. */
export abstract class Store<Value> {
  protected readonly timers: Timers;
  readonly #readers = new Set<() => void>();
  #value: Value;
  /** Set while the store is to stop in the next task. */
  #stopping: unknown = null;
  #isRunning = false;
  /** Set while readers were notified less than `UPDATE_MS` ago. */
  #resting: unknown = null;
  #isStale = false;

  protected constructor(first: Value, timers: Timers) {
    this.#value = first;
    this.timers = timers;
  }

  /** Adds a reader, which is called after each change; the returned function removes it. */
  readonly subscribe = (reader: () => void): (() => void) => {
    this.#readers.add(reader);
    if (this.#stopping !== null) this.timers.clearTimer(this.#stopping);
    this.#stopping = null;
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.start();
    }
    return () => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0 && this.#stopping === null) {
        this.#stopping = this.timers.setTimer(() => this.#stop(), 0);
      }
    };
  };

  /** The present value: the same object until it changes. */
  readonly read = (): Value => this.#value;

  /** The first reader has come. */
  protected abstract start(): void;

  /** The last reader has left. */
  protected abstract stop(): void;

  /** The value as it is now. */
  protected abstract compute(): Value;

  /** Takes the value anew and notifies the readers, now or soon. */
  protected changed(): void {
    this.#isStale = true;
    if (this.#resting === null) this.#notify();
  }

  #notify(): void {
    this.#resting = this.timers.setTimer(() => {
      this.#resting = null;
      if (this.#isStale) this.#notify();
    }, UPDATE_MS);
    this.#isStale = false;
    this.#value = this.compute();
    for (const reader of [...this.#readers]) reader();
  }

  #stop(): void {
    this.#stopping = null;
    this.#isRunning = false;
    this.stop();
    this.timers.clearTimer(this.#resting);
    this.#resting = null;
    this.#isStale = false;
    this.#value = this.compute();
  }
}
