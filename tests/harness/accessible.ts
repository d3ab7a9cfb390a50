// What axe-core finds wrong with a page for people who use it without a mouse, with a screen reader, or with weak eyes.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";

const AXE = fileURLToPath(import.meta.resolve("axe-core/axe.min.js"));

interface Found {
  readonly violations: readonly { id: string; help: string; nodes: readonly { html: string }[] }[];
}

/** A line for each fault of the page as it is shown now; empty when there is none. */
export const accessibilityFaults = async (page: Page): Promise<string[]> => {
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate<Found>("axe.run(document, { resultTypes: ['violations'] })");
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
};
