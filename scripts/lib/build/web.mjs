// The web app and the client library: web/build.mjs bundles them into web/dist, in well under a second.

import { join } from "node:path";
import { Failure } from "../console.mjs";
import { NODE, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";

export const buildWeb = async () => {
  if ((await show(NODE, [join(ROOT, "web", "build.mjs")])) !== 0) {
    throw new Failure("The web app does not build (its output is above).");
  }
};
