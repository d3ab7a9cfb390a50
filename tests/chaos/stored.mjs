// Reads what the edge has stored, by the public HTTP API.

import { decodeSequence } from "../edge/cbor.ts";

/** @typedef {{ name: string, relay?: string, head: number, anchored: number, final: number }} StreamFigures */

const PAGE = 1_000;

/** @param {unknown} record `[seq, time, author, payload, …]` */
const messageOf = (record) => {
  const [seq, , , payload] = /** @type {[number, unknown, unknown, Uint8Array]} */ (record);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { seq, id: view.getUint32(0) * 2 ** 32 + view.getUint32(4) };
};

/** `GET /v1/streams/{stream}`. @param {string} edge @param {string} stream */
export const streamFigures = async (edge, stream) => {
  const response = await fetch(`${edge}/v1/streams/${stream}`);
  if (!response.ok) throw new Error(`stream ${stream}: ${response.status} ${await response.text()}`);
  return /** @type {Promise<StreamFigures>} */ (response.json());
};

/**
 * All messages of a stream with their groups, as `groupFaults` takes them.
 * @param {string} edge
 * @param {string} stream
 * @returns {Promise<import("./groups.mjs").SignedStream>}
 */
export const signedMessages = async (edge, stream) => {
  /** @type {import("./groups.mjs").SignedStream["messages"]} */
  const messages = [];
  /** A group stands on each page that has a message of it. @type {Map<number, import("./groups.mjs").Group>} */
  const groups = new Map();
  const figures = await fetch(`${edge}/v1/streams/${stream}`);
  const { id } = /** @type {{ id: import("./groups.mjs").Hex }} */ (await figures.json());
  for (let from = 0; ; ) {
    const response = await fetch(`${edge}/v1/streams/${stream}/messages?from=${from}&limit=${PAGE}&signatures=1`);
    if (!response.ok) throw new Error(`groups of ${stream}: ${response.status} ${await response.text()}`);
    const page = await response.json();
    messages.push(...page.messages);
    for (const group of page.groups) groups.set(group.seq, group);
    if (page.next === from || page.next >= page.head) break;
    from = page.next;
  }
  return { stream, id, messages, groups: [...groups.values()] };
};

/** All messages of a stream, as `judge` takes them. @param {string} edge @param {string} stream */
export const storedMessages = async (edge, stream) => {
  /** @type {{ seq: number, id: number }[]} */
  const messages = [];
  let head = 0;
  for (let from = 0; ; ) {
    const response = await fetch(`${edge}/v1/streams/${stream}/messages?from=${from}&limit=${PAGE}`, {
      headers: { accept: "application/cbor-seq" },
    });
    if (!response.ok) throw new Error(`messages of ${stream}: ${response.status} ${await response.text()}`);
    messages.push(...decodeSequence(new Uint8Array(await response.arrayBuffer())).map(messageOf));
    head = Number(response.headers.get("streamchain-head"));
    const next = Number(response.headers.get("streamchain-next"));
    if (next === from || next >= head) break;
    from = next;
  }
  return { stream, head, messages };
};
