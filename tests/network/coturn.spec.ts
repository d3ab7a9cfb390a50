// Another TURN server than the relay's own: coturn, which shares a secret with the edge.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { coturnPath } from "../../scripts/lib/setup/coturn.mjs";
import { blankPage } from "../harness/pages.ts";
import { eventually } from "../harness/system.ts";
import { ip } from "./harness/hosts.ts";
import { CABLE, clientOn, EDGE_URL, internet } from "./harness/network.ts";
import { bothWays, pathOf } from "./harness/paths.ts";

const COTURN = "10.77.0.3";
/** Not the usual one, which the relay has on all addresses of this machine. */
const PORT = 3479;
const SECRET = randomBytes(16).toString("hex");
const URLS = [`turn:${COTURN}:${PORT}?transport=udp`, `turn:${COTURN}:${PORT}?transport=tcp`];

const scene = internet({ ICE_SERVERS: URLS.join(","), TURN_SECRET: SECRET });

const listens = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, host, () => resolve(true));
    socket.once("error", () => resolve(false)).once("close", () => socket.destroy());
    socket.once("connect", () => socket.destroy());
  });

/** coturn as docs/CONNECTIVITY.md sets it up. */
const startCoturn = (): ChildProcess =>
  spawn(
    coturnPath() ?? "turnserver",
    [
      ...["-n", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout", "--pidfile", `${scene.folder}/coturn.pid`],
      ...["--listening-ip", COTURN, "--relay-ip", COTURN, "--listening-port", `${PORT}`],
      ...["--use-auth-secret", `--static-auth-secret=${SECRET}`, "--realm=streamchain.test"],
      ...["--allow-loopback-peers", `--userdb=${scene.folder}/coturn.db`],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );

describe("coturn as the configured TURN server", () => {
  let coturn: ChildProcess;
  let page: Page;

  before(async () => {
    ip("addr", "add", `${COTURN}/32`, "dev", "lo");
    coturn = startCoturn();
    await eventually("coturn listens", () => listens(COTURN, PORT));
    const { browser } = await clientOn(scene, "coturn", CABLE);
    page = await blankPage(browser);
    await page.goto(`${EDGE_URL}/v1/health`);
  });

  after(() => {
    coturn?.kill();
  });

  for (const transport of ["udp", "tcp"]) {
    it(`takes the edge's credentials over ${transport.toUpperCase()}`, async (test) => {
      const servers = `^turn:${COTURN.replaceAll(".", "\\.")}:.*=${transport}`;
      const { openMs, path } = await bothWays(page, `coturn-${transport}`, { policy: "relay", servers });
      test.diagnostic(`open after ${openMs.toFixed(1)} ms, ${pathOf(path)} to ${path?.remoteAddress}`);
      assert.equal(pathOf(path), `TURN over ${transport.toUpperCase()}`);
      assert.match(path?.localAddress ?? "", /^10\.77\.0\.3:/, "coturn's own address is the relayed one");
    });
  }
});
