// The app's own files: headers that leave nothing to guess, under which the page works without a complaint.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { blankPage, openApp, sharedScene } from "../harness/pages.ts";

const scene = sharedScene();

describe("the app's files", () => {
  it("carry a strict policy and say what they are", async () => {
    for (const path of ["/", "/app.js", "/app.css", "/favicon.svg", "/client.js"]) {
      const { headers } = await fetch(`${scene.system.edge}${path}`);
      const policy = headers.get("content-security-policy") ?? "";
      for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
        assert.ok(policy.includes(rule), `${path}: ${rule} in ${policy}`);
      }
      // The one exception is WebAssembly, in which the library hashes: no text becomes a script by it.
      assert.doesNotMatch(policy.replace("'wasm-unsafe-eval'", ""), /unsafe|[ ;]\*[ ;]/, path);
      assert.equal(headers.get("x-content-type-options"), "nosniff", path);
      assert.equal(headers.get("referrer-policy"), "no-referrer", path);
      assert.equal(headers.get("cross-origin-opener-policy"), "same-origin", path);
      assert.match(headers.get("permissions-policy") ?? "", /camera=\(\), microphone=\(\)/, path);
    }
  });

  it("are all that there is: another path is 404", async () => {
    assert.equal((await fetch(`${scene.system.edge}/any/other/path`)).status, 404);
  });

  it("include the API's description, for any origin", async () => {
    const answer = await fetch(`${scene.system.edge}/openapi.json`);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
    assert.equal(((await answer.json()) as { openapi: string }).openapi, "3.1.0");
  });
});

describe("the page under its policy", () => {
  it("connects, publishes, and breaks no rule", async () => {
    const page = await blankPage(scene.browser);
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (/Content Security Policy|TrustedHTML|TrustedScript/i.test(message.text())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await openApp(scene.browser, scene.system, "under-policy", page);
    await page.getByTestId("composer").fill("within the rules");
    await page.getByTestId("send").click();
    const message = page.getByTestId("message").filter({ hasText: "within the rules" });
    await message.waitFor();
    await message.click();
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it("runs no script but its own", async () => {
    const page = await openApp(scene.browser, scene.system, "under-policy");
    const ran = await page.evaluate(async () => {
      const script = document.createElement("script");
      try {
        script.textContent = "window.intruded = true";
        document.head.append(script);
      } catch {
        // Trusted Types refuse the text already.
      }
      return "intruded" in window;
    });
    assert.equal(ran, false);
    await page.context().close();
  });
});
