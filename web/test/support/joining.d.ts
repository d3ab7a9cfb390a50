import { type ConnectOptions, type StreamConnection, type Subscription } from "../../src/lib/index.ts";
import type { World } from "./world.ts";
/** A payload as text. */
export declare const text: (payload: Uint8Array) => string;
/** A connection to the world's stream, before anything else happens. */
export declare const join: (world: World, options?: Partial<ConnectOptions>) => StreamConnection;
/** A connection to the world's stream, open unless the world prevents it. */
export declare const joined: (world: World, options?: Partial<ConnectOptions>) => Promise<StreamConnection>;
/** Everything that a subscription returns, as `seq:text`; `!seq` where messages were taken back. */
export declare const record: (subscription: Subscription) => string[];
