// All attacks, in the order of the points that they are about.

import { attack as hostileBlock } from "./a1-hostile-block.mjs";
import { attack as fullBook } from "./a2-full-book.mjs";
import { attack as gasDrain } from "./a3-gas-drain.mjs";
import { attack as storage } from "./a4-storage.mjs";
import { attack as auditFlood } from "./a5-audit.mjs";
import { attack as handshakes } from "./a5-handshakes.mjs";
import { attack as members } from "./a5-members.mjs";
import { attack as readers } from "./a5-readers.mjs";
import { attack as datagrams } from "./a6-datagrams.mjs";
import { attack as reflection } from "./a6-reflection.mjs";
import { attack as producers } from "./b1-producers.mjs";
import { attack as relayKeys } from "./b2-relay-keys.mjs";
import { attack as lifetimes } from "./b3-lifetimes.mjs";
import { attack as closed } from "./b4-closed.mjs";
import { attack as credentials } from "./b5-credentials.mjs";
import { attack as signIn } from "./b5-sign-in.mjs";
import { attack as proofs } from "./b6-proofs.mjs";
import { attack as privacy } from "./b7-private.mjs";

/** @type {readonly import("./lib/tally.mjs").Attack[]} */
export const ATTACKS = [
  hostileBlock,
  fullBook,
  gasDrain,
  storage,
  handshakes,
  readers,
  members,
  auditFlood,
  reflection,
  datagrams,
  producers,
  relayKeys,
  lifetimes,
  closed,
  signIn,
  credentials,
  proofs,
  privacy,
];
