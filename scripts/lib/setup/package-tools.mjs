// What looks at the npm package: publint, and are-the-types-wrong (node_modules/@arethetypeswrong/cli). They stay out of
// the project's own packages, since a compiler and 60 packages come with them: tests/package/tools has package and lock
// file.

import { join } from "node:path";
import { ROOT } from "../paths.mjs";
import { installFolder } from "./npm-folder.mjs";

const FOLDER = join(ROOT, "tests", "package", "tools");

/** A command of them. @param {"attw" | "publint"} name */
export const packageTool = (name) => join(FOLDER, "node_modules", ".bin", name);

/** Installs them, unless they are installed. */
export const installPackageTools = () =>
  installFolder({ folder: FOLDER, what: "Tools that look at the npm package", log: "npm-package-tools" });
