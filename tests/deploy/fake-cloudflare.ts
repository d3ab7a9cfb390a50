// Cloudflare's API as far as a deployment asks it: D1 (a real SQLite behind it), R2, the Worker's script, its assets and secrets.
// What it does not know is answered 404, with the code of what is not there.

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";

const ACCOUNT = "0123456789abcdef0123456789abcdef";
const DATABASE_ID = "11111111-2222-4333-8444-555555555555";

interface Request {
  method: string;
  path: string;
  body: Buffer;
}

type Answer = { result: unknown; status?: number; code?: number };

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

export class FakeCloudflare {
  /** The id of the one database. */
  readonly databaseId = DATABASE_ID;
  readonly databases = new Map<string, DatabaseSync>();
  readonly buckets = new Set<string>();
  readonly secrets = new Map<string, string>();
  /** Requests that changed something, in order. */
  readonly changes: string[] = [];
  /** The script's metadata, once it is uploaded. */
  script: { bindings: { name: string; type: string }[] } | undefined;
  /** Answers the next request of this path with an error. */
  failing: string | undefined;
  readonly #server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://fake").pathname.replace(`/accounts/${ACCOUNT}`, "");
    const {
      result,
      status = 200,
      code,
    } = this.#answer({
      method: request.method ?? "",
      path,
      body: await bodyOf(request),
    });
    const errors = status < 400 ? [] : [{ code: code ?? 10_000, message: `refused by the fake: ${path}` }];
    const result_info = { page: 1, per_page: 100, count: 0, total_count: 0 };
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ success: status < 400, errors, messages: [], result, result_info }));
  });

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** What makes wrangler ask this server. */
  env(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo;
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}`,
      CLOUDFLARE_API_TOKEN: "token",
      CLOUDFLARE_ACCOUNT_ID: ACCOUNT,
      STREAMCHAIN_EDGE_BUILT: "1",
    };
  }

  #answer(request: Request): Answer {
    const { method, path } = request;
    if (this.failing !== undefined && path.includes(this.failing)) {
      this.failing = undefined;
      return { result: null, status: 403 };
    }
    if (method !== "GET" && !path.endsWith("/query")) this.changes.push(`${method} ${path}`);
    return this.#storage(request) ?? this.#worker(request) ?? { result: null, status: 404, code: 10_007 };
  }

  #storage({ method, path, body }: Request): Answer | undefined {
    if (path === "/d1/database" && method === "GET") {
      return { result: [...this.databases.keys()].map((name) => ({ name, uuid: DATABASE_ID, version: "production" })) };
    }
    if (path === "/d1/database") {
      const { name } = JSON.parse(body.toString());
      this.databases.set(name, new DatabaseSync(":memory:"));
      return { result: { name, uuid: DATABASE_ID, version: "production" } };
    }
    if (path === `/d1/database/${DATABASE_ID}/query`) return this.#query(JSON.parse(body.toString()));
    if (path === "/r2/buckets" && method === "GET") {
      const buckets = [...this.buckets].map((name) => ({ name, creation_date: "2026-01-01T00:00:00Z" }));
      return { result: { buckets } };
    }
    const bucket = /^\/r2\/buckets\/([\w-]+)$/.exec(path)?.[1];
    if (bucket !== undefined && this.buckets.has(bucket)) return { result: { name: bucket } };
    if (path === "/r2/buckets") {
      this.buckets.add(JSON.parse(body.toString()).name);
      return { result: {} };
    }
    return undefined;
  }

  #query({ sql }: { sql: string }): Answer {
    const [database] = this.databases.values();
    if (!database) return { result: null, status: 404 };
    if (/^\s*(select|pragma)/i.test(sql)) {
      return { result: [{ results: database.prepare(sql).all(), success: true, meta: {} }] };
    }
    database.exec(sql);
    return { result: [{ results: [], success: true, meta: {} }] };
  }

  #worker({ method, path, body }: Request): Answer | undefined {
    const isThere = this.script !== undefined;
    if (/^\/workers\/services\/streamchain$/.test(path)) {
      if (!isThere) return { result: null, status: 404, code: 10_090 };
      const script = { last_deployed_from: "wrangler", tag: "fake", handlers: ["fetch", "scheduled"] };
      return { result: { default_environment: { environment: "production", script }, environments: [] } };
    }
    if (path === "/workers/scripts/streamchain/secrets" && method === "GET") {
      if (!isThere) return { result: null, status: 404, code: 10_007 };
      return { result: [...this.secrets.keys()].map((name) => ({ name, type: "secret_text" })) };
    }
    if (path === "/workers/scripts/streamchain/secrets" && method === "PUT") {
      const { name, text } = JSON.parse(body.toString()) as { name: string; text: string };
      this.secrets.set(name, text);
      return { result: { name, type: "secret_text" } };
    }
    if (path === "/workers/scripts/streamchain/secrets-bulk") {
      const { secrets } = JSON.parse(body.toString()) as { secrets: Record<string, { text: string }> };
      for (const [name, { text }] of Object.entries(secrets)) this.secrets.set(name, text);
      return { result: {} };
    }
    if (path === "/workers/scripts/streamchain/assets-upload-session") return { result: { jwt: "done", buckets: [] } };
    if (path === "/workers/scripts/streamchain" && method === "PUT") return this.#upload(body);
    if (path === "/workers/workers/streamchain") return { result: { id: "w", name: "streamchain", subdomain: {} } };
    if (path.endsWith("/subdomain")) return { result: { subdomain: "fake", enabled: true, previews_enabled: true } };
    if (path.endsWith("/schedules")) return { result: { schedules: [] } };
    return undefined;
  }

  /** A form whose part `metadata` is JSON. */
  #upload(body: Buffer): Answer {
    const metadata = /name="metadata"[^\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(\{.*?\})\r\n--/s.exec(
      body.toString("latin1"),
    )?.[1];
    this.script = JSON.parse(metadata ?? "{}");
    return { result: { id: "streamchain", startup_time_ms: 1, etag: "e", deployment_id: "d" } };
  }
}
