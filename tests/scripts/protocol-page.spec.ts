// docs/PROTOCOL.md and docs/SECURITY.md say what the code does: their tables of limits, times, errors, problems and rates
// are compared with the constants that the code uses, so that neither changes without the other.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");

const page = read("docs", "PROTOCOL.md");

/** The cells of each row of all tables between this heading and the next one of the same or a higher level. */
const rows = (heading: string, text = page): string[][] => {
  const begin = text.indexOf(`\n${heading}\n`);
  assert.notEqual(begin, -1, `the page has the heading ${heading}`);
  const level = heading.indexOf(" ");
  const rest = text.slice(begin + heading.length + 2);
  const next = rest.search(new RegExp(`^#{2,${level}} `, "m"));
  const section = next === -1 ? rest : rest.slice(0, next);
  const lines = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("|---"));
  return lines.map((line) => line.slice(2, -2).split(" | "));
};

/** The rows whose last cell names one constant. */
const constantRows = (): { stated: number; name: string }[] =>
  rows("## Limits").flatMap((cells) => {
    const name = cells.at(-1)?.match(/^`([A-Z_]+)`$/)?.[1];
    const stated = cells[1]?.match(/^([\d,]+)/)?.[1];
    return name && stated ? [{ stated: Number(stated.replaceAll(",", "")), name }] : [];
  });

/** Every numeric constant of a Rust source: numbers, shifts and earlier constants, multiplied and divided. */
const constants = (source: string): Map<string, number> => {
  const found = new Map<string, number>();
  const operand = (text: string): number => {
    const shifted = text.match(/^\(1 << (\d+)\) - 1$/)?.[1];
    if (shifted !== undefined) return 2 ** Number(shifted) - 1;
    return /^\d+$/.test(text) ? Number(text) : (found.get(text) ?? Number.NaN);
  };
  for (const [, name = "", text = ""] of source.matchAll(/const ([A-Z_]+): u\w+ = ([^;]+);/g)) {
    const [first = "", ...rest] = text.replaceAll(/(?<=\d)_(?=\d)| as u\w+/g, "").split(/([*/])/);
    let value = operand(first.trim());
    for (let at = 0; at < rest.length; at += 2) {
      const next = operand((rest[at + 1] ?? "").trim());
      value = rest[at] === "*" ? value * next : value / next;
    }
    found.set(name, value);
  }
  return found;
};

const limits = constants(read("protocol", "src", "limits.rs"));

describe("limits and times", () => {
  test("each row states the value of its constant", () => {
    const stated = constantRows();
    assert.ok(stated.length >= 20, `the page has ${stated.length} rows with a constant`);
    for (const { stated: value, name } of stated) assert.equal(value, limits.get(name), name);
  });

  test("every limit that another program must know is on the page", () => {
    const named = new Set(constantRows().map(({ name }) => name));
    const inner = [
      // How one part of ours cuts its work; no other program sees these.
      "BATCH_CLOSE_MESSAGES",
      "BATCH_CLOSE_BYTES",
      "MAX_SEGMENT_MESSAGES",
      "MAX_SEGMENT_BYTES",
      "MAX_SEGMENTS_PER_RUN",
      "MAX_EMITTED_MESSAGES",
      "MAX_EMITTED_BYTES",
      "EMITTED_OVERHEAD",
      "MAX_SESSION_TOKEN_CHARS",
      "CHOSEN_LIFE_MS",
    ];
    const missing = [...limits.keys()].filter((name) => !(named.has(name) || inner.includes(name)));
    assert.deepEqual(missing, []);
  });
});

test("the security model states the values of its constants", () => {
  const sources = ["relay-node/src", "edge-core/src", "protocol/src", "chain/src", "src"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".rs") && !/tests?\b/.test(name))
      .map((name) => read(folder, name)),
  );
  const known = sources.map(constants);
  let checked = 0;
  for (const cells of rows("## Shares and limits", read("docs", "SECURITY.md"))) {
    const stated = cells.slice(0, -1).join(" ").replaceAll(",", "");
    for (const [, name = ""] of (cells.at(-1) ?? "").matchAll(/`([A-Z_]+)`/g)) {
      const values = known.flatMap((one) => one.get(name) ?? []);
      assert.ok(values.length > 0, `${name} is a constant`);
      const forms = values.flatMap((value) => [`${value}`, `${value / 1024} KiB`, `${value / 1024 ** 2} MiB`]);
      assert.ok(
        forms.some((form) => new RegExp(`\\b${form}\\b`).test(stated)),
        `${name} is ${values.join(" or ")}`,
      );
      checked += 1;
    }
  }
  assert.ok(checked >= 20, `${checked} constants`);
});

test("the table of errors has the codes of the relay, in order", () => {
  const source = read("protocol", "src", "wire", "frame", "error_code.rs");
  const body = source.match(/pub enum ErrorCode \{([^}]*)\}/)?.[1] ?? "";
  const codes = [...body.matchAll(/^ +([A-Z]\w+) = (\d+),/gm)].map(([, name = "", code]) => {
    const words = name.replaceAll(/(?<!^)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).toLowerCase();
    return `${code} ${words}`;
  });
  const stated = rows("### What you get")
    .filter(([code = ""]) => /^\d+$/.test(code))
    .map(([code, name]) => `${code} ${name}`);
  assert.ok(codes.length >= 10);
  assert.deepEqual(stated, codes);
});

test("the table of rate limits has every limit and its quota", () => {
  const source = read("edge-core", "src", "rate_policy.rs");
  const names = new Map(
    [...source.matchAll(/Self::(\w+) => "([a-z-]+)"/g)].map(([, variant = "", name = ""]) => [variant, name]),
  );
  assert.ok(names.size >= 10);
  const table = rows("### Rate limits");
  const stated = new Map<string, number>();
  for (const [cell = "", , usual = ""] of table) {
    const amounts = [...usual.matchAll(/[\d,]+/g)].map(([text]) => Number(text.replaceAll(",", "")));
    [...cell.matchAll(/`([a-z-]+)`/g)].forEach(([, name = ""], index) => {
      stated.set(name, amounts[index] ?? amounts.at(-1) ?? Number.NaN);
    });
  }
  for (const [variants = "", amount = ""] of quotas(source)) {
    for (const [, variant = ""] of variants.matchAll(/Self::(\w+)/g)) {
      const name = names.get(variant) ?? variant;
      assert.equal(stated.get(name), Number(amount.replaceAll("_", "")), name);
      stated.delete(name);
    }
  }
  assert.deepEqual([...stated.keys()], []);
});

/** What `default_quota` gives: the variants of each arm, and their amount. */
const quotas = (source: string): [string, string][] => {
  const body = source.match(/const fn default_quota[^{]*\{([\s\S]*?)\n {4}\}/)?.[1] ?? "";
  const arms = [...body.matchAll(/((?:Self::\w+[\s|]*)+)=> (?:\(|Quota::new\()([\d_]+)/g)];
  assert.ok(arms.length > 0);
  return arms.map(([, variants = "", amount = ""]) => [variants, amount]);
};

test("keys are derived with the labels that the page names", () => {
  const source = read("protocol", "src", "auth", "keys.rs");
  const relay = source.slice(source.indexOf("impl RelayKey"), source.indexOf("pub struct SessionKeys"));
  const labels = [...relay.matchAll(/b"(streamchain\/[a-z-]+\/v1)"/g)].map(([, label = ""]) => label);
  assert.ok(labels.length >= 4);
  const inner = ["streamchain/key-id/v1"];
  for (const label of labels.filter((label) => !inner.includes(label))) {
    assert.ok(page.includes(`\`${label}\``), label);
  }
});

test("the table of notices has every kind", () => {
  const source = read("protocol", "src", "wire", "notice.rs");
  const kinds = [...(source.match(/const KINDS: [^=]*= \[([^\]]*)\]/)?.[1] ?? "").matchAll(/"(\w+)"/g)];
  assert.ok(kinds.length >= 5);
  const stated = rows("## Between relay and edge").map(([cell = ""]) => cell);
  for (const [, kind = ""] of kinds) assert.ok(stated.includes(`\`${kind}\``), kind);
});

test("every problem that the page names exists", () => {
  const source = read("src", "problem.rs") + read("protocol", "src", "wire", "relay_api.rs");
  const known = new Set([...source.matchAll(/"([a-z]+(?:-[a-z]+)*)"/g)].map(([, word]) => word));
  const named = [...page.matchAll(/`(4\d\d|5\d\d) ([a-z]+(?:-[a-z]+)*)/g)].map(([, , word]) => word);
  assert.ok(named.length >= 10);
  for (const word of named) assert.ok(known.has(word), word);
});

test("every link of a document leads to a file and a heading", () => {
  const documents = ["README.md", "README.vi.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
  documents.push(...readdirSync(join(ROOT, "docs")).map((name) => join("docs", name)));
  const slug = (heading: string): string =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
  for (const document of documents.filter((name) => name.endsWith(".md"))) {
    const text = read(document);
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const linked = file === "" ? text : readLinked(document, file);
      if (anchor === undefined) continue;
      const headings = [...linked.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => slug(heading));
      assert.ok(headings.includes(anchor), `${document}: ${target}`);
    }
  }
});

/** The text of a linked document; nothing of a folder or an image, which need only be there. */
const readLinked = (document: string, file: string): string => {
  const path = join(document, "..", file);
  if (file.endsWith(".md")) return read(path);
  const folder = join(ROOT, path, "..");
  const name = path.replace(/\/$/, "").split("/").at(-1) ?? "";
  assert.ok(readdirSync(folder).includes(name), `${document}: ${file}`);
  return "";
};
