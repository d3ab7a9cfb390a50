// The API against its own description: schemathesis sends what the description allows and what it does not, and every
// answer must be one that is described, and never a fault of ours.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { venvPython } from "../../scripts/lib/setup/python.mjs";
import { asOperator, bearer, type Edge, type FakeRelay, messagesOf, startEdge } from "../edge/harness.ts";

const DESCRIPTION = join(import.meta.dirname, "..", "..", "web", "static", "openapi.json");
const HOOKS = join(import.meta.dirname, "hooks.py");
const PROGRAM = join(dirname(venvPython("schemathesis")), "schemathesis");

/** The same requests each time, so that a failure is found again. */
const SEED = "20261121";

/** Random examples for each operation, beside those that cover what the description says: 2,000 requests in all. */
const EXAMPLES = "5";

/** A relay renews at least this often. */
const RENEW_MS = 2_000;

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
];

let edge: Edge;
let relay: FakeRelay;
let renewals: NodeJS.Timeout;

before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
  const { short, epoch } = await edge.streamOn(relay, "demo");
  await relay.batch(short, epoch, 0, messagesOf(Buffer.alloc(16, 1), 0, 5));
  renewals = setInterval(() => relay.register().catch(() => {}), RENEW_MS);
});
after(async () => {
  clearInterval(renewals);
  await edge.stop();
});

/** Runs schemathesis; its output when it found something. */
const run = (authorization: string | undefined, more: string[]): Promise<string | null> => {
  const args = ["run", DESCRIPTION, "--url", edge.url, "--checks", CHECKS.join(","), "--seed", SEED];
  args.push("--max-examples", EXAMPLES, "--phases", "coverage,fuzzing", "--mode", "all", "--no-color");
  // An event stream does not end within a request, and there is no chain here that could be read anew or tell its costs
  // (503). Revoking would leave the operator without its token. All have tests of their own.
  args.push(
    "--exclude-path-regex",
    "/(costs|events|replay|revoke)$",
    "--request-timeout",
    "20",
    "--suppress-health-check",
    "all",
  );
  if (authorization !== undefined) args.push("--header", `Authorization: ${authorization}`);
  return new Promise((resolve) => {
    const options = { cwd: edge.folder, env: { ...process.env, SCHEMATHESIS_HOOKS: HOOKS }, maxBuffer: 64 * 1_048_576 };
    execFile(PROGRAM, [...args, ...more], options, (error, stdout, stderr) =>
      resolve(error === null ? null : `${stdout}\n${stderr}`),
    );
  });
};

const holds = async (authorization: string | undefined, ...more: string[]): Promise<void> => {
  const found = await run(authorization, more);
  assert.equal(found, null, `schemathesis found:\n${found}`);
  assert.equal((await edge.get("/v1/health")).status, 200);
};

test("a stranger gets only what is described", () => holds(undefined, "--exclude-tag", "relays"));

test("the operator gets only what is described", () => holds(asOperator().authorization, "--exclude-tag", "relays"));

test("a relay gets only what is described", () => holds(bearer(relay.bearer).authorization, "--include-tag", "relays"));
