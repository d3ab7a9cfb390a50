// What a publication is known to be while a request by HTTP has it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Credentials } from "../src/lib/http/credentials.ts";
import type { EdgeClient } from "../src/lib/http/edge-client.ts";
import { Marks } from "../src/lib/marks.ts";
import { HttpSender } from "../src/lib/publish/http-sender.ts";
import { Outbox } from "../src/lib/publish/outbox.ts";
import { claimProducer } from "../src/lib/publish/producer.ts";
import { settle, testPlatform, VirtualClock } from "./support/surroundings.ts";

test("a message being posted is not where a lost relay had it", async () => {
  const platform = testPlatform(new VirtualClock(), { storage: null, locks: null });
  const outbox = new Outbox(new Marks(), () => {});
  const place = { platform, origin: "https://edge.test", stream: "demo", author: undefined, key: undefined };
  const producer = await claimProducer(place);
  outbox.attach(producer);
  const publication = outbox.publish(new Uint8Array([1]));
  outbox.welcome(null, 0, false);
  outbox.nextMessage();
  outbox.accepted(0, 7, 8);
  outbox.channelLost();
  outbox.forgetSeqs(); // the edge says that the stream has another epoch
  let posts = 0;
  const sender = new HttpSender({
    platform,
    edge: { publish: () => new Promise(() => posts++) } as unknown as EdgeClient,
    stream: "demo",
    outbox,
    credentials: { author: "0x", needed: async () => "token" } as unknown as Credentials,
    producer: () => producer,
    onFailed: () => {},
    onBadKey: () => {},
    onStored: () => {},
  });
  sender.start();
  await settle();
  assert.equal(posts, 1);
  sender.stop();
  outbox.welcome(0, 20, true); // stored meanwhile: the edge had handed it to the next relay
  assert.deepEqual([publication.state, await publication.stored], ["stored", null]);
});
