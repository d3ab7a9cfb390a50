// Signatures of contract wallets that are yet to be deployed (EIP-6492): beside the signature they carry the call that
// deploys the wallet.
//
// What always holds: nothing is deployed. A node runs a small program of ours on its state and drops the changes. The program
// makes the deploying call only where the wallet has no code yet, and then asks the wallet as any contract wallet (EIP-1271).

import { type Bytes, concat, fromHex, type Hex } from "../wire/bytes.ts";

/** The last 32 bytes of such a signature. */
const SUFFIX = fromHex(`0x${"6492".repeat(16)}`);

/** Who asks wallets: an address without a key. The zero address makes some wallets accept everything. */
export const ASKED_BY: Hex = "0x7374726561636861696e2d7369676e2d696e2d61";

const WORD = 32;

/** A signature with what deploys its wallet. */
interface Undeployed {
  /** The contract that deploys the wallet. */
  readonly factory: Uint8Array;
  /** The calldata with which it does so. */
  readonly calldata: Uint8Array;
  /** The signature that the deployed wallet is asked about. */
  readonly signature: Uint8Array;
}

/** Reads a signature; undefined when it is of another kind, or malformed. */
export function readUndeployed(bytes: Uint8Array): Undeployed | undefined {
  const encoded = bytes.subarray(0, -WORD);
  if (bytes.length < WORD || !bytes.subarray(-WORD).every((byte, at) => byte === SUFFIX[at])) return undefined;
  /** The integer in a word, or NaN where it is none that a signature could have. */
  const uintAt = (at: number): number => {
    const word = encoded.subarray(at, at + WORD);
    const isSmall = word.length === WORD && word.subarray(0, WORD - 4).every((byte) => byte === 0);
    return isSmall ? new DataView(word.buffer, word.byteOffset).getUint32(WORD - 4) : Number.NaN;
  };
  const bytesAt = (offset: number): Uint8Array | undefined => {
    const [start, length] = [offset + WORD, uintAt(offset)];
    return start + length <= encoded.length ? encoded.subarray(start, start + length) : undefined;
  };
  const isAddress = encoded.length >= WORD && encoded.subarray(0, 12).every((byte) => byte === 0);
  const [calldata, signature] = [bytesAt(uintAt(WORD)), bytesAt(uintAt(2 * WORD))];
  if (!isAddress || calldata === undefined || signature === undefined) return undefined;
  return { factory: encoded.subarray(12, WORD), calldata, signature };
}

const OP = {
  mul: 0x02,
  codecopy: 0x39,
  extcodesize: 0x3b,
  returndatasize: 0x3d,
  returndatacopy: 0x3e,
  pop: 0x50,
  jumpi: 0x57,
  gas: 0x5a,
  jumpdest: 0x5b,
  push1: 0x60,
  push3: 0x62,
  push20: 0x73,
  dup1: 0x80,
  call: 0xf1,
  return: 0xf3,
  staticcall: 0xfa,
} as const;

const ZERO = [OP.push1, 0] as const;

const push3 = (value: number): number[] => [OP.push3, value >> 16, (value >> 8) & 0xff, value & 0xff];

/** What copies `size` bytes behind the program to the memory, and pushes that they are sent and that no answer is kept. */
const input = (size: number, at: number): number[] => [
  ...[...push3(size), ...push3(at), ...ZERO, OP.codecopy],
  ...[...ZERO, ...ZERO, ...push3(size), ...ZERO],
];

/**
 * The program that returns what the wallet at `account` answers to `question`, calldata of `isValidSignature`. It is run as
 * creation code: by `eth_call` without an address.
 */
export function deployingProgram({ factory, calldata }: Undeployed, account: Uint8Array, question: Uint8Array): Bytes {
  const jump = (ask: number): number[] => [OP.push20, ...account, OP.extcodesize, ...push3(ask), OP.jumpi];
  const deploy = (data: number): number[] => [
    ...input(calldata.length, data),
    ...ZERO,
    OP.push20,
    ...factory,
    OP.gas,
    OP.call,
    OP.pop,
  ];
  const ask = (data: number): number[] => [
    OP.jumpdest,
    ...input(question.length, data),
    OP.push20,
    ...account,
    OP.gas,
    OP.staticcall,
    // Nothing is returned where the call failed.
    ...[OP.returndatasize, OP.mul, OP.dup1, ...ZERO, ...ZERO, OP.returndatacopy, ...ZERO, OP.return],
  ];
  const askAt = jump(0).length + deploy(0).length;
  const end = askAt + ask(0).length;
  const code = [...jump(askAt), ...deploy(end), ...ask(end + calldata.length)];
  return concat([new Uint8Array(code), calldata, question]);
}
