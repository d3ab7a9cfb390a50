// D1's migrations. A new system's database is a copy of one that `wrangler` migrated before: starting wrangler costs
// seconds, and tests start dozens of systems.

import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { NODE, ROOT, STATE } from "../paths.mjs";
import { runLogged } from "../run.mjs";
import { persistence, WRANGLER, wranglerEnv } from "./wrangler.mjs";

const MIGRATIONS = join(ROOT, "migrations");
const TEMPLATES = join(STATE, "migrated");

/** Whatever decides what the database's files are: the migrations, its id, and the tool that makes them. */
const inputs = () => [
  ...readdirSync(MIGRATIONS)
    .sort()
    .map((name) => join(MIGRATIONS, name)),
  join(ROOT, "wrangler.toml"),
  join(ROOT, "package-lock.json"),
];

const inputsHash = () => {
  const hash = createHash("sha256");
  for (const path of inputs()) hash.update(path).update(readFileSync(path));
  return hash.digest("hex");
};

/** @param {string} dir @param {string} log */
const apply = (dir, log) => {
  const args = [WRANGLER, "d1", "migrations", "apply", "DB", "--local", ...persistence(dir)];
  return runLogged("D1 migrations", NODE, args, { log, env: wranglerEnv(dir) });
};

/**
 * A folder with nothing but a migrated database; made at the first call after a change.
 * @param {string} hash
 * @param {string} log
 */
const template = async (hash, log) => {
  const made = join(TEMPLATES, hash);
  if (existsSync(made)) return made;
  mkdirSync(TEMPLATES, { recursive: true });
  const outdated = readdirSync(TEMPLATES);
  const dir = mkdtempSync(join(TEMPLATES, "new-"));
  await apply(dir, log);
  try {
    renameSync(dir, made);
  } catch (error) {
    // Another start made it meanwhile.
    if (!existsSync(made)) throw error;
    rmSync(dir, { recursive: true });
  }
  for (const name of outdated) rmSync(join(TEMPLATES, name), { recursive: true, force: true });
  return made;
};

/**
 * Brings a system's D1 up to date, unless that was done before.
 * @param {{ dir: string, log: string }} where
 */
export const migrate = async ({ dir, log }) => {
  const edge = join(dir, "edge");
  const stamp = join(edge, "migrations-applied");
  const hash = inputsHash();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  if (existsSync(edge)) await apply(dir, log);
  else cpSync(join(await template(hash, log), "edge"), edge, { recursive: true });
  writeFileSync(stamp, hash);
};
