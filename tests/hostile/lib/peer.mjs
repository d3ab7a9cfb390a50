// A client of a relay that speaks STUN and nothing else: what an attacker without a WebRTC stack can do, and a probe of
// whether the relay still serves somebody new, since it begins a DTLS handshake with each one that it lets in.

import { createHash, createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { crc32 } from "node:zlib";
import { newAddress } from "./target.mjs";

const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const COOKIE = 0x2112a442;
const FINGERPRINT_XOR = 0x5354554e;
/** DTLS records begin with their content type, 20 to 63 (RFC 7983). */
const DTLS_FIRST = 20;
const DTLS_LAST = 63;

/** @param {number} type @param {Uint8Array} value */
const attribute = (type, value) => {
  const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  padded.writeUInt16BE(type, 0);
  padded.writeUInt16BE(value.length, 2);
  padded.set(value, 4);
  return padded;
};

/** A STUN message with its length set to cover `more` bytes behind its attributes. */
/** @param {Buffer} id @param {Buffer[]} attributes @param {number} more */
const stunHead = (id, attributes, more) => {
  const body = Buffer.concat(attributes);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(BINDING_REQUEST, 0);
  head.writeUInt16BE(body.length + more, 2);
  head.writeUInt32BE(COOKIE, 4);
  return Buffer.concat([head, id, body]);
};

/**
 * A connectivity check as a controlling ICE agent sends it.
 * @param {{ username: string, password: string, nominate?: boolean }} how
 */
export const check = ({ username, password, nominate = true }) => {
  const id = randomBytes(12);
  const attributes = [
    attribute(0x0006, Buffer.from(username)),
    attribute(0x0024, Buffer.from([0x6e, 0x7f, 0x1e, 0xff])),
  ];
  attributes.push(attribute(0x802a, randomBytes(8)));
  if (nominate) attributes.push(attribute(0x0025, Buffer.alloc(0)));
  const INTEGRITY_BYTES = 24;
  const signed = createHmac("sha1", password)
    .update(stunHead(id, attributes, INTEGRITY_BYTES))
    .digest();
  attributes.push(attribute(0x0008, signed));
  const FINGERPRINT_BYTES = 8;
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE((crc32(stunHead(id, attributes, FINGERPRINT_BYTES)) ^ FINGERPRINT_XOR) >>> 0);
  return stunHead(id, [...attributes, attribute(0x8028, crc)], 0);
};

/** @param {Buffer} datagram */
export const isSuccess = (datagram) => datagram.length >= 20 && datagram.readUInt16BE(0) === BINDING_SUCCESS;
/** @param {Buffer} datagram */
export const isDtls = (datagram) => (datagram[0] ?? 0) >= DTLS_FIRST && (datagram[0] ?? 0) <= DTLS_LAST;

/** An offer with an ICE user name and a fingerprint of its own. */
const newOffer = () => {
  const ufrag = randomBytes(3).toString("hex");
  const digest = createHash("sha256").update(randomBytes(32)).digest("hex").toUpperCase();
  const lines = [
    "v=0",
    "o=- 1150926720511033387 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "a=msid-semantic: WMS",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${randomBytes(18).toString("base64")}`,
    "a=ice-options:trickle",
    `a=fingerprint:sha-256 ${digest.match(/../g)?.join(":")}`,
    "a=setup:actpass",
    "a=mid:0",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
  ];
  return { ufrag, sdp: `${lines.join("\r\n")}\r\n` };
};

/**
 * @typedef {{ username: string, password: string, host: string, port: number }} SessionPath
 *
 * What an answer says about the relay.
 * @param {string} answer
 * @param {string} ufrag the offer's
 * @returns {SessionPath}
 */
const paths = (answer, ufrag) => {
  const line = (/** @type {string} */ name) => new RegExp(`^a=${name}:(\\S+)`, "m").exec(answer)?.[1] ?? "";
  const found = /^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host/im.exec(answer);
  if (!found) throw new Error("The answer has no UDP candidate of IPv4.");
  const [, host = "", port = ""] = found;
  return { username: `${line("ice-ufrag")}:${ufrag}`, password: line("ice-pwd"), host, port: Number(port) };
};

/**
 * Opens a session as a new guest, or as the token's holder, and gives what its checks need.
 * @param {import("./target.mjs").Target} target
 * @param {string} stream
 * @param {{ token?: string, address?: string }} how
 */
export const openSession = async (target, stream, how = {}) => {
  const { ufrag, sdp } = newOffer();
  const headers = { "content-type": "application/sdp" };
  const call = { address: newAddress(), ...how, headers, body: sdp };
  const answer = await target.send("POST", `/v1/streams/${stream}/sessions`, call);
  if (answer.status !== 201) throw new Error(`session: ${answer.status} ${answer.text}`);
  return paths(answer.text, ufrag);
};

/** A UDP socket that keeps what it gets. */
export class Peer {
  /** @type {Buffer[]} */
  received = [];
  sentBytes = 0;
  #socket = createSocket("udp4");

  /** @param {string} [address] of this machine: Linux has all of 127.0.0.0/8 */
  static async at(address = "127.0.0.1") {
    const peer = new Peer();
    peer.#socket.on("message", (datagram) => peer.received.push(datagram));
    peer.#socket.on("error", () => {});
    peer.#socket.bind(0, address);
    await once(peer.#socket, "listening");
    return peer;
  }

  get receivedBytes() {
    return this.received.reduce((sum, { length }) => sum + length, 0);
  }

  /** @param {Uint8Array} datagram @param {{ host: string, port: number }} to */
  send(datagram, { host, port }) {
    this.sentBytes += datagram.length;
    return new Promise((resolve) => this.#socket.send(datagram, port, host, resolve));
  }

  close() {
    this.#socket.close();
  }
}
