// Where dead public items are looked for, and what may stay although no other file uses it. Keep the lists short: a
// reason for each line.

/** The packages whose libraries other packages use. */
export const LIBRARY_CRATES = [
  "streamchain-protocol",
  "streamchain-edge-core",
  "streamchain-chain",
  "streamchain-client",
  "relay-node",
];

/**
 * Rust: "package Item".
 * @type {string[]}
 */
export const ALLOWED_ITEMS = [];

/**
 * Scripts: names that something else than an import uses.
 * @type {{ file: RegExp, name: string }[]}
 */
export const ALLOWED_SYMBOLS = [
  // scripts/bench.mjs imports every file of the folder and asks for these names.
  { file: /^bench\/[\w-]+\.mjs$/, name: "benches" },
  { file: /^bench\/[\w-]+\.mjs$/, name: "needsBuild" },
  // wrangler.toml names the objects' classes.
  ...["Account", "Anchorer", "Archiver", "Audit", "Batcher", "Limits", "Listener", "Relays", "Stream", "Webhooks"].map(
    (name) => ({
      file: /^src\/entry\.mjs$/,
      name,
    }),
  ),
];
