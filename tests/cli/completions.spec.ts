// The completions that `streamchain completions` writes: bash completes with them; those of the other shells have every command.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { streamchainPath } from "../../scripts/lib/build/relay.mjs";

const streamchain = (...args: string[]): string => execFileSync(streamchainPath(), args, { encoding: "utf8" });

/** The commands that `streamchain --help` lists. */
const commands = (): string[] => {
  const list = streamchain("--help").split("Commands:")[1]?.split("\n\n")[0] ?? "";
  return [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name = ""]) => name);
};

/** What bash offers for the last of these words, with the completions of a file. */
const offered = (file: string, ...words: string[]): string[] => {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `source '${file}'
    COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
    $(complete -p streamchain | sed -E 's/.*-F ([^ ]+).*/\\1/') streamchain '${words.at(-1)}' '${words.at(-2)}'
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync("bash", ["--norc", "-c", script], { encoding: "utf8" });
  return text.split("\n").filter((line) => line !== "");
};

describe("the completions of", () => {
  it("bash offer commands and options", () => {
    const folder = mkdtempSync(join(tmpdir(), "streamchain-completions-"));
    try {
      const file = join(folder, "streamchain.bash");
      writeFileSync(file, streamchain("completions", "bash"));
      assert.deepEqual(offered(file, "streamchain", "verify-s"), ["verify-stream"]);
      assert.deepEqual(offered(file, "streamchain", "relay", "ru"), ["run"]);
      assert.deepEqual(offered(file, "streamchain", "sub", "--curs"), ["--cursor"]);
      assert.deepEqual(offered(file, "streamchain", "sub", "--own"), ["--owner"]);
      assert.deepEqual(offered(file, "streamchain", "nothing-like-it"), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  for (const shell of ["zsh", "fish"]) {
    it(`${shell} have every command`, () => {
      const script = streamchain("completions", shell);
      const names = commands();
      assert.ok(names.length > 10, names.join(" "));
      for (const name of names) assert.match(script, new RegExp(`["'(\\s]${name}["':\\s]`), name);
    });
  }
});
