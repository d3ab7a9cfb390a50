// Set-up: installs what the calling script needs; takes well under a second when everything is there. Each part first
// looks, then prints what it installs and its progress.

import { continueUnderWantedNode, isWantedNode } from "../node.mjs";
import { installEdgeBindgen } from "./cargo-tools.mjs";
import { installChromium } from "./chromium.mjs";
import { installDependencyTools } from "./dependency-tools.mjs";
import { installNpmPackages } from "./npm.mjs";
import { addCheckComponents, addWasmTarget, requireRust } from "./rust.mjs";

/** Waits until all have ended, so that nothing runs on in the background, and fails as the first did. @param {Promise<unknown>[]} works */
const allDone = async (works) => {
  const results = await Promise.allSettled(works);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
};

/**
 * Installs what is missing and makes sure that the script runs on Node 22: call it first, and import whatever needs
 * an npm package after it.
 * @param {{ rust?: boolean, checks?: boolean, browser?: boolean, beside?: () => Promise<unknown> }} needs the tool chains beyond
 *   npm's; `beside`: what is done while they are installed, needing none of them
 */
export const setUp = async ({ rust = true, checks = false, browser = false, beside } = {}) => {
  if (rust) requireRust();
  if (rust) await addWasmTarget();
  // One waits for the network where the other computes.
  await allDone([installNpmPackages(), ...(rust ? [installEdgeBindgen()] : []), ...(beside ? [beside()] : [])]);
  if (!isWantedNode()) await continueUnderWantedNode();
  if (checks) {
    await addCheckComponents();
    await installDependencyTools();
  }
  if (browser) await installChromium();
};
