// The Worker's entry, around what worker-build makes of the Rust code (edge.js beside the copy of this file in build/).
//
// What always holds: a request whose WebAssembly instance a panic took away is answered, and with a problem document as
// every other error is (problem.rs). The instance is gone with all that it was working on; worker-build's own shim makes
// a new one for the next request.

import { WorkerEntrypoint } from "cloudflare:workers";
import Edge from "./edge.js";

export * from "./edge.js";

/** What ends each of the requests that the instance is working on. */
const underWay = new Set();

// A panic comes here: the futures of Rust are run from a queue where nobody awaits them, and theirs never end.
const loseAll = (error) => {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  for (const lose of underWay) lose(error);
};
addEventListener("error", ({ error }) => loseAll(error));

const run = (job) => {
  try {
    job();
  } catch (error) {
    console.error(error);
    loseAll(error);
  }
};

// Each time that a future of Rust goes on it is queued here. The platform's own function crosses into C++ and back, which
// was a tenth of what a commit cost; a promise's job does the same.
globalThis.queueMicrotask = (job) => {
  Promise.resolve(job).then(run);
};

const PROBLEM = {
  type: "https://streamchain.dev/problems/internal",
  title: "Internal error",
  status: 500,
  detail: "this request was lost; it may be sent again",
};

/** As `cors.rs` sends it. */
const HEADERS = {
  "content-type": "application/problem+json",
  "access-control-allow-origin": "*",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy":
    "script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
};

const REQUEST_ID = "x-request-id";

/** The id that the lost request came with, or a new one: as `edge-core/src/request_id.rs` gives it. */
const requestId = (request) => {
  const given = request.headers.get(REQUEST_ID) ?? "";
  return /^[\w-]{8,64}$/.test(given) ? given : crypto.randomUUID().replaceAll("-", "").slice(0, 16);
};

export default class extends WorkerEntrypoint {
  async fetch(request) {
    let lose;
    const lost = new Promise((_, reject) => {
      lose = reject;
    });
    underWay.add(lose);
    try {
      return await Promise.race([new Edge(this.ctx, this.env).fetch(request), lost]);
    } catch (error) {
      const id = requestId(request);
      console.error(`request ${id}: lost:`, error);
      const body = request.method === "HEAD" ? null : JSON.stringify({ ...PROBLEM, requestId: id });
      return new Response(body, { status: PROBLEM.status, headers: { ...HEADERS, [REQUEST_ID]: id } });
    } finally {
      underWay.delete(lose);
    }
  }

  scheduled(event) {
    return new Edge(this.ctx, this.env).scheduled(event);
  }
}
