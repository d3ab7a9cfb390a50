import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { recoverMessageAddress } from "viem";
import {
  AccountMemory,
  type AccountStorage,
  accountToken,
  renew,
  restoreAccount,
  signInByPage,
} from "../src/app/account/account.ts";
import { makePageKey, pageWallet } from "../src/app/account/page-key.ts";
import { connectWallet, type StreamChainError, signText, WalletError } from "../src/lib/index.ts";

const ORIGIN = "https://edge.example";

const storage = (): AccountStorage => {
  const kept = new Map<string, string>();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => void kept.set(key, text),
    removeItem: (key) => void kept.delete(key),
  };
};

/** An edge that accepts every sign-in, and answers renewals with `status`. */
const edge = (status: number) => {
  const asked: string[] = [];
  const fetcher = (async (url: string) => {
    const path = url.slice(ORIGIN.length);
    asked.push(path);
    if (path === "/v1/auth/nonce")
      return Response.json({ nonce: "nonce1234", domain: "edge.example", chainId: 31_337 }, { status: 201 });
    if (path === "/v1/auth/wallet") return Response.json({ token: "signed-in" }, { status: 201 });
    return Response.json(status < 300 ? { token: "renewed" } : { detail: "no" }, { status });
  }) as unknown as typeof fetch;
  return { asked, fetcher };
};

describe("a key made in the page", () => {
  test("signs as any Ethereum account does", async () => {
    const wallet = pageWallet(makePageKey());
    const account = await connectWallet(wallet);
    for (const message of ["", "Sign in, please.\nWith a second line.", "chữ ký"]) {
      const signature = await signText(wallet, account, message);
      assert.equal((await recoverMessageAddress({ message, signature })).toLowerCase(), account);
    }
  });

  test("has the known account of a known key", async () => {
    const wallet = pageWallet("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    assert.equal(await connectWallet(wallet), "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
  });

  test("sends no transactions", async () => {
    const { provider } = pageWallet(makePageKey());
    await assert.rejects(provider.request({ method: "eth_sendTransaction", params: [{}] }), WalletError);
  });
});

describe("the account of a page", () => {
  test("signing in by the page keeps kind, token and the one key", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    const key = memory.pageKey();
    await signInByPage(memory, ORIGIN, edge(201).fetcher);
    assert.deepEqual([memory.kind, memory.token], ["page", "signed-in"]);
    memory.become(undefined, undefined);
    assert.deepEqual([memory.kind, memory.token], [undefined, undefined]);
    assert.equal(memory.pageKey(), key);
  });

  test("a token is renewed, and a guest's is left alone", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    const { asked, fetcher } = edge(201);
    memory.become(undefined, "a guest's");
    await renew(memory, ORIGIN, fetcher);
    assert.deepEqual([asked, memory.token], [[], "a guest's"]);
    memory.become("wallet", "old");
    await renew(memory, ORIGIN, fetcher);
    assert.deepEqual([asked, memory.kind, memory.token], [["/v1/auth/token"], "wallet", "renewed"]);
  });

  test("an expired token: a page key signs in, a wallet is a guest", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    memory.become("page", "old");
    await renew(memory, ORIGIN, edge(401).fetcher);
    assert.deepEqual([memory.kind, memory.token], ["page", "signed-in"]);
    memory.become("wallet", "old");
    await renew(memory, ORIGIN, edge(401).fetcher);
    assert.deepEqual([memory.kind, memory.token], [undefined, undefined]);
  });

  test("an edge that does not answer takes no account away", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    memory.become("wallet", "old");
    await renew(memory, ORIGIN, async () => Promise.reject(new TypeError("fetch failed")));
    assert.deepEqual([memory.kind, memory.token], ["wallet", "old"]);
  });

  /** An access token with these claims. */
  const tokenOf = (claims: object): string => `head.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.mac`;

  /** What a page restores 1,000 s after the epoch with this token, and whether it waited for the edge. */
  const comeBack = async (kind: "page" | "wallet", token: string, status: number) => {
    const kept = storage();
    new AccountMemory(kept, ORIGIN).become(kind, token);
    const { asked, fetcher } = edge(status);
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const slow = (async (...request: Parameters<typeof fetch>) => {
      await answered;
      return fetcher(...request);
    }) as typeof fetch;
    let refused = false;
    const onRefused = (): void => {
      refused = true;
    };
    const coming = restoreAccount({ origin: ORIGIN, onRefused, storage: kept, fetcher: slow, now: () => 1_000_000 });
    const waited = await Promise.race([
      coming.then(() => false),
      new Promise((resolve) => setImmediate(resolve, true)),
    ]);
    answer();
    const memory = await coming;
    const settled = () => memory.token !== token || refused;
    while (!settled()) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    return { waited, asked, refused, kind: memory.kind, token: memory.token };
  };

  test("a valid token connects at once and is renewed meanwhile", async () => {
    for (const [exp, waited] of [
      [1_900, false],
      [1_059, true],
      [0, true],
    ] as const) {
      const found = await comeBack("wallet", tokenOf({ exp }), 201);
      assert.deepEqual([found.waited, found.token, found.refused], [waited, "renewed", false], `exp ${exp}`);
    }
    assert.equal((await comeBack("wallet", "no token", 201)).waited, true);
  });

  test("a revoked token makes the page start again", async () => {
    const byPage = await comeBack("page", tokenOf({ exp: 1_900 }), 401);
    assert.deepEqual([byPage.waited, byPage.refused, byPage.token], [false, true, "signed-in"]);
    const byWallet = await comeBack("wallet", tokenOf({ exp: 1_900 }), 401);
    assert.deepEqual([byWallet.refused, byWallet.kind, byWallet.token], [true, undefined, undefined]);
  });

  test("a guest token in its place makes the page key sign in again", async () => {
    const found = await comeBack("page", tokenOf({ exp: 1_900, guest: true }), 201);
    assert.deepEqual([found.waited, found.token], [true, "signed-in"]);
    assert.ok(!found.asked.includes("/v1/auth/token"));
  });

  test("a browser that keeps nothing still signs in for the page", async () => {
    const forbidden = () => {
      throw new DOMException("storage is forbidden", "SecurityError");
    };
    const memory = new AccountMemory({ getItem: forbidden, setItem: forbidden, removeItem: forbidden }, ORIGIN);
    await signInByPage(memory, ORIGIN, edge(201).fetcher);
    assert.equal(memory.kind, undefined);
  });

  test("its token is renewed as the same account only", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    assert.equal(accountToken(memory, ORIGIN), undefined, "a guest's token is the connection's");
    const good = tokenOf({ sub: "0xaa", exp: 1_900 });
    memory.become("wallet", good);
    const { asked, fetcher } = edge(201);
    const token = accountToken(memory, ORIGIN, fetcher, () => 1_000_000);
    assert.ok(token);
    assert.deepEqual([await token(), asked], [good, []]);
    memory.become("wallet", tokenOf({ sub: "0xbb", exp: 1_900 }));
    await assert.rejects(token(), (error: StreamChainError) => error.code === "author-changed");
    memory.become("wallet", tokenOf({ sub: "0xaa", exp: 1_030 }));
    await assert.rejects(token(), "the renewed token of this edge says nothing");
    assert.deepEqual(asked, ["/v1/auth/token"]);
  });

  test("a wallet's sign-in that is over makes no guest of the page", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    memory.become("wallet", tokenOf({ exp: 1_030 }));
    const token = accountToken(memory, ORIGIN, edge(401).fetcher, () => 1_000_000);
    await assert.rejects(token?.() ?? Promise.resolve(), (error: StreamChainError) => {
      return error.code === "refused" && !error.retryable;
    });
  });

  test("a token that the edge refused is not given again", async () => {
    const memory = new AccountMemory(storage(), ORIGIN);
    memory.become("page", tokenOf({ exp: 1_900 }));
    const token = accountToken(memory, ORIGIN, edge(401).fetcher, () => 1_000_000);
    await token?.();
    assert.equal(await token?.(), "signed-in", "the page's key signs in again");
  });
});
