// What the documents say of commands, versions and variables is so. The commands themselves run in tests/cli/documents.spec.ts.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SETTINGS } from "../../scripts/lib/configure/settings.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { CHECKS } from "../../scripts/lib/test/checks.mjs";
import { GROUPS } from "../../scripts/lib/test/groups.mjs";
import { codeBlocks, commandsIn, DOCUMENTS, isShell, textOf } from "../harness/documents.ts";
import { NOT_RUN } from "../harness/not-run.ts";

const json = (path: string) => JSON.parse(readFileSync(join(ROOT, path), "utf8"));
const blocks = DOCUMENTS.flatMap((document) => codeBlocks(document));
const commandsOf = (document: string): string[] =>
  blocks.filter((block) => block.document === document && isShell(block)).flatMap(commandsIn);

/** Words that begin commands of ours, or that the documents use. */
const COMMAND =
  /^\s*(?:\$ )?(?:npm|npx|node|cargo|curl|wrangler|streamchain|relay-node|docker|podman|openssl) [\w./$'"-]/m;

describe("blocks of code", () => {
  test("say what they are where they have commands", () => {
    for (const { document, language, text } of blocks) {
      if (language === "") assert.doesNotMatch(text, COMMAND, `${document}: fence this block, and mark it as sh`);
    }
  });

  test("are found in lists, with comments and long lines", () => {
    const text = "## `A` b\n\n- x\n\n  ```bash\n  one \\\n      --two # three\n  # four\n  curl 'a#b' | five\n  ```\n";
    const [block] = codeBlocks("x.md", text);
    assert.ok(block && isShell(block));
    assert.equal(block.heading, "A b");
    assert.deepEqual(commandsIn(block), ["one --two", "curl 'a#b' | five"]);
  });
});

describe("the table of commands that are not run", () => {
  test("has commands of the documents alone", () => {
    for (const { document, commands } of NOT_RUN) {
      for (const command of commands) assert.ok(commandsOf(document).includes(command), `${document}: ${command}`);
    }
  });

  test("says why, and names a file that is there", () => {
    for (const { because, instead } of NOT_RUN) {
      assert.match(because, / .* /);
      assert.ok(existsSync(join(ROOT, instead)), instead);
    }
  });
});

test("both languages have the same commands", () => {
  const plain = (document: string) =>
    commandsOf(document).map((command) => command.replace(/'(?:hello|xin chào)'$/, ""));
  assert.deepEqual(plain("README.vi.md"), plain("README.md"));
});

describe("what the documents name", () => {
  const code = DOCUMENTS.flatMap((document) => {
    const inline = [...textOf(document).matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
    return [...inline, ...commandsOf(document)].map((text) => ({ document, text }));
  });

  test("are scripts of package.json", () => {
    const { scripts } = json("package.json");
    let named = 0;
    for (const { document, text } of code) {
      for (const [, name = ""] of text.matchAll(/\bnpm (?:run )?(start|test|[a-z]+)\b/g)) {
        if (["install", "pack", "ci", "audit"].includes(name)) continue;
        assert.ok(name in scripts, `${document}: ${text}`);
        named += 1;
      }
    }
    assert.ok(named > 20);
  });

  test("are groups of tests and checks", () => {
    const [groups, checks] = [GROUPS, CHECKS].map((all) => all.map(({ name }) => name));
    for (const { document, text } of code) {
      for (const [kind, known] of [
        ["npm test", groups],
        ["npm run check", checks],
      ] as const) {
        const words = new RegExp(`${kind} -- ([a-z -]+)$`).exec(text)?.[1]?.split(" ") ?? [];
        for (const word of words) assert.ok(word.startsWith("--") || known?.includes(word), `${document}: ${text}`);
      }
    }
  });

  test("are files that node runs", () => {
    for (const { document, text } of code) {
      const path = /^(?:\w+=\S+ )?node (?:--test )?([\w./-]+\.(?:mjs|ts))/.exec(text)?.[1];
      if (path === undefined || !path.includes("/")) continue;
      assert.ok(existsSync(join(ROOT, path)), `${document}: ${text}`);
    }
  });
});

describe("versions in the documents", () => {
  const [root, library] = [json("package.json"), json("web/package.json")];
  const stated = (document: string, pattern: RegExp): string[] =>
    [...textOf(document).matchAll(pattern)].map(([, version = ""]) => version);

  test("of Node are those of the packages", () => {
    const own = root.engines.node.replace(">=", "");
    for (const document of ["README.md", "CONTRIBUTING.md"]) {
      assert.deepEqual(stated(document, /Node\.js\]\(https:\/\/nodejs\.org\)\s+(\d+) or later/g), [own], document);
    }
    assert.deepEqual(stated("README.vi.md", /Node\.js\]\(https:\/\/nodejs\.org\) từ bản (\d+)/g), [own]);
    const user = library.engines.node.replace(">=", "");
    for (const document of ["README.md", "web/README.md"]) {
      const found = stated(document, /Node (\d+) or later/g);
      assert.ok(found.length > 0 && found.every((version) => version === user), `${document}: ${found}`);
    }
  });

  test("of Rust are that of the workspace", () => {
    const oldest = /^rust-version = "([\d.]+)"$/m.exec(textOf("Cargo.toml"))?.[1];
    assert.deepEqual(stated("README.md", /Rust\]\(https:\/\/rustup\.rs\) ([\d.]+) or later/g), [oldest]);
    assert.deepEqual(stated("README.vi.md", /Rust\]\(https:\/\/rustup\.rs\) từ bản ([\d.]+\d)/g), [oldest]);
  });

  test("of browsers and React are the same everywhere", () => {
    const browsers = (document: string): string[] =>
      ["Chromium", "Firefox", "Safari"].flatMap((name) =>
        stated(document, new RegExp(`${name} (\\d+(?:\\.\\d+)?)`, "g")),
      );
    assert.equal(browsers("README.md").length, 3);
    for (const document of ["README.vi.md", "web/README.md"]) {
      assert.deepEqual(browsers(document), browsers("README.md"), document);
    }
    const react = library.peerDependencies.react.replace(">=", "");
    assert.deepEqual(stated("web/README.md", /needs React (\d+) or later/g), [react]);
  });
});

/** The rows of the table below a heading, by the names in their first cells. */
const rowsOf = (document: string, heading: string): Map<string, string[]> => {
  const section =
    textOf(document)
      .split(`\n${heading}\n`)[1]
      ?.split(/^#{1,3} /m)[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("| `"));
  return new Map(
    lines.flatMap((line) => {
      const cells = line.slice(2, -2).split(" | ");
      return [...(cells[0] ?? "").matchAll(/`([\w-]+)`/g)].map(([, name = ""]) => [name, cells] as const);
    }),
  );
};

describe("the settings of the edge", () => {
  const sources = readdirSync(join(ROOT, "src", "config")).map((name) =>
    textOf(`src/config/${name}`)
      .split("#[cfg(test)]")[0]
      ?.replaceAll(/\s*\n\s*(?=\.)/g, ""),
  );
  const source = sources.join("\n");
  /** The variable that only tests set, to have a service of their own. */
  const OF_TESTS = ["CLOUDFLARE_TURN_API"];
  const rows = rowsOf("docs/OPERATIONS.md", "## Settings");

  test("are those that the code reads", () => {
    const read = [...source.matchAll(/settings\.(?:text|list|number|parsed|need|urls|addresses)\("([A-Z_]+)"/g)].map(
      ([, name = ""]) => name,
    );
    const names = [...new Set(read)].filter((name) => !OF_TESTS.includes(name));
    assert.ok(names.length > 30, `${names}`);
    const BINDINGS = ["ARCHIVE"];
    assert.deepEqual([...rows.keys()].filter((name) => !BINDINGS.includes(name)).sort(), names.sort());
  });

  test("have the numbers of the code as defaults", () => {
    const numbers = [...source.matchAll(/settings\.number\("([A-Z_]+)", ([A-Z_]+)\)/g)];
    let checked = 0;
    for (const [, name = "", constant = ""] of numbers) {
      const text = new RegExp(`const ${constant}: u\\d+ = ([\\d_ *]+);`).exec(source)?.[1];
      if (text === undefined) continue;
      const value = text.split("*").reduce((product, part) => product * Number(part.replaceAll("_", "")), 1);
      assert.equal(rows.get(name)?.[1]?.replaceAll(",", ""), `${value}`, name);
      checked += 1;
    }
    assert.ok(checked >= 7, `${checked} defaults`);
  });

  test("that set-up asks for are in docs/DEPLOY.md", () => {
    const asked = rowsOf("docs/DEPLOY.md", "## 3. The edge");
    assert.deepEqual(
      [...asked.keys()].filter((name) => /^[a-z-]+$/.test(name)).sort(),
      SETTINGS.map(({ name }) => name).sort(),
    );
  });
});

test("variables of relay, command, demo and scripts exist", () => {
  const known = ["relay-node/src", "cli/src"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".rs"))
      .map((name) => textOf(`${folder}/${name}`)),
  );
  const source = known.join("\n");
  const compose = textOf("compose.yaml");
  const scripts = readdirSync(join(ROOT, "scripts"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".mjs"))
    .map((name) => textOf(`scripts/${name}`))
    .join("\n");
  const exists = (name: string): boolean =>
    [
      [source, `"${name}"`],
      [compose, `\${${name}:-`],
      [scripts, `process.env.${name}`],
    ].some(([text = "", use = ""]) => text.includes(use));
  for (const document of DOCUMENTS) {
    for (const [name] of textOf(document).matchAll(/\bSTREAMCHAIN_[A-Z_]+\b/g)) {
      assert.ok(exists(name), `${document}: ${name}`);
    }
  }
});
