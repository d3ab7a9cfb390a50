// What a page asked of the network, from the browser's own log (Chrome DevTools Protocol, domain Network).

import type { Page } from "playwright-core";

/** One HTTP request of a page. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  /** What it was for, as the browser names it: `Document`, `Script`, `Fetch`; `Other` is the browser's own doing. */
  readonly type: string;
}

/** The log of one page, from `networkLog` on. */
export interface NetworkLog {
  readonly requests: readonly LoggedRequest[];
  /** The URLs of the WebSockets that were opened. */
  readonly webSockets: readonly string[];
  /** The URLs of the WebTransport sessions that were opened. */
  readonly webTransports: readonly string[];
}

/** Starts the log; call it before the page goes anywhere. */
export const networkLog = async (page: Page): Promise<NetworkLog> => {
  const requests: LoggedRequest[] = [];
  const webSockets: string[] = [];
  const webTransports: string[] = [];
  const devtools = await page.context().newCDPSession(page);
  devtools.on("Network.requestWillBeSent", ({ request, type }) => {
    const { pathname, protocol } = new URL(request.url);
    if (protocol.startsWith("http")) {
      requests.push({ method: request.method, path: pathname, type: type ?? "" });
    }
  });
  devtools.on("Network.webSocketCreated", ({ url }) => webSockets.push(url));
  devtools.on("Network.webTransportCreated", ({ url }) => webTransports.push(url));
  await devtools.send("Network.enable");
  return { requests, webSockets, webTransports };
};

/** The requests that open sessions. */
export const sessionRequests = (log: NetworkLog): LoggedRequest[] =>
  log.requests.filter(({ method, path }) => method === "POST" && path.endsWith("/sessions"));
