// A small Internet for one test file: a system in the tests' own namespace, behind names and addresses, and a host
// with a browser on it that reaches the system through one cable.
//
//   client host ── cable ──▶ edge.streamchain.test:443 (TLS, then the edge)
//                            relay.streamchain.test: UDP and TCP 7100 (direct), 3478 (TURN), TCP 443 (TURN over TLS)

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { chromiumPath } from "../../../scripts/lib/setup/chromium.mjs";
import { launchChromium } from "../../harness/browser.ts";
import { runningSystem, type TestSystem } from "../../harness/system.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { startFront } from "./front.ts";
import { Host, ip, type Line, plugIn, requirePrivateNetwork } from "./hosts.ts";

const EDGE_NAME = "edge.streamchain.test";
const RELAY_NAME = "relay.streamchain.test";

/** What the page of the edge is reached by. */
export const EDGE_URL = `https://${EDGE_NAME}`;

/** Edge and relay have different addresses, so that both can have port 443. */
export const EDGE = { v4: "10.77.0.1", v6: "2001:db8:77::1" };
export const RELAY = { v4: "10.77.0.2", v6: "2001:db8:77::2" };

export const RELAY_PORT = 7100;

/** A line with a network of its own: the server is the first host there, the client the tenth. */
export const lineOf = (net: number, families: { v4?: boolean; v6?: boolean }): Line => {
  const addresses = (host: number): string[] => [
    ...(families.v4 ? [`10.${net}.0.${host}/24`] : []),
    ...(families.v6 ? [`2001:db8:${net}::${host}/64`] : []),
  ];
  return { server: addresses(1), client: addresses(10) };
};

/** The line of a client with both families, of one with IPv4, and of one with IPv6 alone; no two share a network. */
export const CABLE = lineOf(78, { v4: true, v6: true });
export const FAR = lineOf(80, { v4: true, v6: true });
export const WIRE = lineOf(79, { v4: true });
export const IPV6_CABLE = lineOf(81, { v6: true });
export const IPV6_FAR = lineOf(82, { v6: true });
export const SHUT = lineOf(83, { v4: true });
export const FREE = lineOf(84, { v4: true });

/** What all tests of a file share, or all of a bench. */
export interface Internet {
  system: TestSystem;
  certificates: Certificates;
  /** A new host that knows the names; give it a line. */
  newHost: () => Promise<Host>;
  /** A Chromium on a host. */
  chromiumOn: (host: Host) => Promise<Browser>;
  /** A folder that goes with the tests. */
  folder: string;
}

const hostsFile = (): string => {
  const of = (name: string, { v4, v6 }: typeof EDGE): string => `${v4} ${name}\n${v6} ${name}\n`;
  return `127.0.0.1 localhost\n::1 localhost\n${of(EDGE_NAME, EDGE)}${of(RELAY_NAME, RELAY)}`;
};

/** The relay listens at all addresses it has, and announces those that clients reach. */
const relayArguments = ({ chain, key }: Certificates): string[] => [
  ...["--listen", `[${RELAY.v6}]:${RELAY_PORT}`, "--advertise", RELAY.v6],
  ...["--turn-tls-listen", `${RELAY.v4}:443,[${RELAY.v6}]:443`, "--turn-tls-host", RELAY_NAME],
  ...["--turn-tls-cert", chain, "--turn-tls-key", key],
];

/** Starts one system that is reached from hosts; `close` ends it with all that was made of it. */
export const startInternet = async (
  vars: Record<string, string> = {},
  relayArgs: readonly string[] = [],
): Promise<Internet & { close: () => Promise<void> }> => {
  const hosts: Host[] = [];
  const browsers: Browser[] = [];
  requirePrivateNetwork();
  for (const address of [EDGE, RELAY]) {
    ip("addr", "replace", `${address.v4}/32`, "dev", "lo");
    ip("addr", "replace", `${address.v6}/128`, "dev", "lo", "nodad");
  }
  const folder = mkdtempSync(join(tmpdir(), "streamchain-network-"));
  writeFileSync(join(folder, "hosts"), hostsFile());
  // There is no name server, and nobody shall wait for one: a closed port of its own answers at once.
  writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\n");
  const certificates = makeCertificates(folder, [EDGE_NAME, RELAY_NAME]);
  const system = await runningSystem({
    advertise: RELAY.v4,
    ports: { relay: RELAY_PORT },
    relayArgs: [...relayArguments(certificates), ...relayArgs],
    vars,
  });
  const fronts = await startFront([EDGE.v4, EDGE.v6], Number(new URL(system.edge).port), certificates);
  const scene: Internet = {
    system,
    certificates,
    folder,
    newHost: async () => {
      const host = await Host.start(folder, ["hosts", "resolv.conf"]);
      hosts.push(host);
      return host;
    },
    chromiumOn: async (host) => {
      const browser = await chromiumOn(host, scene);
      browsers.push(browser);
      return browser;
    },
  };
  const close = async (): Promise<void> => {
    await Promise.all(browsers.map((browser) => browser.close()));
    for (const host of hosts) host.stop();
    for (const front of fronts) front.close();
    await system.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...scene, close };
};

/** The same for all tests of the `describe` that this is called in. */
export const internet = (vars: Record<string, string> = {}, relayArgs: readonly string[] = []): Internet => {
  const scene = {} as Internet;
  let close = async (): Promise<void> => {};
  before(async () => {
    const { close: end, ...started } = await startInternet(vars, relayArgs);
    Object.assign(scene, started);
    close = end;
  });
  after(() => close());
  return scene;
};

const chromiumOn = (host: Host, { folder, certificates }: Internet): Promise<Browser> => {
  const wrapper = join(folder, `chromium-${host.pid}`);
  const words = host.command(chromiumPath() ?? "chromium").map((word) => `'${word}'`);
  writeFileSync(wrapper, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  chmodSync(wrapper, 0o755);
  return launchChromium([`--ignore-certificate-errors-spki-list=${certificates.authorityPin}`], wrapper);
};

/** A client's whole network: a host with a cable and a browser. */
export const clientOn = async (
  scene: Internet,
  name: string,
  line: Line,
  rules: readonly string[] = [],
): Promise<{ host: Host; browser: Browser }> => {
  const host = await scene.newHost();
  await plugIn(host, name, line);
  host.firewall(rules);
  return { host, browser: await scene.chromiumOn(host) };
};
