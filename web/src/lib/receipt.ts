// The public interface of @streamchain/client/receipt: what checks a receipt, without connections. Its names are those of
// the index.

export type { Certificate, CertificateKind, ReceiptAuthor } from "./chain/author-part.ts";
export { keccak } from "./chain/keccak.ts";
export { climb, hashPair, leafHashes, merkleRoot, streamId } from "./chain/merkle.ts";
export { ANCHORED_TOPIC, anchorerOf, checkOnChain } from "./chain/on-chain.ts";
export {
  type CheckResult,
  type CheckStep,
  checkDeployment,
  checkProof,
  type ExpectedDeployment,
  parseReceipt,
  type Receipt,
  type StepId,
} from "./chain/receipt.ts";
export type { ReceiptRound } from "./chain/round.ts";
export { type ErrorCode, type Problem, StreamChainError } from "./errors.ts";
export type { Voucher } from "./signed/certificate.ts";
export { type AuthorCheckOptions, type AuthorResult, checkAuthor } from "./signed/receipt-author.ts";
export { type Bytes, fromHex, type Hex, toHex } from "./wire/bytes.ts";
export type { StreamMessage } from "./wire/records.ts";
