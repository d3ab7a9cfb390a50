// A key made in this page, as a wallet, for users without one. It signs texts (EIP-191) and nothing else.

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { type Bytes, fromHex, type Hex, keccak, toHex, type Wallet, WalletError } from "../../lib/index.ts";

/** Bytes of a private key. */
const KEY_BYTES = 32;
/** The offset that Ethereum adds to the recovery bit of a signature. */
const V_BASE = 27;

/** Makes a new private key. */
export function makePageKey(): Hex {
  return toHex(secp256k1.utils.randomSecretKey() as Bytes);
}

/** The account of a private key: the end of the hash of its public key. */
function accountOf(secret: Uint8Array): Hex {
  const publicKey = secp256k1.getPublicKey(secret, false).slice(1);
  return toHex(keccak(publicKey).slice(-20) as Bytes);
}

/** Signs a text by EIP-191; the signature is r, s, v. */
function signMessage(secret: Uint8Array, message: Uint8Array): Hex {
  const prefix = new TextEncoder().encode(`\x19Ethereum Signed Message:\n${message.length}`);
  const signed = new Uint8Array(prefix.length + message.length);
  signed.set(prefix);
  signed.set(message, prefix.length);
  const [recovery, ...rs] = secp256k1.sign(keccak(signed), secret, { prehash: false, format: "recovered" });
  return toHex(Uint8Array.from([...rs, V_BASE + (recovery as number)]));
}

/** The wallet of a private key that the page made. */
export function pageWallet(key: Hex): Wallet {
  const secret = fromHex(key, KEY_BYTES);
  const account = accountOf(secret);
  return {
    id: "page",
    name: "page",
    provider: {
      request: async ({ method, params = [] }) => {
        if (method === "eth_requestAccounts" || method === "eth_accounts") return [account];
        if (method === "personal_sign") return signMessage(secret, fromHex(params[0] as Hex));
        throw new WalletError("failed", `a key of this page does no ${method}`);
      },
    },
  };
}
