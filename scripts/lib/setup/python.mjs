// Python programs that tests run: each set of pinned packages in a virtual environment of its own under .streamchain,
// made again whenever its requirements file or the machine's Python changes.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, step } from "../console.mjs";
import { STATE, which } from "../paths.mjs";
import { ask, runLogged } from "../run.mjs";
import { installDebian } from "./debian.mjs";

const OLDEST_MINOR = 10;

/** @param {string} name */
const environment = (name) => join(STATE, "python", name);

/** The Python of an environment that `installPython` made. @param {string} name */
export const venvPython = (name) => join(environment(name), "bin", "python");

const ADVICE = [
  "Install Python with venv (Debian: apt-get install python3-venv), or",
  "say where one is: PYTHON=/path/to/python3",
];

/**
 * "Python 3.11.2" of an interpreter that is new enough and can make environments, or null.
 * @param {string | null | undefined} path
 * @returns {string | null}
 */
const usable = (path) => {
  if (!path) return null;
  const version = ask(path, ["--version"]);
  const minor = Number(version?.match(/^Python 3\.(\d+)/)?.[1] ?? 0);
  return minor >= OLDEST_MINOR && ask(path, ["-c", "import venv, ensurepip; print(1)"]) ? version : null;
};

/** PYTHON, the system's own, or the first on the PATH. */
const findPython = () => {
  const candidates = [process.env.PYTHON, "/usr/bin/python3", which("python3")].filter(Boolean);
  const path = candidates.find(usable);
  return path ? { path, version: usable(path) } : null;
};

const needPython = async () => {
  const found = findPython();
  if (found) return found;
  const why = `Some tests need Python 3.${OLDEST_MINOR} or later with venv, and there is none.`;
  await installDebian({ packages: ["python3-venv"], why, advice: ADVICE });
  const installed = findPython();
  if (installed) return installed;
  throw new Failure("apt-get installed python3-venv, but no Python can make an environment.", ADVICE);
};

/**
 * Makes the environment `name` hold what a requirements file pins; resolves to its Python.
 * @param {{ name: string, requirements: string }} wanted `requirements`: a pip requirements file with all versions pinned
 */
export const installPython = async ({ name, requirements }) => {
  const python = await needPython();
  const folder = environment(name);
  const stamp = join(folder, "streamchain-stamp");
  const hash = createHash("sha256").update(`${python.path} ${python.version}\n`).update(readFileSync(requirements));
  const wanted = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted && ask(venvPython(name), ["--version"])) {
    return venvPython(name);
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await step(`Python packages for ${name} (pip install; about a minute)`, async () => {
    const log = { log: join(STATE, "logs", `python-${name}.log`), advice: ["It needs the network once."] };
    await runLogged("python -m venv", python.path, ["-m", "venv", folder], log);
    const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"];
    await runLogged("pip install", venvPython(name), [...pip, "-r", requirements], log);
  });
  writeFileSync(stamp, wanted);
  return venvPython(name);
};
