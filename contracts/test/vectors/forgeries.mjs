// Makes forgeries.json: what somebody with all the operator's keys can try, and the true things beside it, for every verifier
// (relay-node, docs/verify-receipt.mjs, the page, the contract) to judge alike.
//
// `receipts` are of version 1, by the operator's own hand: everything but the author's part holds in each of them, and the chain
// has the event that `anchor` names, by `operator`. `holds` says whether the receipt holds, and `voucher` who vouches for the key
// then: "self", "wallet", "contract-wallet", "service", or null where the operator attests the author. `wrong` names what a
// forgery must be found by: "message" (the signature is not over this message), "signature" (it is not the key's), "key" (nobody
// vouches for the key), or "time" (the key did not sign for the author then). A receipt with `stripped` holds only for someone
// who takes the operator's word for the author.
//
// `contractWallets` lists what the contract wallets on the chain accept (EIP-1271): nothing else, and no other account has code.
//
// `streams` are whole streams as their records, with a certificate for each key that is not its author's own; `holds` and
// `wrong` as above, and "chain" for what is missing, doubled or out of order. With `hidden`, only the records show it: history does
// not say the producers of messages without signatures, so whoever reads that must require signatures. With `unvouched`, a
// participant can bring it about beside an honest edge (an account that says no on the chain, or has no code any more, a key that is
// revoked while its messages are on their way): the verifier says that nobody vouches for the groups, goes on, and refuses them where signatures are required.

import { concat, getAddress, keccak256, numberToHex, slice, stringToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { doubleHash, keccakText, streamOf, treeOf } from "./messages.mjs";
import { recordsOf } from "./records.mjs";
import { groupOf, keyOf, sign, ZERO } from "./signed.mjs";

/** @typedef {import("./messages.mjs").Hex} Hex */

const CHAIN_ID = 31337;
const CONTRACT = `0x${"c0".repeat(20)}`;
const OPERATOR = slice(keccakText("operator"), 12);
const DAY = 86_400;
/** The second in which the keys were certified: 2026-01-01T00:00:00Z. */
const T0 = 1_767_225_600;
const HOUR = T0 + 3_600;

const stream = streamOf("letters");
const elsewhere = streamOf("elsewhere");
const producer = slice(keccakText("producer 7"), 0, 16);
const payload = (/** @type {string} */ text) => stringToHex(text);

const page = keyOf("page");
const forger = keyOf("forger");
const walletKey = keyOf("wallet's key");
const serviceKey = keyOf("service's key");
const wallet = privateKeyToAccount(keccakText("wallet"));
const otherWallet = privateKeyToAccount(keccakText("other wallet"));
const contractWallet = getAddress("0x00000000000000000000000000000000c0ffee00");
const service = slice(keccakText("service"), 12);

/** A time as EIP-4361 writes it. */
const at = (/** @type {number} */ second) => new Date(1000 * second).toISOString();

/** The message of a sign-in that delegates to a key. */
const signInOf = ({
  address,
  key,
  expires,
  resources = [],
  chainId = CHAIN_ID,
  uri = "https://chat.example",
  issuedAt = at(T0),
}) =>
  [
    "chat.example wants you to sign in with your Ethereum account:",
    address,
    "",
    "Write under your name.",
    "",
    `URI: ${uri}`,
    "Version: 1",
    `Chain ID: ${chainId}`,
    "Nonce: 0123456789abcdef",
    `Issued At: ${issuedAt}`,
    ...(expires ? [`Expiration Time: ${at(expires)}`] : []),
    "Resources:",
    ...(key ? [`- urn:streamchain:key:p256:${key.base64url}`] : []),
    ...resources.map((resource) => `- ${resource}`),
  ].join("\n");

/** The other signature of the same key and text: s is the high one of its two values, which no wallet makes (EIP-2). */
const withOtherS = (signature) => {
  const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const s = numberToHex(n - BigInt(slice(signature, 32, 64)), { size: 32 });
  return concat([slice(signature, 0, 32), s, slice(signature, 64) === "0x1b" ? "0x1c" : "0x1b"]);
};

/** A wallet's certificate; what is given beside the sign-in stands in the place of what follows from it. */
const certified = async (account, given, more = {}) => {
  const message = signInOf({ address: account.address, ...given });
  return {
    kind: "wallet",
    message,
    signature: await account.signMessage({ message }),
    issued: T0 - 60,
    expires: given.expires ?? T0 - 60 + 30 * DAY,
    ...more,
  };
};

/** The groups of an author's producer: numbers 0 to 2, 3 to 6 and 7. */
const groupsOf = (author, secret, id = stream.id) => {
  const texts = [["one", "two", "three"], ["four", "five", "six", "seven"], ["eight"]];
  let [first, previous] = [0, ZERO];
  return texts.map((group) => {
    const made = groupOf({ stream: id, author, producer, first, payloads: group.map(payload), previous, secret });
    [first, previous] = [first + group.length, made.digest];
    return made;
  });
};

/** The author's part for message `index` of a group. */
const partOf = (group, index, key, certificate) => ({
  key: key.key,
  producer: group.producer,
  producerSeq: group.first + index,
  group: {
    first: group.first,
    count: group.count,
    previous: group.previous,
    root: group.root,
    proof: group.tree.getProof(index),
  },
  signature: group.signature,
  certificate,
});

/** A receipt of version 1 over three leaves, as the operator can make it for any message. */
const receiptOf = ({ of = stream, seq = 17, time = HOUR, author, payload, erased, part }) => {
  const ms = 1000 * time + 250;
  const hash = erased ? erased.digest : keccak256(payload);
  const words = ["bytes32", "uint64", "uint64", "address", "bytes32"];
  const leaf = doubleHash(words, [of.id, BigInt(seq), BigInt(ms), author, hash]);
  const tree = treeOf([keccakText("leaf before"), leaf, keccakText("leaf behind")]);
  const anchor = {
    first: seq - 1,
    count: 3,
    root: tree.root,
    tx: keccakText(`tx ${tree.root}`),
    block: 90,
    blockHash: keccakText("block 90"),
    logIndex: 2,
  };
  return {
    type: "streamchain-receipt",
    version: 1,
    chainId: CHAIN_ID,
    contract: CONTRACT,
    stream: { id: of.id, owner: of.owner, name: of.name },
    message: { seq, time: ms, author, payload: erased ? "0x" : payload, ...(erased && { erased }) },
    leaf,
    proof: tree.getProof(1),
    root: tree.root,
    anchor,
    ...(part && { author: part }),
  };
};

/** A case about message `index` of a group; `change` is what differs. */
const caseOf = (title, { group, index, key, certificate, ...rest }, verdict) => {
  const { author = group.author, text, change, ...receipt } = rest;
  const part = partOf(group, index, key, certificate);
  change?.(part);
  return {
    title,
    receipt: receiptOf({ author, payload: text ?? group.payloads[index], part, ...receipt }),
    ...verdict,
  };
};

const own = { kind: "self" };
const holds = (voucher) => ({ holds: true, voucher });
const fails = (wrong) => ({ holds: false, wrong });

/** Receipts that hold. */
const trueReceipts = (certificates) => {
  const [one, four, eight] = groupsOf(page.author, page.secret);
  const byWallet = groupsOf(wallet.address.toLowerCase(), walletKey.secret);
  const byContract = groupsOf(contractWallet.toLowerCase(), walletKey.secret);
  const byService = groupsOf(service, serviceKey.secret);
  const [byOperator] = groupsOf(wallet.address.toLowerCase(), forger.secret);
  const many = groupOf({
    stream: stream.id,
    author: page.author,
    producer,
    first: 0,
    payloads: Array.from({ length: 256 }, (_, n) => payload(`${n}`)),
    previous: ZERO,
    secret: page.secret,
    turned: true,
  });
  const mine = { key: page, certificate: own };
  const walled = { group: byWallet[1], index: 1, key: walletKey };
  const erased = { size: 4, digest: keccak256(payload("four")) };
  const served = { kind: "service", account: service, issued: T0 };
  return [
    caseOf("a page's first message", { group: one, index: 0, ...mine }, holds("self")),
    caseOf("a page's message inside a group", { group: four, index: 2, ...mine }, holds("self")),
    caseOf("a group of one", { group: eight, index: 0, ...mine }, holds("self")),
    caseOf("the last of 256 messages, with the other s", { group: many, index: 255, ...mine }, holds("self")),
    caseOf("an erased message", { group: four, index: 0, erased, ...mine }, holds("self")),
    caseOf("a wallet's message", { ...walled, certificate: certificates.wallet }, holds("wallet")),
    caseOf(
      "a wallet's message by a sign-in with an end",
      { ...walled, certificate: certificates.ending },
      holds("wallet"),
    ),
    caseOf(
      "a wallet's message by a sign-in for this stream",
      { ...walled, certificate: certificates.forStream },
      holds("wallet"),
    ),
    caseOf(
      "a wallet's message before its key was revoked",
      { ...walled, certificate: { ...certificates.wallet, revoked: HOUR + 1 } },
      holds("wallet"),
    ),
    caseOf(
      "a contract wallet's message",
      { group: byContract[0], index: 1, key: walletKey, certificate: certificates.contract },
      holds("contract-wallet"),
    ),
    caseOf(
      "a service's message",
      { group: byService[0], index: 2, key: serviceKey, certificate: served },
      { ...holds("service"), stripped: true },
    ),
    caseOf(
      "a message in a wallet's name by a key that the operator alone vouches for",
      { group: byOperator, index: 0, key: forger, certificate: { kind: "service", account: OPERATOR, issued: T0 } },
      { ...holds("service"), stripped: true },
    ),
    {
      title: "a message without the author's part",
      receipt: receiptOf({ author: page.author, payload: payload("one") }),
      ...holds(null),
      stripped: true,
    },
  ];
};

/** What is tried with whole messages: another's, a changed payload, order or stream. */
const forgedMessages = () => {
  const debt = payload("the operator owes you 1 ETH");
  const [one, four, eight] = groupsOf(page.author, page.secret);
  const mine = { key: page, certificate: own };
  const theirs = { stream: stream.id, author: page.author, producer, previous: ZERO, secret: forger.secret };
  const byForger = groupOf({ ...theirs, first: 0, payloads: [debt] });
  const swapped = groupOf({
    ...one,
    payloads: [one.payloads[1], one.payloads[0], one.payloads[2]],
    secret: page.secret,
  });
  const reordered = { ...one, root: swapped.root, tree: swapped.tree };
  const cut = groupOf({ ...four, payloads: four.payloads.slice(0, 2), secret: forger.secret });
  const skipping = { ...eight, previous: one.digest };
  const byThem = { group: byForger, index: 0 };
  const inside = { group: four, index: 1, ...mine };
  const second = one.payloads[1];
  const part = (title, given, wrong) => caseOf(title, given, fails(wrong));
  return [
    part("another's message, signed by the operator's key", { ...byThem, key: forger, certificate: own }, "key"),
    part("another's message under the author's key, signed by the operator's", { ...byThem, ...mine }, "signature"),
    part("a changed payload", { ...inside, text: debt }, "message"),
    part("a changed order", { group: one, index: 0, text: second, ...mine }, "message"),
    part("a changed order, with its root", { group: reordered, index: 0, text: second, ...mine }, "signature"),
    part("a replay to another stream", { ...inside, of: elsewhere }, "signature"),
    part("under another author", { ...inside, author: forger.author }, "key"),
    part("a group cut short", { group: cut, index: 1, ...mine }, "signature"),
    part("a group left out before it", { group: skipping, index: 0, ...mine }, "signature"),
  ];
};

/** What is tried with the fields of the author's part: the number, the group, the path and the signature. */
const forgedFields = () => {
  const [one, four] = groupsOf(page.author, page.secret);
  const payloads = [...four.payloads.slice(0, 3), payload("forged")];
  const forged = groupOf({ ...four, payloads, secret: forger.secret });
  const inside = { group: four, index: 1, key: page, certificate: own };
  const part = (title, more, wrong = "signature") =>
    caseOf(title, { ...inside, change: (made) => Object.assign(made, more) }, fails(wrong));
  const group = (title, more, wrong) =>
    caseOf(title, { ...inside, change: (made) => Object.assign(made.group, more) }, fails(wrong));
  const path = four.tree.getProof(1);
  return [
    part("another number", { producerSeq: 5 }, "message"),
    part("a number outside the group", { producerSeq: 8 }, "message"),
    part("another producer", { producer: slice(keccakText("producer 8"), 0, 16) }),
    part("an empty signature", { signature: `0x${"00".repeat(64)}` }),
    part("the signature of another group", { signature: one.signature }),
    part("the author's signature over something else", { signature: sign(page.secret, payload("else")) }),
    group("another first number", { first: 2 }, "signature"),
    group("another count", { count: 3 }, "signature"),
    group("no messages in the group", { count: 0 }, "message"),
    group("more messages than a group has", { count: 257 }, "message"),
    group("another group before it", { previous: keccakText("another") }, "signature"),
    group("no group before it", { previous: ZERO }, "message"),
    group("a root and path of other payloads", { root: forged.root, proof: forged.tree.getProof(1) }, "signature"),
    group("a longer path", { proof: [...path, ZERO] }, "message"),
    group("a path of nine hashes", { proof: Array(9).fill(ZERO) }, "message"),
  ];
};

/** What is tried with keys and certificates. */
const forgedKeys = (certificates) => {
  const author = wallet.address.toLowerCase();
  const [group] = groupsOf(author, walletKey.secret);
  const [byForger] = groupsOf(author, forger.secret);
  const [byPage] = groupsOf(page.author, walletKey.secret);
  const walled = { group, index: 1, key: walletKey };
  const forged = { group: byForger, index: 1, key: forger };
  const { wallet: good, ...others } = certificates;
  const late = T0 + 31 * DAY;
  const wrongSignatures = [
    ["a wallet's signature of zeros", `0x${"00".repeat(65)}`],
    ["an empty signature, as of a wallet that is not deployed", `0x${"6492".repeat(16)}`],
    ["the wallet's signature with the other s", withOtherS(good.signature)],
  ];
  return [
    caseOf("the key is not the author, and nobody delegated to it", { ...walled, certificate: own }, fails("key")),
    caseOf("the wallet's certificate with another key", { ...forged, certificate: good }, fails("key")),
    caseOf(
      "another account's certificate",
      { group: byPage, index: 1, key: walletKey, certificate: good },
      fails("key"),
    ),
    caseOf("a certificate that the operator signed", { ...forged, certificate: others.forged }, fails("key")),
    caseOf(
      "a certificate with a signature of another sign-in",
      { ...forged, certificate: { ...good, message: others.forged.message } },
      fails("key"),
    ),
    caseOf(
      "a certificate of another account in the author's name",
      { ...forged, certificate: others.other },
      fails("key"),
    ),
    caseOf("a sign-in that delegates to no key", { ...walled, certificate: others.keyless }, fails("key")),
    caseOf("a sign-in that delegates to two keys", { ...walled, certificate: others.twoKeys }, fails("key")),
    caseOf("a sign-in for another chain", { ...walled, certificate: others.otherChain }, fails("key")),
    caseOf("a sign-in for another stream", { ...walled, certificate: others.otherStream }, fails("key")),
    caseOf("a sign-in for another stream, at another port", { ...walled, certificate: others.otherPort }, fails("key")),
    caseOf("a sign-in for another stream, at its URI", { ...walled, certificate: others.otherUri }, fails("key")),
    caseOf("a sign-in at an hour that there is not", { ...walled, certificate: others.noHour }, fails("key")),
    ...wrongSignatures.map(([title, signature]) =>
      caseOf(title, { ...walled, certificate: { ...good, signature } }, fails("key")),
    ),
    caseOf("a certificate that is no sign-in", { ...walled, certificate: { ...good, message: "hello" } }, fails("key")),
    caseOf(
      "a certificate with a longer life",
      { ...walled, time: late, certificate: { ...good, expires: late + DAY } },
      fails("key"),
    ),
    caseOf(
      "a certificate with an earlier beginning",
      { ...walled, time: T0 - DAY, certificate: { ...good, issued: T0 - 2 * DAY } },
      fails("key"),
    ),
    caseOf("an expired key", { ...walled, time: late, certificate: good }, fails("time")),
    caseOf(
      "an expired key, by the sign-in's own end",
      { ...walled, time: T0 + 2 * DAY, certificate: others.ending },
      fails("time"),
    ),
    caseOf("a key that was not certified yet", { ...walled, time: T0 - DAY, certificate: good }, fails("time")),
    caseOf("a revoked key", { ...walled, time: HOUR, certificate: { ...good, revoked: HOUR - 1 } }, fails("time")),
    caseOf(
      "a service's key before it was registered",
      { ...walled, time: T0 - 1, certificate: { kind: "service", account: service, issued: T0 } },
      fails("time"),
    ),
  ];
};

/** The certificates, good and bad; wallets sign asynchronously. */
const makeCertificates = async () => {
  const theStream = `https://chat.example/v1/streams/${stream.id}`;
  const another = `https://chat.example/v1/streams/${elsewhere.id}`;
  const inName = { signMessage: otherWallet.signMessage, address: wallet.address };
  const byContract = { address: contractWallet, signMessage: async () => "0x1271c0de" };
  return {
    wallet: await certified(wallet, { key: walletKey }),
    ending: await certified(wallet, { key: walletKey, expires: T0 + DAY }),
    forStream: await certified(wallet, { key: walletKey, resources: [theStream] }),
    contract: await certified(byContract, { key: walletKey }),
    forged: await certified(inName, { key: forger }),
    other: await certified(otherWallet, { key: forger }),
    keyless: await certified(wallet, { resources: [theStream] }),
    twoKeys: await certified(wallet, { key: walletKey, resources: [`urn:streamchain:key:p256:${forger.base64url}`] }),
    otherChain: await certified(wallet, { key: walletKey, chainId: 1 }),
    otherStream: await certified(wallet, { key: walletKey, resources: [another] }),
    otherPort: await certified(wallet, { key: walletKey, resources: [another.replace(".example", ".example:8443")] }),
    otherUri: await certified(wallet, {
      key: walletKey,
      uri: "HTTPS://app.example",
      resources: [another.replace("chat.example", "app.example")],
    }),
    noHour: await certified(wallet, { key: walletKey, issuedAt: "2025-12-31T24:00:00Z" }),
  };
};

/** Whole streams of one producer of the page: each group's messages are next to each other. */
const streams = (certificates) => {
  const mine = groupsOf(page.author, page.secret).map((group) => ({ ...group, key: page.key }));
  const [one, four, eight] = mine;
  const forged = groupOf({ ...four, payloads: four.payloads.map(() => payload("forged")), secret: forger.secret });
  const author = wallet.address.toLowerCase();
  const walled = groupsOf(author, walletKey.secret).map((group) => ({ ...group, key: walletKey.key }));
  const replayed = groupsOf(page.author, page.secret, elsewhere.id).map((group) => ({ ...group, key: page.key }));
  const unsigned = { author: page.author, producer, first: 0, payloads: [payload("plain")] };
  const [aside] = groupsOf(forger.author, forger.secret).map((group) => ({ ...group, key: forger.key }));
  const certificate = (given) => [{ author, key: walletKey.key, ...given }];
  const byOperator = groupsOf(author, forger.secret).map((group) => ({ ...group, key: forger.key }));
  const contract = contractWallet.toLowerCase();
  const contracted = groupsOf(contract, walletKey.secret).map((group) => ({ ...group, key: walletKey.key }));
  const byContract = { certificates: [{ author: contract, key: walletKey.key, ...certificates.contract }] };
  const streamCase = (title, groups, verdict, more = {}) => ({
    title,
    ...recordsOf(groups, 1000 * HOUR),
    certificates: [],
    ...verdict,
    ...more,
  });
  const good = { holds: true };
  return [
    streamCase("three groups", mine, good),
    streamCase("two authors with the same producer id", [one, aside, four], good),
    streamCase("messages without signatures", [unsigned, { ...unsigned, first: 1 }], good),
    streamCase("a wallet's groups", walled, good, { certificates: certificate(certificates.wallet) }),
    streamCase("a wallet's groups without a certificate", walled, fails("key")),
    streamCase("a wallet's groups with a certificate by the operator", walled, fails("key"), {
      certificates: certificate({ ...certificates.forged, kind: "wallet" }),
    }),
    streamCase("a wallet's groups by the operator's key and certificate", byOperator, fails("key"), {
      certificates: [{ author, key: forger.key, ...certificates.forged }],
      unvouched: true,
    }),
    streamCase("a wallet's groups with another account's certificate", walled, fails("key"), {
      certificates: certificate(certificates.other),
    }),
    streamCase("a wallet's groups by a key that was revoked before", walled, fails("time"), {
      certificates: certificate({ ...certificates.wallet, revoked: T0 }),
      unvouched: true,
    }),
    streamCase("a contract wallet's groups, and a page's behind them", [...contracted, ...mine], good, byContract),
    streamCase(
      "a contract wallet's groups, and one left out behind them",
      [...contracted, one, eight],
      fails("chain"),
      {
        ...byContract,
      },
    ),
    streamCase("a group left out of the middle", [one, eight], fails("chain")),
    streamCase("the first group left out", [four, eight], fails("chain")),
    streamCase("a group cut short", [one, { ...four, payloads: four.payloads.slice(0, 2) }, eight], fails("chain")),
    streamCase("the last group cut short", [one, { ...four, payloads: four.payloads.slice(0, 3) }], fails("chain")),
    streamCase("a group replayed", [one, four, four, eight], fails("chain")),
    streamCase("groups out of order", [one, eight, four], fails("chain")),
    streamCase("a replay of another stream's groups", replayed, fails("signature")),
    streamCase("a changed payload", [one, { ...four, payloads: forged.payloads }, eight], fails("signature")),
    streamCase("a group signed by the operator's key", [one, { ...forged, key: forger.key }], fails("key")),
    streamCase("a message without a signature behind groups", [one, { ...unsigned, first: 3 }], fails("chain"), {
      hidden: true,
    }),
    streamCase("groups behind messages without signatures", [unsigned, { ...four, first: 1 }], fails("chain")),
    streamCase("a group without its header", [one, { ...four, signature: undefined }], fails("chain"), {
      hidden: true,
    }),
  ];
};

/** What forgeries.json has beside its explanation. */
export const forgeries = async () => {
  const certificates = await makeCertificates();
  const signed = certificates.contract;
  return {
    chainId: CHAIN_ID,
    contract: CONTRACT,
    operator: OPERATOR,
    owner: stream.owner,
    stream: { id: stream.id, owner: stream.owner, name: stream.name },
    contractWallets: [{ address: contractWallet.toLowerCase(), message: signed.message, signature: signed.signature }],
    receipts: [...trueReceipts(certificates), ...forgedMessages(), ...forgedFields(), ...forgedKeys(certificates)],
    streams: streams(certificates),
  };
};
