// The round trip of a datagram over loopback to another process and back.

import { fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const SERVER = fileURLToPath(new URL("echo-server.mjs", import.meta.url));
/** How often due datagrams are sent. */
const TICK_MS = 5;

/**
 * Round trips in ms of `count` datagrams of `bytes` bytes at `perSecond`.
 * @param {{ count: number, bytes: number, perSecond: number }} how
 */
export const udpEchoTimes = async ({ count, bytes, perSecond }) => {
  const server = fork(SERVER);
  const [{ port }] = await once(server, "message");
  const socket = createSocket("udp4");
  /** @type {number[]} */
  const times = [];
  socket.on("message", (echo) => times.push(performance.now() - echo.readDoubleBE(0)));
  const start = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - start) * perSecond) / 1_000));
    for (; sent < due; sent++) {
      const datagram = Buffer.alloc(bytes);
      datagram.writeDoubleBE(performance.now());
      socket.send(datagram, port, "127.0.0.1");
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await new Promise((resolve) => setTimeout(resolve, 10 * TICK_MS));
  socket.close();
  server.kill();
  return times;
};
