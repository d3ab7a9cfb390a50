// Hosts of a test network: Linux network namespaces with addresses, routes and a firewall of their own.
//
// The tests themselves run in a namespace that `npm test` made for them (scripts/lib/test/private-network.mjs); the
// hosts beside it live as long as the process that holds each, so nothing is left behind when a test is killed.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import { eventually } from "../../harness/system.ts";

const run = (command: string, args: readonly string[], input = ""): string =>
  execFileSync(command, args, { encoding: "utf8", input, stdio: ["pipe", "pipe", "pipe"] });

/** Fails unless this process has a network of its own, whose addresses nobody else uses. */
export const requirePrivateNetwork = (): void => {
  const links = JSON.parse(run("ip", ["-json", "link"])) as { ifname: string; link_type: string }[];
  if (links.some(({ link_type }) => link_type === "ether")) {
    throw new Error("these tests change addresses and routes: run them by `npm test -- network`");
  }
  ip("link", "set", "lo", "up");
};

/** `ip …` in the tests' own namespace. */
export const ip = (...args: string[]): string => run("ip", args);

/** A host of its own in the test network. */
export class Host {
  readonly #holder: ChildProcess;
  readonly #cables: string[] = [];

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** Starts a host that knows nobody yet but itself. @param files of `folder`, which it finds in its /etc */
  static async start(folder: string, files: readonly string[]): Promise<Host> {
    // `cat` ends with this process, for then its standard input does; and the namespace ends with it.
    const holder = spawn("unshare", ["--net", "--mount", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
    const own = readlinkSync("/proc/self/ns/mnt");
    await eventually("the host has its namespaces", async () => readlinkSync(`/proc/${holder.pid}/ns/mnt`) !== own);
    const host = new Host(holder);
    for (const file of files) host.run("mount", "--bind", `${folder}/${file}`, `/etc/${file}`);
    host.run("ip", "link", "set", "lo", "up");
    // An address that comes to life a second after its device is a change of network: Chromium drops what it is loading.
    // (Without probes to send, `dad_transmits`, the kernel still waits; only this makes an address usable at once.)
    for (const devices of ["all", "default"]) {
      host.run("sh", "-c", `echo 0 > /proc/sys/net/ipv6/conf/${devices}/accept_dad`);
    }
    return host;
  }

  /** The process that keeps the namespaces. */
  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** A command line that runs a command on this host. */
  command(...command: string[]): [string, ...string[]] {
    return ["nsenter", "--target", `${this.pid}`, "--net", "--mount", "--", ...command];
  }

  /** Runs a command on this host to its end; what it printed. */
  run(...command: string[]): string {
    const [program, ...args] = this.command(...command);
    return run(program, args);
  }

  /**
   * What this host does not let out: rules of nftables, as "meta l4proto udp drop". Replaces what was before. What a
   * host says to itself (a browser's remote control) goes on.
   */
  firewall(rules: readonly string[]): void {
    const chain = `type filter hook output priority 0; policy accept;\noifname "lo" accept\n${rules.join("\n")}`;
    const [program, ...args] = this.command("nft", "-f", "-");
    run(program, args, `flush ruleset\ntable inet firewall {\nchain out {\n${chain}\n}\n}\n`);
  }

  /** Takes note of a cable to the tests' namespace, for `stop`. @param device its name there */
  holdCable(device: string): void {
    this.#cables.push(device);
  }

  /** Ends the host and all that is in its network. Its cables go at once: the kernel takes its time with a namespace. */
  stop(): void {
    for (const device of this.#cables) ip("link", "del", device);
    this.#holder.stdin?.end();
    this.#holder.kill();
  }
}

/** The two ends of a line between the tests' namespace and a host, with prefix lengths. */
export interface Line {
  readonly server: readonly string[];
  readonly client: readonly string[];
}

const addAddress = (address: string): string[] => ["addr", "add", address, ...(address.includes(":") ? ["nodad"] : [])];

const addressOf = (withPrefix: string): string => withPrefix.split("/")[0] ?? "";

/** Gives a device its addresses at both ends and lets the host send everything through it, once nothing changes more. */
const bringUp = async (host: Host, line: Line, serverDevice: string, clientDevice: string): Promise<void> => {
  for (const address of line.server) ip(...addAddress(address), "dev", serverDevice);
  ip("link", "set", serverDevice, "up");
  for (const address of line.client) host.run("ip", ...addAddress(address), "dev", clientDevice);
  host.run("ip", "link", "set", clientDevice, "up");
  for (const server of line.server) routeAll(host, addressOf(server), clientDevice);
  await eventually(`the host's ${clientDevice} is up, with all its addresses`, async () => settled(host, clientDevice));
};

/** The parts of `ip -json addr` that say whether a device is still on its way up. */
interface DeviceState {
  readonly flags: readonly string[];
  readonly addr_info: readonly { readonly scope: string; readonly tentative?: boolean }[];
}

/** Whether a device has its carrier, which the kernel may tell up to a second late, and then its link-local address. */
const settled = (host: Host, device: string): boolean => {
  const [state] = JSON.parse(host.run("ip", "-json", "addr", "show", "dev", device)) as DeviceState[];
  if (!state?.flags.includes("LOWER_UP") || state.flags.includes("NO-CARRIER")) return false;
  return state.addr_info.some(({ scope }) => scope === "link") && !state.addr_info.some(({ tentative }) => tentative);
};

/** Everything that is not near goes through this gateway. */
const routeAll = (host: Host, gateway: string, device: string): void => {
  const family = gateway.includes(":") ? "-6" : "-4";
  host.run("ip", family, "route", "replace", "default", "via", gateway, "dev", device);
};

/** Joins a host to the tests' namespace with a perfect cable. @param name of the device, at both ends */
export const plugIn = async (host: Host, name: string, line: Line): Promise<void> => {
  ip("link", "add", "name", name, "type", "veth", "peer", "name", name, "netns", `${host.pid}`);
  host.holdCable(name);
  await bringUp(host, line, name, name);
};

/** A host gets another address in place of all that its device had, as on another network. */
export const renumber = (host: Host, device: string, address: string, gateway: string): void => {
  // The IPv6 routes as well: with them left, the kernel would go on from the link-local address.
  host.run("ip", "-6", "route", "flush", "dev", device);
  host.run("ip", "addr", "flush", "dev", device);
  host.run("ip", "addr", "add", address, "dev", device);
  routeAll(host, gateway, device);
};

/** What a wire does to packets. */
export interface WireQuality {
  /** Each packet is on its way for so long, in milliseconds. */
  readonly delayMs: number;
  /** Of a hundred packets so many are lost, in each direction. */
  readonly lossPercent: number;
  /** Where the random numbers start that choose the lost ones. */
  readonly seed: number;
}

/**
 * Joins a host to the tests' namespace with a bad wire (wire.py), in place of the routes it had.
 * @param record a file for every packet, as packets.ts reads it
 */
export const wireUp = async (
  host: Host,
  name: string,
  line: Line,
  quality: WireQuality,
  record?: string,
): Promise<ChildProcess> => {
  const script = new URL("wire.py", import.meta.url).pathname;
  const devices = [`${name}-server`, `${name}-client`] as const;
  const { delayMs, lossPercent, seed } = quality;
  const args = [script, ...devices, `${delayMs}`, `${lossPercent}`, `${seed}`, ...(record ? [record] : [])];
  const wire = spawn("python3", args, { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    wire.stdout.once("data", () => resolve());
    wire.once("exit", (code) => reject(new Error(`the wire ended with ${code}`)));
  });
  ip("link", "set", devices[1], "netns", `${host.pid}`);
  await bringUp(host, line, ...devices);
  return wire;
};
