// Real Ethereum nodes for tests: anvil, and Hardhat's, which was written by others and enforces what anvil lets pass.
// Both mine only when asked to.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hex, parseGwei, serializeTransaction } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { NODE } from "../../scripts/lib/paths.mjs";
import { hardhatFolder } from "../../scripts/lib/setup/hardhat.mjs";
import { CHAIN_ID, chainPart, chainReady, developmentAccount, rpcCall } from "../../scripts/lib/system/chain.mjs";
import { Part } from "../../scripts/lib/system/part.mjs";
import { freePort } from "../../scripts/lib/system/ports.mjs";

export const NODE_KINDS = ["anvil", "hardhat"] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

export interface Account {
  readonly address: Hex;
  readonly key: Hex;
}

export const account = (index: number): Account => developmentAccount(index) as Account;

/** A transaction as the node has it; `block` is null in the pool. */
export interface NodeTransaction {
  readonly nonce: number;
  readonly maxFee: bigint;
  readonly tip: bigint;
  readonly block: number | null;
}

interface RpcTransaction {
  readonly nonce: Hex;
  readonly maxFeePerGas: Hex;
  readonly maxPriorityFeePerGas: Hex;
  readonly blockNumber: Hex | null;
}

/** Both nodes take Hardhat's own methods. */
export class ChainNode {
  readonly kind: NodeKind;
  readonly url: string;
  readonly #part: Part;
  readonly #folder: string;

  private constructor(kind: NodeKind, url: string, part: Part, folder: string) {
    this.kind = kind;
    this.url = url;
    this.#part = part;
    this.#folder = folder;
  }

  /** @param epoch in blocks, anvil only: what is two of them old is final; Hardhat's node finalizes every block at once */
  static async start(kind: NodeKind, epoch = 1): Promise<ChainNode> {
    const folder = await mkdtemp(join(tmpdir(), "streamchain-node-"));
    const [port, log] = [await freePort("tcp"), join(folder, "node.log")];
    const url = `http://127.0.0.1:${port}`;
    const die = (): void => {};
    const part =
      kind === "anvil"
        ? chainPart({ dir: folder, port, mining: "manual", log, epoch }, die)
        : new Part("Hardhat's node", hardhat(port, log), die);
    part.start();
    await chainReady(part, url);
    return new ChainNode(kind, url, part, folder);
  }

  rpc<T>(method: string, params: unknown[] = []): Promise<T> {
    return rpcCall(this.url, method, params) as Promise<T>;
  }

  mine(blocks = 1): Promise<unknown> {
    return this.rpc("hardhat_mine", [`0x${blocks.toString(16)}`]);
  }

  async head(): Promise<number> {
    return Number(await this.rpc<Hex>("eth_blockNumber"));
  }

  async finalized(): Promise<number> {
    return Number((await this.rpc<{ number: Hex }>("eth_getBlockByNumber", ["finalized", false])).number);
  }

  async transaction(hash: string): Promise<NodeTransaction | null> {
    const found = await this.rpc<RpcTransaction | null>("eth_getTransactionByHash", [hash]);
    return (
      found && {
        nonce: Number(found.nonce),
        maxFee: BigInt(found.maxFeePerGas),
        tip: BigInt(found.maxPriorityFeePerGas),
        block: found.blockNumber === null ? null : Number(found.blockNumber),
      }
    );
  }

  /** Takes a transaction out of the pool, as a pool that is full does. */
  drop(hash: string): Promise<unknown> {
    return this.rpc("hardhat_dropTransaction", [hash]);
  }

  setBalance(address: string, wei: bigint): Promise<unknown> {
    return this.rpc("hardhat_setBalance", [address, `0x${wei.toString(16)}`]);
  }

  /** How many transactions of an account are in blocks. */
  async count(address: string): Promise<number> {
    return Number(await this.rpc<Hex>("eth_getTransactionCount", [address, "latest"]));
  }

  /** Signs a transaction and hands it to the node; its hash. */
  async send(from: Account, to: Hex, data: Hex, how: { nonce?: number; gwei?: string } = {}): Promise<Hex> {
    const fee = parseGwei((how.gwei ?? "10") as `${number}`);
    const transaction = {
      chainId: CHAIN_ID,
      type: "eip1559" as const,
      nonce: how.nonce ?? (await this.count(from.address)),
      to,
      data,
      gas: 200_000n,
      maxFeePerGas: fee,
      maxPriorityFeePerGas: fee / 10n,
    };
    const signer = privateKeyToAccount(from.key);
    return this.rpc("eth_sendRawTransaction", [
      await signer.signTransaction(transaction, { serializer: serializeTransaction }),
    ]);
  }

  async stop(): Promise<void> {
    await this.#part.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const hardhat = (port: number, log: string) => {
  const folder = hardhatFolder();
  const cli = join(folder, "node_modules", "hardhat", "dist", "src", "cli.js");
  if (!existsSync(cli)) throw new Error("Hardhat's node is not installed: npm test does it");
  return {
    command: NODE,
    args: [cli, "node", "--hostname", "127.0.0.1", "--port", `${port}`],
    cwd: folder,
    env: { CI: "1", HARDHAT_DISABLE_TELEMETRY_PROMPT: "true" },
    log,
  };
};
