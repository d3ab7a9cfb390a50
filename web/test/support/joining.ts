// Clients of a test world's stream, and what their subscriptions return.

import { type ConnectOptions, connect, type StreamConnection, type Subscription } from "../../src/lib/index.ts";
import { settle } from "./surroundings.ts";
import type { World } from "./world.ts";

/** A payload as text. */
export const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** A connection to the world's stream, before anything else happens. */
export const join = (world: World, options: Partial<ConnectOptions> = {}): StreamConnection =>
  connect({ stream: "demo", edge: "https://edge.test", platform: world.page(), ...options });

/** A connection to the world's stream, open unless the world prevents it. */
export const joined = async (world: World, options: Partial<ConnectOptions> = {}): Promise<StreamConnection> => {
  const connection = join(world, options);
  await settle();
  return connection;
};

/** Everything that a subscription returns, as `seq:text`; `!seq` where messages were taken back. */
export const record = (subscription: Subscription): string[] => {
  const seen: string[] = [];
  subscription.on("retracted", ({ from }) => seen.push(`!${from}`));
  subscription.on("message", ({ seq, payload }) => seen.push(`${seq}:${text(payload)}`));
  return seen;
};
