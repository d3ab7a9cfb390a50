// A stranger's web server: files of a folder, or texts, on an origin that is not the edge's.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};

/** A site that is being served. */
export interface Site {
  readonly origin: string;
  stop(): Promise<void>;
}

/** Serves the files of a folder; `texts` are files too, by their paths, and come first. */
export const serve = async (folder: string, texts: Record<string, string> = {}): Promise<Site> => {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://site");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const body = texts[path] ?? (await readFile(join(folder, normalize(path))).catch(() => null));
    response.writeHead(body === null ? 404 : 200, { "content-type": TYPES[extname(path)] ?? "text/plain" });
    response.end(body ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
