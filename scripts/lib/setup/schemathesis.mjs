// schemathesis (PyPI), which tests/api runs, in an environment of its own.

import { join } from "node:path";
import { ROOT } from "../paths.mjs";
import { installPython } from "./python.mjs";

/** Installs schemathesis unless it is installed; resolves to its environment's Python. */
export const installSchemathesis = () =>
  installPython({ name: "schemathesis", requirements: join(ROOT, "tests", "api", "requirements.txt") });
