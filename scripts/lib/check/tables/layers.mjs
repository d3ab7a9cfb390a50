// The layers: what may import what. From the core outwards; edit this file when a room or a crate is added.

/**
 * The crates, each with the crates of this workspace that it may depend on. A crate that isn't listed may depend on
 * none. Tests and benches (`[dev-dependencies]`) are free.
 * @type {Record<string, string[]>}
 */
export const CRATE_LAYERS = {
  "streamchain-protocol": [],
  "streamchain-chain": ["streamchain-protocol"],
  "streamchain-edge-core": ["streamchain-protocol", "streamchain-chain"],
  "streamchain-edge": ["streamchain-protocol", "streamchain-edge-core", "streamchain-chain"],
  "streamchain-client": ["streamchain-protocol"],
  "relay-node": ["streamchain-protocol", "streamchain-chain"],
  "streamchain-cli": ["streamchain-protocol", "streamchain-chain", "streamchain-client", "relay-node"],
  "relay-testkit": ["streamchain-protocol", "streamchain-chain", "streamchain-client", "relay-node"],
  "streamchain-fuzz": ["streamchain-protocol", "streamchain-edge-core", "streamchain-chain", "relay-node"],
};

/**
 * @typedef {object} RoomLayers
 * @property {string} of a crate's name, or a folder of scripts
 * @property {string[][]} layers rooms (folders, or files without their ending) from the core outwards. A room imports
 *   rooms of the lines above its own and nothing else: rooms of one line don't know each other
 * @property {boolean} complete whether every room must be listed; a room that isn't listed is free otherwise
 */

/** @type {RoomLayers[]} */
export const ROOM_LAYERS = [
  {
    of: "streamchain-protocol",
    layers: [
      ["limits", "time"],
      ["util"],
      ["ids"],
      ["pattern", "signed"],
      ["omitted", "record", "retention"],
      ["stream_settings"],
      ["stored_record"],
      ["webrtc"],
      ["auth"],
      ["proof"],
      ["archive"],
      ["wire"],
    ],
    complete: true,
  },
  {
    of: "streamchain-chain",
    layers: [
      ["abi", "backoff", "journal"],
      ["ethereum"],
      ["authors", "costs", "machine"],
      ["rounds"],
      ["batcher", "listener"],
      ["anchorer"],
    ],
    complete: true,
  },
  {
    of: "streamchain-edge",
    layers: [
      ["clock", "counters", "cors", "query"],
      ["problem"],
      ["random", "response"],
      ["config"],
      ["outbound", "storage"],
      ["api"],
      ["request"],
      ["path", "rate_limit"],
      ["auth"],
      ["audit"],
      ["objects"],
      ["http"],
      ["routes"],
      ["router"],
    ],
    complete: true,
  },
  {
    of: "relay-node",
    layers: [["error_text", "random"], ["core"], ["transport"], ["turn"], ["relay"], ["commands"], ["cli"]],
    complete: true,
  },
  { of: "streamchain-client", layers: [["core"], ["signing"], ["peer"], ["http"], ["connection"]], complete: true },
  {
    of: "streamchain-cli",
    layers: [["exit"], ["edge", "input", "output", "roster"], ["authors"], ["commands"], ["cli"]],
    complete: true,
  },
  { of: "web/src", layers: [["lib"], ["app", "react"]], complete: true },
  {
    of: "web/src/lib",
    layers: [
      ["errors"],
      ["limits", "marks", "webrtc"],
      ["web-keys"],
      ["platform"],
      ["wire", "backoff", "shared-by-page"],
      ["chain"],
      ["signed"],
      ["http"],
      ["events"],
      ["session"],
      ["publish", "read"],
      ["direct"],
      ["connection"],
      ["index", "receipt", "wallet"],
    ],
    complete: true,
  },
  { of: "scripts", layers: [["lib"]], complete: false },
  {
    of: "scripts/lib",
    layers: [["console"], ["paths"], ["run"], ["setup"], ["build", "check"], ["system", "test"]],
    complete: false,
  },
];
