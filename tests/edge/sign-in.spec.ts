// Sign-in with Ethereum (EIP-4361), against viem's messages and signatures: what is taken, and all that is not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Hex, hashMessage } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { parseSiweMessage } from "viem/siwe";
import {
  ANCHORER_KEY,
  type Answer,
  accessToken,
  asOperator,
  assertProblem,
  bearer,
  type Edge,
  MASTER_SECRET,
  OPERATOR,
  startEdge,
} from "./harness.ts";
import { messageOf, newNonce, newWallet, postSigned, signIn, signInWith } from "./siwe.ts";

/** A contract wallet that takes one signature: what the faked node answers for it. */
const CONTRACT_WALLET = "0x5615dEB798BB3E4dFa0139dFa1b3D433Cc23b72f";
const CONTRACT_SIGNATURE = `0x${"ab".repeat(70)}`;
const MAGIC = `0x1626ba7e${"0".repeat(56)}`;

let edge: Edge;
let nodeIsDown = false;
/** The calls of `isValidSignature` that the node saw. */
const asked: { from?: string; to: string; data: string }[] = [];

const node = async (request: Request): Promise<Response> => {
  if (nodeIsDown) return new Response("down", { status: 503 });
  const { id, method, params } = (await request.json()) as { id: number; method: string; params: [never] };
  if (method === "eth_chainId") return Response.json({ jsonrpc: "2.0", id, result: "0x7a69" });
  if (method !== "eth_call") return Response.json({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } });
  const { from, to, data } = params[0] as { from: string; to: string; data: string };
  if (!data.startsWith("0x1626ba7e")) return Response.json({ jsonrpc: "2.0", id, result: "0x" });
  asked.push({ from, to, data });
  const agrees = to === CONTRACT_WALLET.toLowerCase() && data.includes("ab".repeat(70));
  return Response.json({ jsonrpc: "2.0", id, result: agrees ? MAGIC : "0x" });
};

before(async () => {
  edge = await startEdge({ outbound: node });
});
after(() => edge.stop());

const wallet = newWallet();

const refused = (answer: Answer, reason: string): void => {
  assert.equal(assertProblem(answer, 401, "sign-in-refused").reason, reason);
};

test("a wallet signs in and is the author of its session", async () => {
  const message = messageOf(edge, wallet.address, await newNonce(edge), {
    statement: "Sign in to StreamChain.",
    scheme: "http",
    expirationTime: new Date(Date.now() + 60_000),
    notBefore: new Date(Date.now() - 60_000),
    requestId: "a-1",
    resources: ["https://example.com/terms"],
  });
  const parsed = parseSiweMessage(message);
  assert.equal(parsed.address, wallet.address, "viem reads what the edge is given");
  const answer = await signInWith(edge, wallet, message);
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.author, wallet.address.toLowerCase());
  assert.ok((answer.json.expires as number) <= (parsed.expirationTime?.getTime() ?? 0), "no longer than was signed");
  const keys = await edge.get("/v1/keys", bearer(answer.json.token as string));
  assert.deepEqual([keys.status, keys.json], [200, { keys: [] }]);
});

test("the least message is taken, and its token lives for minutes", async () => {
  const answer = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)));
  assert.equal(answer.status, 201, answer.text);
  const life = (answer.json.expires as number) - Date.now();
  assert.ok(life > 10 * 60_000 && life < 16 * 60_000, `${life} ms`);
});

test("a nonce signs in once", async () => {
  const message = messageOf(edge, wallet.address, await newNonce(edge));
  assert.equal((await signInWith(edge, wallet, message)).status, 201);
  refused(await signInWith(edge, wallet, message), "nonce");
});

test("a sign-in from before a revocation counts no more", async () => {
  const revoker = newWallet();
  const message = messageOf(edge, revoker.address, await newNonce(edge));
  const signature = await revoker.signMessage({ message });
  const token = await signIn(edge, revoker);
  await new Promise((done) => setTimeout(done, 1_100));
  assert.equal((await edge.postJson("/v1/auth/revoke", {}, bearer(token))).status, 200);
  refused(await postSigned(edge, message, signature), "nonce");
  await signIn(edge, revoker);
});

test("a nonce that was not given out here is none", async () => {
  const nonce = await newNonce(edge);
  const changed = `${nonce.slice(0, -1)}${nonce.endsWith("0") ? "1" : "0"}`;
  refused(await signInWith(edge, wallet, messageOf(edge, wallet.address, changed)), "nonce");
});

test("a message for another domain or chain is refused", async () => {
  const refuse = async (changes: Parameters<typeof messageOf>[3], reason: string): Promise<void> => {
    const message = messageOf(edge, wallet.address, await newNonce(edge), changes);
    refused(await signInWith(edge, wallet, message), reason);
  };
  await refuse({ domain: "evil.example" }, "domain");
  await refuse({ chainId: 1 }, "chain");
});

test("a message that expired or is not valid yet is refused", async () => {
  const hour = 3_600_000;
  const refuse = async (changes: Parameters<typeof messageOf>[3], reason: string): Promise<void> => {
    const message = messageOf(edge, wallet.address, await newNonce(edge), changes);
    refused(await signInWith(edge, wallet, message), reason);
  };
  const past = new Date(Date.now() - hour);
  await refuse({ issuedAt: new Date(Date.now() - 2 * hour), expirationTime: past }, "expired");
  await refuse({ notBefore: new Date(Date.now() + hour) }, "not-yet-valid");
});

test("a signature that is not the account's is refused", async () => {
  const stranger = newWallet();
  const message = messageOf(edge, wallet.address, await newNonce(edge));
  refused(await postSigned(edge, message, await stranger.signMessage({ message })), "signature");
  const other = message.replace("Version: 1", "Version: 1");
  const signature = await wallet.signMessage({ message: `${other} ` });
  refused(await postSigned(edge, message, signature), "signature");
  for (const rubbish of ["0x", "0x00", `0x${"00".repeat(65)}`, `0x${"ff".repeat(65)}`, `0x${"11".repeat(5_000)}`]) {
    refused(await postSigned(edge, message, rubbish), "signature");
  }
  assert.equal((await signInWith(edge, wallet, message)).status, 201, "none of these used the nonce up");
});

test("what is no message of EIP-4361 is out of shape", async () => {
  const message = messageOf(edge, wallet.address, await newNonce(edge));
  const bad: [text: string, reason: string][] = [
    [`${message}\n`, "grammar"],
    [message.replace(wallet.address, wallet.address.toLowerCase()), "checksum"],
    [message.replace(/Issued At: .*/, "Issued At: 2026-02-30T00:00:00Z"), "time"],
  ];
  for (const [text, reason] of bad) {
    const answer = await signInWith(edge, wallet, text);
    assert.equal(assertProblem(answer, 400, "bad-sign-in").reason, reason, JSON.stringify(text));
  }
});

test("a body out of shape is refused", async () => {
  for (const body of [{}, [], { message: 1, signature: "0x" }, { message: "" }, { message: "", signature: "zz" }]) {
    assertProblem(await edge.postJson("/v1/auth/wallet", body), 400, "bad-request");
  }
  assertProblem(await edge.send("POST", "/v1/auth/wallet", { body: "{}" }), 415, "unsupported-type");
});

test("a contract wallet signs in as its contract says", async () => {
  const message = messageOf(edge, CONTRACT_WALLET, await newNonce(edge));
  const answer = await postSigned(edge, message, CONTRACT_SIGNATURE);
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.author, CONTRACT_WALLET.toLowerCase());
  const call = asked.at(-1);
  assert.ok(call?.data.includes(hashMessage(message).slice(2)), "asked about the hash that personal_sign signs");
  assert.match(String(call?.from), /^0x7374/, "not by zero, which some wallets take for a simulation");
  const again = messageOf(edge, CONTRACT_WALLET, await newNonce(edge));
  refused(await postSigned(edge, again, `0x${"cd".repeat(70)}` as Hex), "signature");
});

test("without a node only a contract's signature must wait", async () => {
  nodeIsDown = true;
  try {
    assert.equal((await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)))).status, 201);
    const message = messageOf(edge, CONTRACT_WALLET, await newNonce(edge));
    assertProblem(await postSigned(edge, message, CONTRACT_SIGNATURE), 503, "chain-unreachable");
  } finally {
    nodeIsDown = false;
  }
});

test("resources that name streams narrow the token to them", async () => {
  await edge.postJson("/v1/streams", { name: "named" });
  const resources = [`http://${edge.host}/v1/streams/named`, "ipfs://something"];
  const token = await signIn(edge, wallet, { resources });
  assert.equal((await edge.get("/v1/streams/named", bearer(token))).status, 200);
  await edge.postJson("/v1/streams", { name: "other" });
  assertProblem(await edge.get("/v1/streams/other", bearer(token)), 403, "forbidden");
  assertProblem(await edge.get("/v1/keys", bearer(token)), 403, "forbidden");
});

test("a sign-in is for a configured domain", async () => {
  const elsewhere = await startEdge({ vars: { SIWE_DOMAINS: "app.example, www.example:8443" } });
  try {
    const told = await elsewhere.send("POST", "/v1/auth/nonce");
    assert.equal(told.json.domain, "app.example");
    await signIn(elsewhere, wallet, { domain: "www.example:8443", uri: "https://app.example/x" });
    const message = messageOf(elsewhere, wallet.address, told.json.nonce as string);
    refused(await signInWith(elsewhere, wallet, message), "domain");
  } finally {
    await elsewhere.stop();
  }
});

test("a resource at our host that is no stream is refused", async () => {
  for (const resource of [
    `http://${edge.host}/`,
    `http://${edge.host}/v1/streams/named/`,
    `http://${edge.host}/v1/streams/named?x`,
    `http://${edge.host.toUpperCase()}./v1/streams/named`,
    `http://user@${edge.host}/v1/streams/named`,
    `ws://${edge.host}/v1/streams/named`,
    `http://${edge.host.replace(/:.*/, "")}:1/v1/streams/named`,
  ]) {
    const message = messageOf(edge, wallet.address, await newNonce(edge), { resources: [resource] });
    refused(await signInWith(edge, wallet, message), "resource");
  }
});

test("a node's word makes nobody an operator who is not named so", async () => {
  const lie = async (request: Request): Promise<Response> => {
    const { id, method } = (await request.json()) as { id: number; method: string };
    return Response.json({ jsonrpc: "2.0", id, result: method === "eth_chainId" ? "0x7a69" : MAGIC });
  };
  const signInAsOperator = async (named: string): Promise<Answer> => {
    const lied = await startEdge({ outbound: lie, vars: { OPERATORS: "", [named]: CONTRACT_WALLET } });
    try {
      return await postSigned(lied, messageOf(lied, CONTRACT_WALLET, await newNonce(lied)), CONTRACT_SIGNATURE);
    } finally {
      await lied.stop();
    }
  };
  refused(await signInAsOperator("OPERATORS"), "signature");
  assert.equal((await signInAsOperator("CONTRACT_OPERATORS")).status, 201);
});

test("a node that lies is contradicted by another one", async () => {
  const down = new Set<string>();
  const nodes = async (request: Request): Promise<Response> => {
    const { host } = new URL(request.url);
    const { id, method } = (await request.json()) as { id: number; method: string };
    if (down.has(host)) return new Response("down", { status: 503 });
    const answer = host === "lies.invalid" ? MAGIC : "0x";
    return Response.json({ jsonrpc: "2.0", id, result: method === "eth_chainId" ? "0x7a69" : answer });
  };
  const vars = { CHAIN_RPC_URLS: "http://lies.invalid, http://honest.invalid" };
  const two = await startEdge({ outbound: nodes, vars });
  try {
    const post = async (): Promise<Answer> =>
      postSigned(two, messageOf(two, CONTRACT_WALLET, await newNonce(two)), CONTRACT_SIGNATURE);
    refused(await post(), "signature");
    down.add("honest.invalid");
    assert.equal((await post()).status, 201, "one node that answers is taken at its word");
    down.add("lies.invalid");
    assertProblem(await post(), 503, "chain-unreachable");
  } finally {
    await two.stop();
  }
});

test("off development chains sign-in needs named domains", async () => {
  const unnamed = await startEdge({ vars: { CHAIN_ID: "1" } });
  try {
    const problem = assertProblem(await unnamed.send("POST", "/v1/auth/nonce"), 500, "misconfigured");
    assert.match(String(problem.detail), /^SIWE_DOMAINS: /);
    const message = messageOf(unnamed, wallet.address, "abcdefgh1234", { chainId: 1 });
    assertProblem(await signInWith(unnamed, wallet, message), 500, "misconfigured");
    const { signIn } = (await unnamed.get("/v1/status")).json as { signIn: { ok: boolean; error: string } };
    assert.equal(signIn.ok, false);
    assert.match(signIn.error, /^SIWE_DOMAINS: /);
    assert.equal((await unnamed.send("POST", "/v1/auth/guest")).status, 201, "guests need none");
  } finally {
    await unnamed.stop();
  }
  const { signIn } = (await edge.get("/v1/status")).json;
  assert.deepEqual(signIn, { ok: true });
});

test("the anchoring account signs in only if it is an operator", async () => {
  const anchorer = privateKeyToAccount(ANCHORER_KEY);
  assert.ok(await signIn(edge, anchorer), "it is named here");
  const alone = await startEdge({ vars: { OPERATORS: "" } });
  try {
    const message = messageOf(alone, anchorer.address, await newNonce(alone));
    refused(await signInWith(alone, anchorer, message), "anchorer");
    const before = accessToken(OPERATOR, { since: Math.floor(Date.now() / 1_000) });
    assertProblem(await alone.get("/v1/audit", bearer(before)), 401, "unauthorized");
    assert.equal((await alone.get("/v1/audit", asOperator())).status, 200, "what the master secret signed counts");
  } finally {
    await alone.stop();
  }
});

test("while the secret is changed, tokens of the old one count", async () => {
  const secret = "22".repeat(32);
  const guest = "0x0000000000000000000000000000000000000007";
  const changing = await startEdge({ vars: { MASTER_SECRET: secret, MASTER_SECRET_PREVIOUS: MASTER_SECRET } });
  try {
    for (const signer of [secret, MASTER_SECRET]) {
      const token = accessToken(guest, { guest: true }, signer);
      assert.equal((await changing.get("/v1/ice-servers", bearer(token))).status, 200);
    }
    const other = accessToken(guest, { guest: true }, "33".repeat(32));
    assertProblem(await changing.get("/v1/ice-servers", bearer(other)), 401, "unauthorized");
  } finally {
    await changing.stop();
  }
});
