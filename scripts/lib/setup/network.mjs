// What the network tests need beside Chromium: another browser, another TURN server, and a client in Python.

import { join } from "node:path";
import { ROOT } from "../paths.mjs";
import { installCoturn } from "./coturn.mjs";
import { installFirefox } from "./firefox.mjs";
import { installPython } from "./python.mjs";

/** The environment of the Python client: `venvPython(PYTHON_CLIENT)`. */
export const PYTHON_CLIENT = "network";

export const installNetworkTools = async () => {
  await installFirefox();
  await installCoturn();
  const requirements = join(ROOT, "tests", "network", "python", "requirements.txt");
  await installPython({ name: PYTHON_CLIENT, requirements });
};
