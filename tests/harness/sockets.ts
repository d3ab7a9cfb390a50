// Which TCP ports a process listens on: what cannot be connected to cannot be asked anything over HTTP.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The state LISTEN in /proc/net/tcp. */
const LISTENING = "0A";

const listeningByInode = (pid: number): Map<string, number> => {
  const ports = new Map<string, number>();
  for (const table of ["tcp", "tcp6"]) {
    const rows = readFileSync(`/proc/${pid}/net/${table}`, "utf8").trim().split("\n").slice(1);
    for (const row of rows) {
      const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
      if (state === LISTENING) ports.set(`socket:[${inode}]`, Number.parseInt(local.split(":").at(-1) ?? "", 16));
    }
  }
  return ports;
};

const byProc = (pid: number): number[] => {
  const listening = listeningByInode(pid);
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return open.flatMap((target) => listening.get(target) ?? []);
};

const byLsof = (pid: number): number[] => {
  const { stdout } = spawnSync("lsof", ["-nP", "-a", "-p", `${pid}`, "-iTCP", "-sTCP:LISTEN", "-Fn"], {
    encoding: "utf8",
  });
  return [...stdout.matchAll(/:(\d+)$/gm)].map(([, port]) => Number(port));
};

/** The TCP ports that the process listens on. */
export const listeningTcpPorts = (pid: number): number[] => (process.platform === "linux" ? byProc : byLsof)(pid);
