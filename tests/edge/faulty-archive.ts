// An archive that fails as a test says.

import type { EdgeOptions } from "./harness.ts";

/** Asks the test before each operation on the bucket whether it may go on. */
const FAULTY = `
  import { env } from "cloudflare:workers";
  const prototype = Object.getPrototypeOf(env.ARCHIVE);
  for (const method of ["get", "put", "delete"]) {
    const original = prototype[method];
    prototype[method] = async function (key, ...values) {
      const answer = await fetch("http://test.invalid/" + method, { method: "POST", body: String(key) });
      if (answer.status !== 200) throw new Error("the bucket fails: " + method);
      const done = await original.call(this, key, ...values);
      if ((await answer.text()) === "fail behind") throw new Error("the bucket's answer was lost");
      return done;
    };
  }
  export * from "./index.js";
  export { default } from "./index.js";
`;

/** Fails before the operation, or behind it: it was done. */
export type Fault = "before" | "behind" | undefined;

/** The options of an edge whose archive fails as `faultOf` says of each operation and name. */
export const faultyArchive = (
  faultOf: (method: "get" | "put" | "delete", key: string) => Fault,
): Pick<EdgeOptions, "around" | "outbound"> => ({
  around: [{ type: "ESModule", name: "faulty.js", contents: FAULTY }],
  outbound: async (request) => {
    const [, method] = /^http:\/\/test\.invalid\/(\w+)$/.exec(request.url) ?? [];
    if (method === undefined) return new Response("the chain is down", { status: 503 });
    const fault = faultOf(method as "get", await request.text());
    return new Response(fault === "behind" ? "fail behind" : "", { status: fault === "before" ? 500 : 200 });
  },
});
