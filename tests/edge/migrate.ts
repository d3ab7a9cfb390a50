// The tables of the database, as the migrations make them.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Miniflare } from "miniflare";

const MIGRATIONS = join(import.meta.dirname, "..", "..", "migrations");

/** Applies all migrations to an empty database. */
export const migrate = async (miniflare: Miniflare): Promise<void> => {
  const database = await miniflare.getD1Database("DB");
  for (const name of (await readdir(MIGRATIONS)).sort()) {
    const sql = (await readFile(join(MIGRATIONS, name), "utf8")).replace(/--.*$/gm, "");
    const statements = sql.split(";").map((statement) => statement.trim());
    await database.batch(statements.filter(Boolean).map((statement) => database.prepare(statement)));
  }
};
