// What stands before the edge on the open Internet: a TLS server on port 443 that passes everything on.

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createServer, type Server } from "node:tls";
import type { Certificates } from "./certificates.ts";

const HTTPS = 443;

/** Passes what comes to these addresses' port 443 to a port of this machine. */
export const startFront = (addresses: readonly string[], port: number, certificates: Certificates) =>
  Promise.all(addresses.map((address) => listen(address, port, certificates)));

const listen = (address: string, port: number, { chain, key }: Certificates): Promise<Server> => {
  const server = createServer({ cert: readFileSync(chain), key: readFileSync(key) }, (client) => {
    const edge = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [client, edge],
      [edge, client],
    ] as const) {
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(HTTPS, address, () => resolve(server));
  });
};
