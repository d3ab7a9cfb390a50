// Deploying the contract to a real chain (anvil), and telling the edge where it is.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { createPublicClient, createWalletClient, encodeAbiParameters, http, keccak256, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { CONTRACT_ARTIFACT } from "../../scripts/lib/build/contracts.mjs";
import { Failure } from "../../scripts/lib/console.mjs";
import { deployContract, withVars, writeEdgeVars } from "../../scripts/lib/deploy.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { chainPart, chainReady, developmentAccount, rpcCall } from "../../scripts/lib/system/chain.mjs";
import { freePort, LOCALHOST } from "../../scripts/lib/system/ports.mjs";

const CONTRACT = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
const deployment = { chainId: 31337, address: CONTRACT, block: 7, transaction: `0x${"11".repeat(32)}` } as const;

const folder = (): string => mkdtempSync(join(tmpdir(), "streamchain-deploy-"));

/** Deploys without printing; gives what was said along with the result. */
const deploy = async (options: Omit<Parameters<typeof deployContract>[0], "log">) => {
  const said: string[] = [];
  const result = await deployContract({ ...options, log: (line: string) => said.push(line) });
  return { ...result, said: said.join("\n") };
};

const failsSaying = (options: Omit<Parameters<typeof deployContract>[0], "log">, message: RegExp) =>
  assert.rejects(deploy(options), (error: unknown) => {
    assert.ok(error instanceof Failure, `a Failure, not ${error}`);
    assert.match(error.message, message);
    return true;
  });

suite("on a chain", () => {
  let chain: ReturnType<typeof chainPart>;
  let rpc: string;
  const dir = folder();
  const record = join(dir, "deployment.json");

  before(async () => {
    const port = await freePort("tcp");
    rpc = `http://${LOCALHOST}:${port}`;
    chain = chainPart({ dir, port, mining: "auto", log: join(dir, "log") }, () => {});
    chain.start();
    await chainReady(chain, rpc);
  });
  after(() => chain.stop());

  test("the contract is deployed, recorded, and not deployed again", async () => {
    const first = await deploy({ rpc, out: record, key: developmentAccount(3).key });
    assert.equal(first.isNew, true);
    const code = JSON.parse(readFileSync(CONTRACT_ARTIFACT, "utf8")).deployedBytecode.object;
    assert.equal(await rpcCall(rpc, "eth_getCode", [first.address, "latest"]), code);
    const { isNew: _, said: __, ...written } = first;
    assert.deepEqual(JSON.parse(readFileSync(record, "utf8")), written);
    assert.equal(
      (await rpcCall(rpc, "eth_getTransactionReceipt", [first.transaction])).blockNumber,
      toHex(first.block),
    );

    const height = await rpcCall(rpc, "eth_blockNumber");
    const second = await deploy({ rpc, out: record, key: developmentAccount(3).key });
    assert.equal(second.isNew, false);
    assert.match(second.said, /already, at 0x/);
    assert.equal(second.address, first.address);
    assert.equal(await rpcCall(rpc, "eth_blockNumber"), height, "nothing was sent");
  });

  test("a recorded address without our code there is replaced", async () => {
    const file = join(dir, "stale.json");
    writeFileSync(file, JSON.stringify({ ...deployment, address: `0x${"ab".repeat(20)}` }));
    const fresh = await deploy({ rpc, out: file });
    assert.equal(fresh.isNew, true);
    assert.match(fresh.said, /has no code on chain 31337: deploying anew/);
  });

  test("a record that is no record is replaced", async () => {
    const file = join(dir, "broken.json");
    writeFileSync(file, "{");
    assert.equal((await deploy({ rpc, out: file })).isNew, true);
    assert.equal(JSON.parse(readFileSync(file, "utf8")).chainId, 31337);
  });

  test("another chain than the wanted one is refused", () =>
    failsSaying({ rpc, chainId: 1 }, /serves chain 31337, not 1/));

  test("an account without funds is told what is needed", () =>
    failsSaying({ rpc, key: "ab".repeat(32) }, /has 0 ETH on chain 31337; up to 0\.\d+ ETH is needed/));

  test("a key out of shape is refused without being shown", () =>
    assert.rejects(deploy({ rpc, key: "5ec2e7" }), (error: unknown) => {
      assert.ok(error instanceof Failure && !`${error.message}${error.advice}`.includes("5ec2e7"));
      return true;
    }));

  test("a message of a thousand costs at most 33 gas to anchor", async () => {
    const { address } = await deploy({ rpc, out: record });
    const { abi } = JSON.parse(readFileSync(CONTRACT_ARTIFACT, "utf8"));
    const account = privateKeyToAccount(developmentAccount(4).key);
    const wallet = createWalletClient({ account, chain: foundry, transport: http(rpc) });
    const client = createPublicClient({ chain: foundry, transport: http(rpc), pollingInterval: 50 });
    const call = async (functionName: string, args: unknown[]) => {
      const hash = await wallet.writeContract({ address, abi, functionName, args });
      const receipt = await client.waitForTransactionReceipt({ hash });
      assert.equal(receipt.status, "success", functionName);
      return receipt;
    };
    const name = keccak256(toHex("gas"));
    const types = [{ type: "address" }, { type: "bytes32" }] as const;
    const stream = keccak256(encodeAbiParameters(types, [account.address, name]));
    const run = (firstSeq: number) => [[{ stream, firstSeq, count: 1000, root: keccak256(toHex(firstSeq)) }]];

    await call("open", [name, account.address]);
    await call("anchor", run(0));
    const { gasUsed, logs } = await call("anchor", run(1000));
    assert.equal(logs.length, 1);
    assert.ok(gasUsed <= 33_000n, `${gasUsed} gas`);
    assert.deepEqual(await client.readContract({ address, abi, functionName: "streams", args: [stream] }), [
      account.address,
      2000n,
    ]);
  });
});

test("a chain that mines only when asked gets its block", async () => {
  const dir = folder();
  const port = await freePort("tcp");
  const rpc = `http://${LOCALHOST}:${port}`;
  const chain = chainPart({ dir, port, mining: "manual", log: join(dir, "log") }, () => {});
  chain.start();
  try {
    await chainReady(chain, rpc);
    assert.equal((await deploy({ rpc })).block, 1);
  } finally {
    await chain.stop();
  }
});

test("a silent endpoint is named without its secrets", async () => {
  const port = await freePort("tcp");
  const rpc = `http://user:password@${LOCALHOST}:${port}/v3/secret`;
  await assert.rejects(deploy({ rpc }), (error: unknown) => {
    assert.ok(error instanceof Failure && error.message.includes(`http://${LOCALHOST}:${port} does not answer`));
    assert.doesNotMatch(error.message, /password|secret/);
    return true;
  });
});

test("what is no RPC URL is refused", () => failsSaying({ rpc: "ws://127.0.0.1:8545" }, /is no RPC URL/));

test("a missing build says how to build", async () => {
  await assert.rejects(
    deploy({ rpc: "http://127.0.0.1:1", artifact: join(folder(), "none.json") }),
    (error: unknown) => {
      assert.ok(error instanceof Failure && error.advice.join().includes("npm run build"));
      return true;
    },
  );
});

test("variables are set in place or at the end; the rest stays", () => {
  const text = "# mine\nCHAIN_ID=1\n\nexport OTHER='x'\n";
  assert.equal(
    withVars(text, { CHAIN_ID: "31337", CONTRACT_BLOCK: "7" }),
    '# mine\nCHAIN_ID="31337"\n\nexport OTHER=\'x\'\nCONTRACT_BLOCK="7"\n',
  );
  assert.equal(withVars("", { CHAIN_ID: "1" }), 'CHAIN_ID="1"\n');
  assert.equal(withVars("LAST=1", { CHAIN_ID: "1" }), 'LAST=1\nCHAIN_ID="1"\n');
});

test("the edge's variables are written for the owner's eyes only", async () => {
  const file = join(folder(), ".dev.vars");
  await writeEdgeVars(file, deployment, "http://127.0.0.1:8545");
  assert.equal(
    readFileSync(file, "utf8"),
    `CHAIN_RPC_URLS="http://127.0.0.1:8545"\nCHAIN_ID="31337"\nCONTRACT_ADDRESS="${CONTRACT}"\nCONTRACT_BLOCK="7"\n`,
  );
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(existsSync(`${file}.${process.pid}.tmp`), false);
});

test("a list of RPC URLs stays while the chain is the same", async () => {
  const file = join(folder(), ".dev.vars");
  const [one, two] = ["http://127.0.0.1:8545", "http://127.0.0.1:8546"];
  const written = async (before: string) => {
    writeFileSync(file, before);
    await writeEdgeVars(file, deployment, two);
    return readFileSync(file, "utf8").split("\n")[0];
  };
  assert.equal(await written(`CHAIN_RPC_URLS=${one},${two}\nCHAIN_ID=31337\n`), `CHAIN_RPC_URLS="${one},${two}"`);
  assert.equal(await written(`CHAIN_RPC_URLS=${one},${two}\nCHAIN_ID=1\n`), `CHAIN_RPC_URLS="${two}"`);
  assert.equal(await written(`CHAIN_RPC_URLS=${one}\nCHAIN_ID=31337\n`), `CHAIN_RPC_URLS="${two}"`);
});

test("the Merkle vectors are those of OpenZeppelin's library", () => {
  execFileSync(process.execPath, [join(ROOT, "contracts/test/vectors/generate.mjs"), "--check"], { stdio: "pipe" });
});
