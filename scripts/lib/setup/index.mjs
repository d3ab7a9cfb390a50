// Set-up: installs what the calling script needs; takes well under a second when everything is there. Each part first
// looks, then prints what it installs and its progress.

import { continueUnderWantedNode, isWantedNode } from "../node.mjs";
import { installEdgeBindgen } from "./cargo-tools.mjs";
import { installChromium } from "./chromium.mjs";
import { installDependencyTools } from "./dependency-tools.mjs";
import { installNpmPackages } from "./npm.mjs";
import { addCheckComponents, addWasmTarget, requireRust } from "./rust.mjs";

/**
 * Installs what is missing and makes sure that the script runs on Node 22: call it first, and import whatever needs
 * an npm package after it.
 * @param {{ rust?: boolean, checks?: boolean, browser?: boolean }} needs the tool chains beyond npm's
 */
export const setUp = async ({ rust = true, checks = false, browser = false } = {}) => {
  if (rust) requireRust();
  await installNpmPackages();
  if (!isWantedNode()) await continueUnderWantedNode();
  if (rust) {
    await addWasmTarget();
    await installEdgeBindgen();
  }
  if (checks) {
    await addCheckComponents();
    await installDependencyTools();
  }
  if (browser) await installChromium();
};
