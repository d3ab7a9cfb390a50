// The edge on a real node: streams that are committed to by a relay of plain HTTP, and what became of them on chain.

import assert from "node:assert/strict";
import { type AbiEvent, encodeFunctionData, type Hex, parseAbi, parseAbiItem, parseEventLogs, toHex } from "viem";
import { CONTRACT_ARTIFACT } from "../../scripts/lib/build/contracts.mjs";
import { deployContract } from "../../scripts/lib/deploy.mjs";
import { type Edge, type EdgeOptions, type FakeRelay, type Json, messagesOf, startEdge } from "../edge/harness.ts";
import { eventually } from "../harness/system.ts";
import { type Account, account, type ChainNode } from "./nodes.ts";

const ANCHORED = parseAbiItem(
  "event Anchored(bytes32 indexed stream, address indexed anchorer, uint64 firstSeq, uint32 count, bytes32 root)",
);
const PUBLISHED = parseAbiItem("event Published(bytes32 indexed stream, address indexed author, bytes payload)");
const ABI = parseAbi(["function publish(bytes32 stream, bytes payload)"]);

/** How long a test waits for what edge and node do by themselves, on a busy machine. */
const PATIENCE_MS = 60_000;

/** How often a block is mined while a test waits for the chain: many, for what is final takes dozens. */
const MINING_INTERVAL_MS = 50;

export interface OnChain {
  readonly stream: string;
  readonly block: number;
  readonly block_hash: string;
  readonly tx: string;
  readonly log_index: number;
}
export interface AnchorOnChain extends OnChain {
  readonly first: number;
  readonly count: number;
  readonly root: string;
}
export interface PayloadOnChain extends OnChain {
  readonly author: string;
  readonly payload: string;
}

export interface Figures {
  readonly head: number;
  readonly stored: number;
  readonly anchored: number;
  readonly final: number;
}

export interface Sending {
  readonly lastError: string | null;
  readonly pendingSegments: number;
  readonly balanceWei: string | null;
  readonly inFlight: { readonly nonce: number; readonly tx: string; readonly attempts: number } | null;
}

const places = (a: OnChain, b: OnChain): number => a.block - b.block || a.log_index - b.log_index;

/** How JSON-RPC requests of the edge reach the node; a test puts itself between. */
export type Outbound = (request: Request) => Promise<Response>;

export const passOn =
  (url: string): Outbound =>
  async (request) =>
    fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: await request.text() });

export interface SceneOptions {
  /** Settings of the edge beside the usual ones. */
  readonly vars?: Record<string, string>;
  readonly outbound?: Outbound;
  /** As the harness has it. */
  readonly direct?: boolean;
  /** Modules around the built Worker. */
  readonly around?: EdgeOptions["around"];
  /** What the streams are made with. */
  readonly settings?: Json;
}

export class ChainScene {
  readonly node: ChainNode;
  readonly contract: Hex;
  readonly operator: Account;
  readonly #vars: Record<string, string>;
  readonly #outbound: Outbound | undefined;
  readonly #around: EdgeOptions["around"];
  readonly #settings: Json;
  edge: Edge;
  relay: FakeRelay;
  readonly #streams = new Map<string, { id: Hex; short: string; epoch: number; head: number }>();
  readonly #ids = new Set<string>();
  #producers = 0;

  private constructor(
    node: ChainNode,
    contract: Hex,
    operator: Account,
    vars: Record<string, string>,
    outbound: Outbound | undefined,
    edge: Edge,
    { around, settings = {} }: Pick<SceneOptions, "around" | "settings"> = {},
  ) {
    this.#around = around;
    this.#settings = settings;
    this.node = node;
    this.contract = contract;
    this.operator = operator;
    this.#vars = vars;
    this.#outbound = outbound;
    this.edge = edge;
    this.relay = edge.relay("r1");
  }

  /** The contract on this node, and an edge that anchors by `operator`. */
  static async on(
    node: ChainNode,
    { vars = {}, direct = false, outbound = direct ? undefined : passOn(node.url), ...more }: SceneOptions = {},
  ): Promise<ChainScene> {
    const [deployer, operator] = [account(0), account(1)];
    const contract = await deployContract({
      rpc: node.url,
      key: deployer.key,
      artifact: CONTRACT_ARTIFACT,
      log: () => {},
    });
    const all = {
      CHAIN_RPC_URLS: outbound ? "http://node.invalid" : node.url,
      CONTRACT_ADDRESS: contract.address,
      CONTRACT_BLOCK: `${contract.block}`,
      ANCHORER_KEY: operator.key,
      ANCHOR_INTERVAL_MS: "200",
      LISTEN_INTERVAL_MS: "200",
      // What a fork dropped is sent again soon: in real life only blocks of twelve seconds make that slower.
      ANCHOR_RESEND_AFTER_MS: "2000",
      // And what owners do on the contract, or money that comes, is seen soon.
      ANCHOR_RETRY_AFTER_MS: "1000",
      // Streams have anchors of their own here unless a test says otherwise: so has the audit log, whose transactions
      // would come between those that a test watches.
      NEW_STREAMS_ANCHOR: "own",
      ...vars,
    };
    const edge = await startEdge({ vars: all, ...(outbound ? { outbound } : {}), direct, around: more.around });
    return new ChainScene(node, contract.address, operator, all, outbound, edge, more);
  }

  /** Another edge that knows nothing but the names of the streams, and reads the chain from its beginning. */
  async cleanReplay(): Promise<ChainScene> {
    const outbound = passOn(this.node.url);
    const edge = await startEdge({ vars: this.#vars, outbound });
    const replay = new ChainScene(this.node, this.contract, this.operator, this.#vars, outbound, edge);
    for (const [name, made] of this.#streams) {
      replay.#streams.set(name, made);
      replay.count(made.id);
      await edge.postJson("/v1/streams", { name });
      await edge.listed(name);
    }
    await replay.relay.register();
    return replay;
  }

  /** The Worker dies and starts again on the same state; its relay goes on. */
  async restartEdge(): Promise<void> {
    const { incarnation } = this.relay;
    const outbound = this.#outbound ? { outbound: this.#outbound } : {};
    this.edge = await this.edge.restart({ vars: this.#vars, ...outbound, around: this.#around });
    this.relay = Object.assign(this.edge.relay(this.relay.id), { incarnation });
    await this.relay.register();
  }

  async stream(name: string): Promise<{ id: Hex; short: string; epoch: number; head: number }> {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const { id, short, epoch } = await this.edge.streamOn(this.relay, name, this.#settings);
    const made = { id: id as Hex, short, epoch, head: 0 };
    this.#streams.set(name, made);
    this.count(id as string);
    return made;
  }

  /** Stores so many more messages. */
  async store(name: string, count: number): Promise<void> {
    const stream = await this.stream(name);
    this.#producers++;
    const producer = Buffer.alloc(16);
    producer.writeUInt32BE(this.#producers);
    const { status, text } = await this.relay.batch(
      stream.short,
      stream.epoch,
      stream.head,
      messagesOf(producer, 0, count),
    );
    assert.equal(status, 200, text);
    stream.head += count;
  }

  /** A wallet publishes to the stream by the contract; the transaction is in the pool. */
  async publish(from: Account, name: string, text: string): Promise<Hex> {
    const { id } = await this.stream(name);
    const data = encodeFunctionData({ abi: ABI, functionName: "publish", args: [id, toHex(text)] });
    return this.node.send(from, this.contract, data);
  }

  figures(name: string): Promise<Figures> {
    return this.edge.get(`/v1/streams/${name}`).then(({ json }) => json as unknown as Figures);
  }

  /** What the Anchorer says of itself. */
  async sending(): Promise<Sending> {
    return (await this.edge.get("/v1/status")).json.anchorer as Sending;
  }

  /** The transaction that is in the pool now, once there is one for which `accept` holds. */
  inFlight(accept: (flight: NonNullable<Sending["inFlight"]>) => boolean = () => true) {
    return eventually(
      "a transaction is in the pool",
      async () => {
        const { inFlight } = await this.sending();
        if (inFlight === null || !accept(inFlight)) return null;
        const transaction = await this.node.transaction(inFlight.tx);
        return transaction?.block === null && { ...inFlight, transaction };
      },
      PATIENCE_MS,
    );
  }

  /** Resolves once the stream's mark is there. */
  reaches(name: string, mark: "anchored" | "final", count: number): Promise<Figures> {
    return eventually(
      `${count} messages of ${name} are ${mark}`,
      async () => {
        const figures = await this.figures(name);
        return figures[mark] === count && figures;
      },
      PATIENCE_MS,
    );
  }

  /** The same, while a block is mined now and then. */
  async reachesMining(name: string, mark: "anchored" | "final", count: number): Promise<Figures> {
    let done = false;
    const reached = this.reaches(name, mark, count).finally(() => {
      done = true;
    });
    while (!done) {
      await this.node.mine();
      await Promise.race([reached, new Promise((resolve) => setTimeout(resolve, MINING_INTERVAL_MS))]).catch(() => {});
    }
    return reached;
  }

  /** A stream that a test made by itself counts like those made here. */
  count(id: string): void {
    this.#ids.add(id);
  }

  /** Those of the test's streams: the edge's own audit log is anchored too, whenever something was recorded. */
  #made<T extends { readonly stream: string }>(rows: T[]): T[] {
    return rows.filter(({ stream }) => this.#ids.has(stream));
  }

  async #rows<T extends OnChain & { readonly stream: string }>(query: string): Promise<T[]> {
    const { results } = await (await this.edge.database()).prepare(query).all<T>();
    return this.#made<T>(results).sort(places);
  }

  /** What the database says is anchored, with its state. */
  anchors(): Promise<(AnchorOnChain & { state: string })[]> {
    return this.#rows("SELECT * FROM anchors");
  }

  /** What the database has of payloads on chain. */
  payloads(): Promise<(PayloadOnChain & { state: string })[]> {
    return this.#rows(
      "SELECT stream, block, log_index, block_hash, tx, author, hex(payload) AS payload, state FROM chain_events WHERE state <> 'reverted'",
    );
  }

  async #logs(event: AbiEvent) {
    const filter = { address: this.contract, fromBlock: "0x0", toBlock: "latest" };
    const logs = await this.node.rpc<Parameters<typeof parseEventLogs>[0]["logs"]>("eth_getLogs", [filter]);
    return parseEventLogs({ abi: [event], logs }).map((log) => ({
      args: log.args as unknown as Record<string, string | number | bigint>,
      place: {
        block: Number(log.blockNumber),
        block_hash: `${log.blockHash}`,
        tx: `${log.transactionHash}`,
        log_index: Number(log.logIndex),
      },
    }));
  }

  /** What the chain itself says is anchored. */
  async anchorsOnChain(): Promise<AnchorOnChain[]> {
    const anchors = (await this.#logs(ANCHORED)).map(({ args, place }) => ({
      stream: `${args.stream}`,
      first: Number(args.firstSeq),
      count: Number(args.count),
      root: `${args.root}`,
      ...place,
    }));
    return this.#made(anchors);
  }

  /** What the chain itself has of payloads. */
  async payloadsOnChain(): Promise<PayloadOnChain[]> {
    return (await this.#logs(PUBLISHED)).map(({ args, place }) => ({
      stream: `${args.stream}`,
      author: `${args.author}`.toLowerCase(),
      payload: `${args.payload}`.slice(2).toUpperCase(),
      ...place,
    }));
  }

  /** Fails unless the database says exactly what the chain says, all of it final. */
  async assertAsOnChain(): Promise<void> {
    const final = (row: OnChain) => ({ ...row, state: "final" });
    const order = (rows: OnChain[]) => rows.map((row) => Object.fromEntries(Object.entries(row).sort()));
    assert.deepEqual(order(await this.anchors()), order((await this.anchorsOnChain()).map(final)));
    assert.deepEqual(order(await this.payloads()), order((await this.payloadsOnChain()).map(final)));
  }

  async stop(): Promise<void> {
    await this.edge.stop();
  }
}
