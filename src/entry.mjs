// The Worker's entry, around what edge-bindgen makes of the Rust code.
//
// What always holds: a request whose WebAssembly instance a panic took away is answered, and with a problem document as
// every other error is (problem.rs). The instance is gone with all that it was working on; the next call makes a new one, and
// each object anew in it when it is asked.

import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import * as rust from "./rust.js";

/** `{ criticalError, instanceId }`: whether a panic took the WebAssembly instance away, and a number that each one has. */
const instance = rust.__worker_init_state();

/** Makes a new WebAssembly instance where the last one is gone. */
const revive = () => {
  if (!instance.criticalError) return;
  console.log("WebAssembly begins anew after a panic");
  rust.__wbg_reset_state();
  instance.criticalError = false;
};

/** What ends each of the requests that the instance is working on. */
const underWay = new Set();

// A panic comes here: the futures of Rust are run from a queue where nobody awaits them, and theirs never end.
const loseAll = (error) => {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  instance.criticalError = true;
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

/** Calls into Rust; what it throws may be the instance's end. */
const enter = async (call) => {
  try {
    return await call();
  } catch (error) {
    loseAll(error);
    throw error;
  }
};

/**
 * Asks an object by its method `call`: `Handle::call_method` in src/api/call.rs. While a new version is rolled out, an object may
 * still be of one without that method. The runtime refuses the call then, and the same is asked by HTTP.
 */
globalThis.callObject = async (stub, name, shape, id, body) => {
  try {
    return await stub.call(name, shape, id, body);
  } catch (error) {
    if (!(error instanceof TypeError && /\bRPC\b/.test(error.message))) throw error;
    const headers = { [REQUEST_ID]: id };
    return await stub.fetch(`https://internal/${name}/${shape}`, { method: "POST", headers, body });
  }
};

/** The class of a Durable Object, around the one that is written in Rust. */
const durable = (Inner) => {
  const inner = (outer) => {
    revive();
    if (outer.madeIn !== instance.instanceId) {
      outer.inner = new Inner(outer.state, outer.env);
      outer.madeIn = instance.instanceId;
    }
    return outer.inner;
  };
  class Outer extends DurableObject {
    constructor(state, env) {
      super(state, env);
      this.state = state;
    }

    fetch(request) {
      return enter(() => inner(this).fetch(request));
    }
  }
  if (Inner.prototype.call) {
    Outer.prototype.call = function (name, shape, id, body) {
      return enter(() => inner(this).call(name, shape, id, body));
    };
  }
  if (Inner.prototype.alarm) {
    Outer.prototype.alarm = function () {
      return enter(() => inner(this).alarm());
    };
  }
  return Outer;
};

// As wrangler.toml names them.
export const Account = durable(rust.Account);
export const Anchorer = durable(rust.Anchorer);
export const Archiver = durable(rust.Archiver);
export const Audit = durable(rust.Audit);
export const Batcher = durable(rust.Batcher);
export const Limits = durable(rust.Limits);
export const Listener = durable(rust.Listener);
export const Relays = durable(rust.Relays);
export const Stream = durable(rust.Stream);
export const Webhooks = durable(rust.Webhooks);

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
      revive();
      return await Promise.race([enter(() => rust.fetch(request, this.env, this.ctx)), lost]);
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
    revive();
    return enter(() => rust.scheduled(event, this.env, this.ctx));
  }
}
