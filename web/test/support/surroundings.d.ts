import type { Platform, SharedLocks, TextStorage } from "../../src/lib/platform.ts";
/** Timers that fire only when the test advances the clock. */
export declare class VirtualClock {
    #private;
    now: number;
    readonly setTimer: (callback: () => void, ms: number) => unknown;
    readonly clearTimer: (timer: unknown) => void;
    /** Runs every timer that is due within the next `ms`, in order, and lets promises settle after each. */
    advance(ms: number): Promise<void>;
}
/** Lets all promises and in-memory deliveries that are under way finish. */
export declare function settle(): Promise<void>;
/** Storage in memory; `limit` is the number of characters that fit. */
export declare class MemoryStorage implements TextStorage {
    readonly entries: Map<string, string>;
    limit: number;
    get length(): number;
    key(index: number): string | null;
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
    removeItem(key: string): void;
    /** What a browser does when a tab is duplicated. */
    copy(): MemoryStorage;
}
/** Locks of one origin, shared by the pages of a test. */
export declare class MemoryLocks {
    readonly taken: Set<string>;
    /** The locks as one page sees them; `freeAll` is what the browser does when the page ends. */
    page(): SharedLocks & {
        freeAll(): void;
    };
}
/** A platform for tests; everything can be replaced. */
export declare function testPlatform(clock: VirtualClock, parts: Partial<Platform>): Platform;
