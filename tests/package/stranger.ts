// Somebody who has the packed package and nothing else of this checkout: an empty folder, npm, and Node.

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { childEnv, NODE, ROOT } from "../../scripts/lib/paths.mjs";

const run = promisify(execFile);

const PACKAGE = join(ROOT, "web");
export const EXAMPLES = join(PACKAGE, "examples");

/** npm installs what it has kept, if it can, and says nothing of funds and audits. */
const INSTALL = ["install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];

/** The version of a package that this checkout uses: npm has it already. */
export const versionOf = async (name: string): Promise<string> => {
  const { version } = JSON.parse(await readFile(join(ROOT, "node_modules", name, "package.json"), "utf8"));
  return version;
};

/** Packs the package as `npm pack` does in a checkout, what it builds first included; returns the archive's path. */
export const packClient = async (checkout = ROOT): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "streamchain-packed-"));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: join(checkout, "web"), env: childEnv() });
  const [archive, ...more] = await readdir(folder);
  assert.deepEqual(more, []);
  return join(folder, archive ?? "");
};

/** What a process that ended has printed. */
interface Ended {
  readonly code: number | null;
  readonly text: string;
}

/** A folder outside of this checkout. */
export class StrangersFolder {
  readonly path: string;
  readonly #children = new Set<ChildProcess>();

  constructor(path: string) {
    this.path = path;
  }

  /** An empty folder in which the archive was installed, with these packages beside it. */
  static async with(archive: string, ...packages: string[]): Promise<StrangersFolder> {
    const folder = new StrangersFolder(await mkdtemp(join(tmpdir(), "streamchain-stranger-")));
    await folder.write("package.json", JSON.stringify({ private: true, type: "module" }));
    await run("npm", [...INSTALL, archive, ...packages], { cwd: folder.path, env: childEnv() });
    return folder;
  }

  /** A copy of an example, with the archive in place of the published package, and installed. */
  static async ofExample(archive: string, name: string): Promise<StrangersFolder> {
    const folder = new StrangersFolder(await mkdtemp(join(tmpdir(), "streamchain-example-")));
    await cp(join(EXAMPLES, name), folder.path, { recursive: true });
    const manifest = JSON.parse(await folder.read("package.json"));
    manifest.dependencies["@streamchain/client"] = `file:${archive}`;
    await folder.write("package.json", JSON.stringify(manifest));
    await run("npm", INSTALL, { cwd: folder.path, env: childEnv() });
    return folder;
  }

  read(name: string): Promise<string> {
    return readFile(join(this.path, name), "utf8");
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.path, name), text);
  }

  /** Starts a program under Node, or under another command of the folder's packages. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}, command = NODE): Running {
    const child = spawn(command, args, { cwd: this.path, env: childEnv(env), stdio: ["ignore", "pipe", "pipe"] });
    this.#children.add(child);
    return new Running(child);
  }

  /** Runs a module's text under Node to its end. */
  async runModule(text: string, name = "module.mjs"): Promise<Ended> {
    await this.write(name, text);
    return this.start([name]).ended;
  }

  async remove(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A process of a stranger. */
class Running {
  readonly child: ChildProcess;
  /** Everything that it has printed so far. */
  text = "";
  readonly ended: Promise<Ended>;

  constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (bytes: Buffer) => {
        this.text += bytes.toString();
      });
    }
    this.ended = new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, text: this.text }));
    });
  }
}

/** The examples of the package's README, by the names of the comments before them. */
export const readmeExamples = async (): Promise<Map<string, string>> => {
  const readme = await readFile(join(PACKAGE, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/<!-- runs: ([\w-]+) -->\n```jsx?\n([\s\S]*?)```/g)];
  return new Map(blocks.map(([, name = "", code = ""]) => [name, code]));
};
