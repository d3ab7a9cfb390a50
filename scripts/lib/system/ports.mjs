// Ports: finds free ones, and the process that uses one.

import { createSocket } from "node:dgram";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { codeOf, Failure, messageOf } from "../console.mjs";
import { ask } from "../run.mjs";

/** @typedef {"tcp" | "udp"} Transport */

export const LOCALHOST = "127.0.0.1";

/** The port of a bound socket. @param {import("node:net").AddressInfo | string | null} address */
const portOf = (address) => (typeof address === "object" ? (address?.port ?? 0) : 0);

/** @param {number} port @returns {Promise<number>} */
const bindTcp = (port) =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, LOCALHOST, () => {
      const bound = portOf(server.address());
      server.close(() => resolve(bound));
    });
  });

/** @param {number} port @returns {Promise<number>} */
const bindUdp = (port) =>
  new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.bind(port, LOCALHOST, () => {
      const bound = socket.address().port;
      socket.close(() => resolve(bound));
    });
  });

const bind = { tcp: bindTcp, udp: bindUdp };

/**
 * Ports below those that systems give out by themselves (from 32,768 on Linux, 49,152 elsewhere): no connection that a process
 * opens takes one of them before the part that it is meant for listens.
 */
const FIXED_PORTS = { first: 15_000, count: 15_000 };

const MAX_TRIES = 100;

/**
 * The first of `count` ports one after the other that were free a moment ago.
 * @param {number} count @param {readonly Transport[]} transports @returns {Promise<number>}
 */
const freeRange = async (count, transports) => {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const first = FIXED_PORTS.first + Math.floor(Math.random() * FIXED_PORTS.count);
    const all = Array.from({ length: count }, (_, i) => transports.map((transport) => bind[transport](first + i)));
    const results = await Promise.allSettled(all.flat());
    if (results.every(({ status }) => status === "fulfilled")) return first;
  }
  throw new Failure(`No free ports were found, ${count} one after the other, in ${MAX_TRIES} tries.`);
};

/** A port that was free a moment ago. @param {Transport} transport */
export const freePort = (transport) => freeRange(1, [transport]);

/**
 * The first of `count` ports one after the other that were free a moment ago, for UDP and TCP: a relay has one for each thread.
 * @param {number} count
 */
export const freePorts = (count) => freeRange(count, ["udp", "tcp"]);

const LISTENING = "0A";

/**
 * The socket inodes that have a local port, from /proc/net: Linux only.
 * @param {Transport} transport
 * @param {number} port
 */
const inodesOf = (transport, port) => {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set();
  for (const table of [transport, `${transport}6`]) {
    const rows = readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1);
    for (const row of rows) {
      const fields = row.trim().split(/\s+/);
      if (fields[1]?.split(":")[1] !== wanted) continue;
      if (transport === "tcp" && fields[3] !== LISTENING) continue;
      inodes.add(`socket:[${fields[9]}]`);
    }
  }
  return inodes;
};

/** @param {number | string} pid @param {Set<string>} inodes */
const holdsAny = (pid, inodes) => {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
};

/** Whether a process listens on this TCP port (Linux only). @param {number | string} pid @param {number} port */
export const listensOn = (pid, port) => holdsAny(pid, inodesOf("tcp", port));

/** @param {Transport} transport @param {number} port */
const ownerByProc = (transport, port) => {
  const inodes = inodesOf(transport, port);
  const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && holdsAny(name, inodes));
  if (!pid) return null;
  const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  return `process ${pid}: ${command.slice(0, 80)}`;
};

/** @param {Transport} transport @param {number} port */
const ownerByLsof = (transport, port) => {
  const pid = ask("lsof", ["-nP", "-t", transport === "tcp" ? `-iTCP:${port}` : `-iUDP:${port}`]);
  return pid && `process ${pid}: ${ask("ps", ["-o", "comm=", "-p", pid]) ?? "?"}`;
};

/** "process 123: command", or a phrase that says we can't tell. @param {Transport} transport @param {number} port */
const ownerOf = (transport, port) => {
  const unknown = "a process of another user";
  try {
    return (process.platform === "linux" ? ownerByProc : ownerByLsof)(transport, port) ?? unknown;
  } catch {
    return unknown;
  }
};

/**
 * Fails when a port that a part needs is taken, saying by whom and how to use another.
 * @param {{ what: string, transport: "tcp" | "udp", port: number, flag: string }} need
 */
export const requireFree = async ({ what, transport, port, flag }) => {
  try {
    await bind[transport](port);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") {
      throw new Failure(`The ${what} can't use ${transport} port ${port}: ${messageOf(error)}`, [
        `Choose another: ${flag} N`,
      ]);
    }
    throw new Failure(`The ${what} needs ${transport} port ${port}, and it is in use by ${ownerOf(transport, port)}.`, [
      `End that, or choose another port: npm start -- ${flag} N`,
    ]);
  }
};
