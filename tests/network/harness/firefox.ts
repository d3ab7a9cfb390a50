// Firefox on a host of the test network, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/): what
// Debian's Firefox speaks without a driver beside it. Only the tests' own remote control is a WebSocket.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { firefoxPath } from "../../../scripts/lib/setup/firefox.mjs";
import { eventually } from "../../harness/system.ts";
import type { Host } from "./hosts.ts";

/** The same on both sides of the bridge: Firefox refuses commands whose Host header names another port. */
const CONTROL_PORT = 9222;

/** No calls home, no first-run pages; console messages are not shown. */
const PREFERENCES = {
  "app.update.auto": false,
  "app.normandy.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.update.enabled": false,
  // Its viewer for JSON is no page of the edge: it may ask the edge for nothing.
  "devtools.jsonview.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.enabled": false,
  "network.trr.mode": 5,
};

/** Joins a port here to the same port of a host's own loopback device, which nobody else can reach. */
const bridgeTo = (host: Host, port: number): Promise<Server> => {
  const joint = `const s=require("net").connect(${port},"127.0.0.1");process.stdin.pipe(s).pipe(process.stdout);
    s.on("error",()=>process.exit(1));s.on("close",()=>process.exit(0))`;
  const [command, ...args] = host.command(process.execPath, "-e", joint);
  const server = createServer((socket) => {
    const far = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
    socket.pipe(far.stdin);
    far.stdout.pipe(socket);
    for (const stream of [socket, far.stdin]) stream.on("error", () => far.kill());
    socket.on("close", () => far.kill());
    far.on("exit", () => socket.destroy());
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
};

type Answer = { id: number; type: "success" | "error"; result?: unknown; error?: string; message?: string };

/** A running Firefox with one tab. */
export class Firefox {
  readonly #process: ChildProcess;
  readonly #bridge: Server;
  #socket: WebSocket | null = null;
  #nextId = 1;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #tab = "";

  private constructor(process: ChildProcess, bridge: Server) {
    this.#process = process;
    this.#bridge = bridge;
  }

  /** Starts it on a host, with a new profile under `folder`. It takes any certificate for a page. */
  static async start(host: Host, folder: string): Promise<Firefox> {
    const profile = mkdtempSync(join(folder, "firefox-"));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
    writeFileSync(join(profile, "user.js"), lines.join("\n"));
    const words = [firefoxPath() ?? "firefox-esr", "--headless", "--no-remote", "--profile", profile];
    const [command, ...args] = host.command(...words, `--remote-debugging-port=${CONTROL_PORT}`, "about:blank");
    const env = { ...process.env, HOME: profile, MOZ_HEADLESS: "1", MOZ_CRASHREPORTER_DISABLE: "1" };
    const firefox = new Firefox(spawn(command, args, { stdio: "ignore", env }), await bridgeTo(host, CONTROL_PORT));
    await firefox.#open();
    return firefox;
  }

  async #open(): Promise<void> {
    const url = `ws://127.0.0.1:${CONTROL_PORT}/session`;
    this.#socket = await eventually("Firefox takes commands", () => connected(url), 60_000);
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Answer);
    this.#socket.onclose = () => {
      for (const { reject } of this.#asked.values()) reject(new Error("Firefox went away"));
    };
    await this.#ask("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
    const { contexts } = (await this.#ask("browsingContext.getTree", {})) as { contexts: { context: string }[] };
    this.#tab = contexts[0]?.context ?? "";
  }

  #take({ id, type, result, error, message }: Answer): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (type === "success") asked?.resolve(result);
    else asked?.reject(new Error(`Firefox: ${error}: ${message}`));
  }

  #ask(method: string, params: object): Promise<unknown> {
    const id = this.#nextId++;
    const asked = Promise.withResolvers<unknown>();
    this.#asked.set(id, asked);
    this.#socket?.send(JSON.stringify({ id, method, params }));
    return asked.promise;
  }

  /** What it calls itself. */
  version(): Promise<string> {
    return this.evaluate("navigator.userAgent");
  }

  /** Runs this in every page from now on, before anything of the page itself. */
  async addInitScript(source: string): Promise<void> {
    await this.#ask("script.addPreloadScript", { functionDeclaration: `() => {${source}}` });
  }

  async goto(url: string): Promise<void> {
    await this.#ask("browsingContext.navigate", { context: this.#tab, url, wait: "complete" });
  }

  /** What an expression in the page is worth, once its promise is settled; it must be JSON. */
  async evaluate<T>(expression: string): Promise<T> {
    const wrapped = `(async () => JSON.stringify(await (${expression})) ?? "null")()`;
    const answer = (await this.#ask("script.evaluate", {
      expression: wrapped,
      target: { context: this.#tab },
      awaitPromise: true,
    })) as { type: string; result?: { value: string }; exceptionDetails?: { text: string } };
    if (answer.type !== "success") throw new Error(answer.exceptionDetails?.text ?? "the page threw something");
    return JSON.parse(answer.result?.value ?? "null") as T;
  }

  /** What a function in the page gives; it takes and gives JSON, and knows nothing but its argument and the page. */
  run<Argument, Result>(
    inPage: (argument: Argument) => Result | Promise<Result>,
    argument?: Argument,
  ): Promise<Result> {
    return this.evaluate<Result>(`(${inPage})(${JSON.stringify(argument) ?? ""})`);
  }

  stop(): void {
    this.#socket?.close();
    this.#process.kill();
    this.#bridge.close();
  }
}

const connected = (url: string): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error(`nobody answers at ${url}`));
  });
