// Which streams a wallet's sign-in is for: the same cases as protocol/src/auth/siwe/resource.rs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { streamsAmong } from "../src/lib/signed/sign-in-streams.ts";
import { readSignIn } from "../src/lib/signed/sign-in-text.ts";

const source = readFileSync(new URL("../../protocol/src/auth/siwe/resource.rs", import.meta.url), "utf8");

/** The texts of one of the tests of the Rust file. */
const casesOf = (name: string): string[] => {
  const body = new RegExp(`fn ${name}\\(\\) \\{(.*?)\\n    \\}`, "s").exec(source)?.[1] ?? "";
  return [...body.matchAll(/"([a-zA-Z]+:[^"]*)"/g)].map(([, text = ""]) => text);
};

const AUTHORITIES = ["example.com", "localhost:8787", "[2001:db8::1]:8787"];

/** What a resource says for a text of any of the authorities. */
const judged = (resource: string): string[] => {
  const [domain = "", ...uris] = AUTHORITIES;
  const of = (uri: string): string[] => streamsAmong([resource], domain, `http://${uri}/sign-in`);
  return [...new Set(uris.flatMap(of))];
};

describe("resources of a sign-in", () => {
  test("name exactly a stream of ours", () => {
    const named = casesOf("exactly_a_stream_of_ours_is_named");
    assert.ok(named.length >= 4);
    const seen = named.map((resource) => {
      const authority = AUTHORITIES.find((one) => resource.toLowerCase().includes(one)) ?? "";
      return streamsAmong([resource], "example.com", `http://${authority}`);
    });
    assert.deepEqual(new Set(seen.flat()), new Set(["demo"]));
  });

  test("at other hosts are none of ours", () => {
    const others = casesOf("another_host_is_none_of_ours");
    assert.ok(others.length >= 8);
    for (const resource of others) assert.deepEqual(judged(resource), [], resource);
  });

  test("at our host that are no stream make the text void", () => {
    const wrong = casesOf("all_else_at_our_host_refuses_the_message");
    assert.ok(wrong.length >= 40);
    for (const resource of wrong) {
      const authority = AUTHORITIES.find((one) => resource.toLowerCase().includes(one.replace(/:\d+$/, ""))) ?? "";
      assert.throws(() => streamsAmong([resource], "example.com", `http://${authority}`), RangeError, resource);
    }
  });
});

describe("the times of a sign-in", () => {
  const text = (issued: string): string =>
    [
      "chat.example wants you to sign in with your Ethereum account:",
      `0x${"11".repeat(20)}`,
      "",
      "",
      "URI: https://chat.example",
      "Version: 1",
      "Chain ID: 1",
      "Nonce: 0123456789abcdef",
      `Issued At: ${issued}`,
      "Resources:",
      "- urn:streamchain:key:p256:A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW",
    ].join("\n");

  test("are read as the edge reads them", () => {
    for (const [written, ms] of [
      ["2000-02-29T23:59:59.9999z", 951_868_799_999],
      ["2021-09-30t18:25:24.5+02:00", 1_633_019_124_500],
      ["2021-09-30T10:55:24.05-05:30", 1_633_019_124_050],
      ["2016-12-31T23:59:60Z", 1_483_228_800_000],
    ] as const) {
      assert.equal(readSignIn(text(written))?.issued, Math.floor((ms - 60_000) / 1_000), written);
    }
    for (const written of [
      "2021-02-29T00:00:00Z",
      "2021-13-01T00:00:00Z",
      "2021-04-31T00:00:00Z",
      "2021-09-30T24:00:00Z",
      "2021-09-30T16:25:61Z",
      "2021-09-30T16:25:24+24:00",
      "2021-09-30T16:25:24.Z",
      "1969-12-31T23:59:59Z",
      "0000-01-01T00:00:00Z",
    ]) {
      assert.equal(readSignIn(text(written)), undefined, written);
    }
  });
});
