// `node scripts/sizing.mjs` prints the sizing table of docs/OPERATIONS.md from the newest figures; `--write` puts it into the document
// in place of the one that is there, as `npm run bench -- mesh` does by itself.

import { sizingText, writeSizing } from "./lib/sizing.mjs";

if (process.argv.includes("--write")) writeSizing();
else process.stdout.write(sizingText());
