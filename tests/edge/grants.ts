// The grants that the edge gives for further channels, read as the relay reads them.

import { createHmac, hkdfSync } from "node:crypto";
import type { FakeRelay } from "./harness.ts";

/** What a grant says. */
interface Grant {
  readonly rights: number;
  readonly expires: number;
  readonly end: number;
  readonly connection: string;
  readonly session: string;
  readonly stream: string;
  readonly author: string;
}

const derive = (secret: Buffer, info: string): Buffer => Buffer.from(hkdfSync("sha256", secret, "", info, 32));

/** What a grant says; null when it is not by the relay's own key. */
export const readGrant = ({ id, secret }: FakeRelay, text: string): Grant | null => {
  const key = derive(derive(Buffer.from(secret, "hex"), `streamchain/relay/v1/${id}`), "streamchain/join/v1");
  const bytes = Buffer.from(text, "base64");
  const signature = createHmac("sha256", key).update(bytes.subarray(0, 66)).digest();
  if (bytes.length !== 82 || !bytes.subarray(66).equals(signature.subarray(0, 16))) return null;
  const hex = (from: number, to: number) => bytes.subarray(from, to).toString("hex");
  return {
    rights: bytes.readUInt8(1),
    expires: bytes.readUInt32BE(2),
    end: bytes.readUInt32BE(6),
    connection: hex(10, 18),
    session: hex(18, 26),
    stream: `0x${hex(26, 46)}`,
    author: `0x${hex(46, 66)}`,
  };
};
