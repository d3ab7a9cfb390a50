// A reader of a stream's server-sent events.

/** Follows an event stream until it is closed. */
export class Reader {
  #abort = new AbortController();
  /** @type {{ event: string, data: any }[]} */
  events = [];
  /** 0 until there is an answer. */
  status = 0;
  ended = false;

  /**
   * @param {import("./target.mjs").Target} target
   * @param {string} stream
   * @param {{ token?: string, address?: string, query?: string }} how
   */
  constructor(target, stream, { token, address, query = "?from=0" }) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (token) headers.authorization = `Bearer ${token}`;
    if (address) headers["cf-connecting-ip"] = address;
    const url = `${target.edge}/v1/streams/${stream}/events${query}`;
    this.opened = fetch(url, { headers, signal: this.#abort.signal }).then(
      (response) => {
        this.status = response.status;
        this.#read(response).catch(() => (this.ended = true));
        return response.status;
      },
      () => 0,
    );
  }

  /** @param {Response} response */
  async #read(response) {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      rest += decoder.decode(part, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
    this.ended = true;
  }

  /** @param {string} block */
  #take(block) {
    const field = (/** @type {string} */ name) => new RegExp(`^${name}: ?(.*)$`, "m").exec(block)?.[1];
    const data = field("data");
    if (data !== undefined) this.events.push({ event: field("event") ?? "message", data: JSON.parse(data) });
  }

  /** The texts of the messages that came. */
  get texts() {
    const stored = this.events.filter(({ event }) => event === "stored");
    return stored.map(({ data }) => Buffer.from(data.payload.slice(2), "hex").toString());
  }

  close() {
    this.#abort.abort();
  }
}
