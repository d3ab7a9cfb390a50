// The dashboard and the alerts in docs/monitoring name metrics and labels that edge and relay have, and no others.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

const ROOT = join(import.meta.dirname, "..", "..");
const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");

interface Panel {
  title: string;
  type: string;
  targets?: { expr: string; legendFormat: string }[];
}

/** Labels that Prometheus itself gives each sample, or that belong to histograms. */
const USUAL_LABELS = ["instance", "job", "le"];

/** Every sample of the relay: its name, and its labels. */
const ofRelay = (): Map<string, string[]> => {
  const lines = read("relay-node", "src", "relay", "metrics", "expected.txt").split("\n");
  const samples = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const [, name = "", labels = ""] = /^(\w+)(?:\{([^}]*)\})? /.exec(line) ?? [];
      return [name, [...labels.matchAll(/(\w+)=/g)].map(([, label = ""]) => label)];
    }),
  );
};

/** Every sample of the edge, out of the table that it is written from. */
const ofEdge = (): Map<string, string[]> => {
  const source = read("edge-core", "src", "metrics.rs");
  const table = source.slice(source.indexOf("const METRICS"), source.indexOf("\n];"));
  const found = new Map<string, string[]>();
  for (const [, name = "", kind = "", given = ""] of table.matchAll(
    /\(\s*"([a-z0-9_]+)",\s*"[^"]*",\s*(\w+)(?:\(([^)]*)\))?,?\s*\)/g,
  )) {
    const texts = [...given.matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text);
    const labels =
      kind === "Requests" ? ["path", "class"] : ["Each", "Members"].includes(kind) ? texts.slice(1, 2) : [];
    found.set(`streamchain_edge_${name}`, labels);
  }
  return found;
};

const known = new Map([...ofRelay(), ...ofEdge()]);

/** What an expression names that does not exist. */
const unknownIn = (expression: string): string[] => {
  const names = [...expression.matchAll(/\bstreamchain_[a-z0-9_]+/g)].map(([name]) => name);
  const labels = new Set([...USUAL_LABELS, ...names.flatMap((name) => known.get(name) ?? [])]);
  const used = [
    ...[...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) =>
      list.split(",").map((one) => one.trim()),
    ),
    ...[...expression.matchAll(/(\w+)=~?"/g)].map(([, label = ""]) => label),
  ];
  return [...names.filter((name) => !known.has(name)), ...used.filter((label) => !labels.has(label))];
};

const panels = (JSON.parse(read("docs", "monitoring", "grafana.json")) as { panels: Panel[] }).panels;
const targets = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

describe("docs/monitoring", () => {
  test("the names that are compared with are there", () => {
    assert.ok(ofRelay().size > 30, `${ofRelay().size} metrics of the relay`);
    const rows = read("edge-core", "src", "metrics.rs").match(/^ {4}\(\s*$|^ {4}\("/gm)?.length ?? 0;
    assert.equal(ofEdge().size, rows, "every row of the edge's table was read");
    assert.ok(rows > 30);
    assert.deepEqual(
      [...ofEdge().keys()].filter((name) => ofRelay().has(name)),
      [],
      "edge and relay share no name",
    );
    assert.deepEqual(known.get("streamchain_errors_total"), ["code", "name"]);
    assert.deepEqual(known.get("streamchain_edge_relay_alive"), ["relay"]);
    assert.deepEqual(unknownIn('sum by (colour) (streamchain_nothing{path="x"})'), [
      "streamchain_nothing",
      "colour",
      "path",
    ]);
  });

  test("every panel of the dashboard has data", () => {
    assert.ok(targets.length > 40, `${targets.length} expressions`);
    for (const { title, expr, legendFormat } of targets) {
      assert.match(expr, /streamchain_/, title);
      assert.deepEqual(unknownIn(expr), [], title);
      const labels = new Set([
        ...USUAL_LABELS,
        ...[...expr.matchAll(/\bstreamchain_\w+/g)].flatMap(([name]) => known.get(name) ?? []),
      ]);
      for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        assert.ok(labels.has(label), `${title}: ${label}`);
    }
    for (const { title, type, targets: of = [] } of panels) assert.ok(type === "row" || of.length > 0, title);
  });

  test("every metric of the edge is on the dashboard", () => {
    const shown = targets.map(({ expr }) => expr).join("\n");
    const missing = [...ofEdge().keys()].filter((name) => !new RegExp(`\\b${name}\\b`).test(shown));
    assert.deepEqual(missing, ["streamchain_edge_chain_head"], "the height alone says nothing");
  });

  test("every alert can fire", () => {
    const alerts = read("docs", "monitoring", "alerts.yml");
    const expressions = [...alerts.matchAll(/^ +expr: (.+)$/gm)].map(([, expression = ""]) => expression);
    assert.equal(expressions.length, alerts.match(/- alert:/g)?.length);
    assert.ok(expressions.length >= 10);
    for (const expression of expressions) assert.deepEqual(unknownIn(expression), [], expression);
  });

  test("the scrape asks for what edge and relay serve", () => {
    const config = read("docs", "monitoring", "prometheus.yml");
    assert.match(config, /metrics_path: \/v1\/metrics/);
    assert.match(read("src", "routes.rs"), /GET "\/v1\/metrics"/);
    const jobs = [...config.matchAll(/job_name: ([\w-]+)/g)].map(([, job]) => job);
    const named = [...read("docs", "monitoring", "alerts.yml").matchAll(/job="([\w-]+)"/g)].map(([, job]) => job);
    for (const job of named) assert.ok(jobs.includes(job), job);
  });
});
