import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { find, folded, type SearchIndex } from "../src/app/docs/search.ts";

const index: SearchIndex = {
  pages: [
    ["/docs/networks", "Networks", "en"],
    ["/docs/", "StreamChain", "en"],
    ["/docs/vi/", "StreamChain", "vi"],
  ],
  sections: [
    [0, "", "Networks", "How clients get through."],
    [0, "turn", "TURN over TLS", "The relay listens on port 443 where only that is open."],
    [1, "", "StreamChain", `${"filler ".repeat(60)}the relay has a TURN server ${"filler ".repeat(60)}`],
    [2, "", "StreamChain", "Đường truyền được mã hóa; nút chuyển tiếp (relay)."],
  ],
};

const addresses = (query: string, language = "en"): string[] =>
  find(index, query, language).map(({ address }) => address);

describe("the search in the documents", () => {
  test("finds sections that have every word, headings first", () => {
    assert.deepEqual(addresses("turn"), ["/docs/networks#turn", "/docs/"]);
    assert.deepEqual(addresses("turn 443"), ["/docs/networks#turn"]);
    assert.deepEqual(addresses("turn nowhere"), []);
  });

  test("finds words by their beginning, not by their middle", () => {
    assert.deepEqual(addresses("listen"), ["/docs/networks#turn"]);
    assert.deepEqual(addresses("istens"), []);
  });

  test("takes letters without their accents", () => {
    assert.deepEqual(addresses("ma hoa duong"), ["/docs/vi/"]);
    assert.deepEqual(addresses("Mã HÓA"), ["/docs/vi/"]);
    assert.equal(folded("Đường").length, "Đường".length);
  });

  test("puts the page's language before others", () => {
    assert.equal(addresses("streamchain", "vi")[0], "/docs/vi/");
    assert.equal(addresses("streamchain", "en")[0], "/docs/");
  });

  test("shows the words where they stand in a long text", () => {
    const [, found] = find(index, "turn", "en");
    const text = found?.excerpt.join("") ?? "";
    assert.ok(text.startsWith("… ") && text.endsWith(" …") && text.length < 170, text);
    assert.equal(found?.excerpt[1], "TURN");
    assert.equal(found?.excerpt.length, 3);
  });

  test("asks for nothing when nothing is asked", () => {
    assert.deepEqual(addresses(" ,.- "), []);
    assert.deepEqual(addresses(""), []);
  });
});
