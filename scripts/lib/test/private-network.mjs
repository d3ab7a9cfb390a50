// A network that tests may change: a Linux network namespace, in which the tests run and make hosts.

import { spawnSync } from "node:child_process";
import { Failure } from "../console.mjs";
import { which } from "../paths.mjs";
import { installDebian } from "../setup/debian.mjs";

/** Commands that the hosts and their lines are made with, and Debian's package of each. */
/** @type {Record<string, string>} */
const TOOLS = { ip: "iproute2", nft: "nftables", unshare: "util-linux", nsenter: "util-linux", openssl: "openssl" };

/** Root needs a network namespace only; other users need a user namespace too, in which they are root. */
const UNSHARE = process.getuid?.() === 0 ? ["unshare", "--net"] : ["unshare", "--user", "--map-root-user", "--net"];

const PROBE = `set -e
ip link set lo up
ip link add name probe type veth peer name probe2
nft 'table inet probe { chain out { type filter hook output priority 0; }; }'
ip tuntap add dev probe3 mode tun
`;

const ADVICE = [
  "The network tests make hosts out of Linux network namespaces. They need Linux with veth, nftables and TUN,",
  "and either root or unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu",
  "kernel.apparmor_restrict_unprivileged_userns=0). In a container: --cap-add NET_ADMIN --cap-add SYS_ADMIN",
  "--device /dev/net/tun.",
];

/** Many users have no sbin on their PATH. */
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

/**
 * The beginning of a command line whose rest runs in a new network that has nothing but a loopback device; fails,
 * saying what is missing, where there can't be one.
 * @returns {Promise<{ command: string[], env: { PATH: string } }>}
 */
export const privateNetwork = async () => {
  if (process.platform !== "linux") throw new Failure("There are no network namespaces on this system.", ADVICE);
  const missing = Object.keys(TOOLS).filter((name) => !which(name) && !which(`../sbin/${name}`));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => TOOLS[name] ?? name))];
    const advice = [`Debian, Ubuntu: apt-get install ${packages.join(" ")}`];
    await installDebian({ packages, why: `The network tests need ${missing.join(", ")}.`, advice });
  }
  const [command = "unshare", ...args] = UNSHARE;
  const probe = spawnSync(command, [...args, "sh", "-c", PROBE], { encoding: "utf8", env: { ...process.env, PATH } });
  if (probe.status !== 0) {
    throw new Failure(`No network of our own can be made here: ${probe.stderr?.trim() || probe.error}`, ADVICE);
  }
  return { command: UNSHARE, env: { PATH } };
};
