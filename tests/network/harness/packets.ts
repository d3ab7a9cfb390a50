// What went over a wire (wire.py), and how often somebody had to wait for an answer from the other end.
//
// A round trip is counted where a packet goes out, and a packet that its arrival may have caused comes back. That is a
// count, not a time: a slow processor does not change it as long as it is faster than the wire.

import { readFileSync } from "node:fs";

/** One packet with a payload, or one that opens a TCP connection. */
export interface Packet {
  /** When the wire took it, ms since the Unix epoch. */
  readonly time: number;
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  readonly protocol: "udp" | "tcp";
  /** A message of STUN or TURN by its magic cookie, bare or framed by RFC 4571. */
  readonly stun: boolean;
}

/** Where a client sends to for one way. */
export interface Door {
  readonly protocol: "udp" | "tcp";
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
}

/** From when on to when packets count, ms since the Unix epoch. */
export interface Span {
  /** Connections that are older than this are another session's. */
  readonly begun: number;
  readonly from: number;
  readonly to: number;
}

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const IPV4_MIN_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const UDP_HEADER_BYTES = 8;
const PROTOCOLS: Readonly<Record<number, Packet["protocol"]>> = { 6: "tcp", 17: "udp" };
const TCP_SYN = 0x02;
const STUN_COOKIE = 0x2112a442;
/** Where the cookie is: behind type and length, and behind the length of a frame. */
const COOKIE_OFFSETS = [4, 6];

/** The packets of a file, oldest first, without TCP's bare acknowledgements and all that is neither TCP nor UDP. */
export const readPackets = (file: string): Packet[] => {
  const bytes = readFileSync(file);
  const packets: Packet[] = [];
  let at = FILE_HEADER_BYTES;
  while (at + PACKET_HEADER_BYTES <= bytes.length) {
    const time = bytes.readUInt32LE(at) * 1_000 + bytes.readUInt32LE(at + 4) / 1_000;
    const start = at + PACKET_HEADER_BYTES;
    const end = start + bytes.readUInt32LE(at + 8);
    if (end > bytes.length) break; // the wire is still writing it
    const packet = readPacket(time, bytes.subarray(start, end));
    if (packet !== null) packets.push(packet);
    at = end;
  }
  return packets;
};

const readPacket = (time: number, ip: Buffer): Packet | null => {
  const v6 = ip.readUInt8(0) >> 4 === 6;
  if (ip.length < (v6 ? IPV6_HEADER_BYTES : IPV4_MIN_HEADER_BYTES)) return null;
  const protocol = PROTOCOLS[ip.readUInt8(v6 ? 6 : 9)];
  const transport = ip.subarray(v6 ? IPV6_HEADER_BYTES : (ip.readUInt8(0) & 0xf) * 4);
  if (protocol === undefined) return null;
  const opens = protocol === "tcp" && (transport.readUInt8(13) & TCP_SYN) !== 0;
  const payload = transport.subarray(protocol === "tcp" ? (transport.readUInt8(12) >> 4) * 4 : UDP_HEADER_BYTES);
  if (payload.length === 0 && !opens) return null;
  return {
    time,
    from: v6 ? ipv6(ip.subarray(8, 24)) : ipv4(ip.subarray(12, 16)),
    fromPort: transport.readUInt16BE(0),
    to: v6 ? ipv6(ip.subarray(24, 40)) : ipv4(ip.subarray(16, 20)),
    toPort: transport.readUInt16BE(2),
    protocol,
    stun: COOKIE_OFFSETS.some((at) => payload.length >= at + 4 && payload.readUInt32BE(at) === STUN_COOKIE),
  };
};

const ipv4 = (bytes: Buffer): string => [...bytes].join(".");

/** As URL writes it, so that it compares with what people write. */
const ipv6 = (bytes: Buffer): string => {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
};

/**
 * How often, between two moments, a packet through this door had to be answered before the next could go.
 * @param delayMs how long the wire takes each way
 */
export const roundTrips = (packets: readonly Packet[], door: Door, span: Span, delayMs: number): number => {
  const { out, back } = conversation(packets, door, span);
  let now = span.from;
  for (let count = 0; ; count++) {
    const question = out.find(({ time }) => time >= now);
    const answer = question && back.find(({ time }) => time >= question.time + delayMs);
    if (answer === undefined || answer.time + delayMs > span.to) return count;
    now = answer.time + delayMs;
  }
};

/** What a session's own connections carried through a door. */
const conversation = (packets: readonly Packet[], door: Door, span: Span): { out: Packet[]; back: Packet[] } => {
  const through = packets.filter(({ protocol }) => protocol === door.protocol);
  const isDoor = (address: string, port: number): boolean =>
    door.ports.includes(port) && door.addresses.includes(address);
  const out = through.filter(({ to, toPort }) => isDoor(to, toPort));
  const born = new Map<number, number>();
  for (const { fromPort, time } of out) if (!born.has(fromPort)) born.set(fromPort, time);
  const own = (port: number): boolean => (born.get(port) ?? 0) >= span.begun;
  const sent = out.filter(({ fromPort }) => own(fromPort));
  // Checks go on beside everything else: from the first packet of DTLS on they are no step any more.
  const secured = sent.find(({ stun, time }) => !stun && door.protocol === "udp" && time >= span.from)?.time;
  const isStep = ({ stun, time }: Packet): boolean => !stun || secured === undefined || time < secured;
  return {
    out: sent.filter(isStep),
    back: through.filter(({ from, fromPort, toPort }) => isDoor(from, fromPort) && own(toPort)).filter(isStep),
  };
};
