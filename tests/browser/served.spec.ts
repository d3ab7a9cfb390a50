// What a stranger's page needs is served to any origin: the library as a module, its types, and the contract's interface.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { blankPage, sharedScene } from "../harness/pages.ts";

const scene = sharedScene();

/** A page that uses the library of an edge on another origin, as its documents say. */
const strangersPage = (edge: string): string => `<!doctype html><title>stranger</title><script type="module">
  import { connect } from ${JSON.stringify(`${edge}/client.js`)};
  const stream = connect({ stream: "from-elsewhere", edge: "${edge}" });
  stream.publish("hello from elsewhere").stored.then((seq) => {
    document.title = "stored " + seq;
  });
</script>`;

describe("a page of another origin", () => {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(strangersPage(scene.system.edge));
  });
  before(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  after(() => server.close());

  it("publishes with the served module", async () => {
    const page = await blankPage(scene.browser);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => document.title === "stored 0", null, { timeout: 30_000 });
    await page.context().close();
  });

  it("reads types and interface", async () => {
    const page = await blankPage(scene.browser);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const [types, abi] = await page.evaluate(
      async (edge) =>
        [
          await (await fetch(`${edge}/client.d.ts`)).text(),
          (await (await fetch(`${edge}/abi.json`)).json()) as {
            type: string;
            name: string;
            inputs: { name: string; indexed?: boolean }[];
          }[],
        ] as const,
      scene.system.edge,
    );
    assert.match(types, /declare class StreamConnection/);
    const anchored = abi.find(({ type, name }) => type === "event" && name === "Anchored");
    const indexed = anchored?.inputs.filter((input) => input.indexed).map(({ name }) => name);
    assert.deepEqual(indexed, ["stream", "anchorer"]);
    for (const name of ["open", "publish", "anchor"]) {
      assert.ok(
        abi.some((entry) => entry.type === "function" && entry.name === name),
        name,
      );
    }
    await page.context().close();
  });

  it("the types are text, not a film", async () => {
    const { headers } = await fetch(`${scene.system.edge}/client.d.ts`);
    assert.match(headers.get("content-type") ?? "", /^application\/typescript/);
  });
});
