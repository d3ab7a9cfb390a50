import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { english } from "../src/app/texts/english.ts";
import { textsFor } from "../src/app/texts/texts.ts";
import { vietnamese } from "../src/app/texts/vietnamese.ts";

/** Every text with its place, as `composer.send`. */
const places = (texts: object, above = ""): [string, unknown][] =>
  Object.entries(texts).flatMap(([name, value]) =>
    typeof value === "object" && value !== null
      ? places(value, `${above}${name}.`)
      : [[`${above}${name}`, value] as [string, unknown]],
  );

describe("the texts of the app", () => {
  test("the first preferred language that the app has is used", () => {
    assert.equal(textsFor(["vi-VN", "en"]), vietnamese);
    assert.equal(textsFor(["VI"]), vietnamese);
    assert.equal(textsFor(["fr", "vi", "en"]), vietnamese);
    assert.equal(textsFor(["en-GB", "vi"]), english);
  });

  test("English is used for other languages", () => {
    assert.equal(textsFor(["fr", "de"]), english);
    assert.equal(textsFor([]), english);
  });

  test("both languages have a text of the same kind at every place", () => {
    const kinds = (texts: object) => places(texts).map(([place, value]) => `${place}: ${typeof value}`);
    assert.deepEqual(kinds(vietnamese).sort(), kinds(english).sort());
  });

  test("no text is empty, and a text in words is translated", () => {
    const other = new Map(places(vietnamese));
    for (const [place, value] of places(english)) {
      if (typeof value !== "string") continue;
      const translated = other.get(place) as string;
      assert.notEqual(translated.trim(), "", place);
      // A single word may be the same in both (StreamChain, seq, byte); a sentence may not.
      if (value.split(" ").length > 2) assert.notEqual(translated, value, place);
    }
  });

  test("a text with figures shows them as its language writes them", () => {
    assert.equal(english.latency.ms(12.34), "12.3 ms");
    assert.equal(vietnamese.latency.ms(12.34), "12,3 ms");
    assert.equal(english.messages.count(1), "1 message");
    assert.equal(english.messages.count(1_200), "1,200 messages");
    assert.equal(vietnamese.messages.count(1_200), "1.200 tin nhắn");
  });
});
