// A world of signed messages, and what is stored in it.

import type { StreamConnection } from "../../src/lib/index.ts";
import { signerOf } from "../../src/lib/signed/signer.ts";
import { join, text } from "./joining.ts";
import { People } from "./people.ts";
import { OriginKeys } from "./signing.ts";
import { settle } from "./surroundings.ts";
import { World } from "./world.ts";

/** A world whose relay and edge take signed messages, and whose origin has keys. */
export function signedWorld(): World {
  const world = new World();
  world.people = new People(world.clock);
  world.keys = new OriginKeys();
  world.signatures.taken = true;
  return world;
}

export const open = async (world: World, options: Parameters<typeof join>[1] = {}): Promise<StreamConnection> => {
  const connection = join(world, options);
  await settle();
  return connection;
};

export const guestOf = async (world: World): Promise<string> =>
  signerOf(await (world.keys as OriginKeys).of("https://edge.test:guest")).self;

/** The sizes of the groups that are stored, in order. */
export const groupsOf = (world: World): number[] =>
  world.stored.flatMap(({ signed }) => (signed?.index === 0 ? [signed.count] : []));

export const texts = (world: World): string[] => world.stored.map(({ payload }) => text(payload));

export const frames = (world: World, kind: string) => world.received.filter((frame) => frame.kind === kind);
