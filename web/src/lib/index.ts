// The public interface of @streamchain/client. `AnchorNews`, `ChainState`, `Way` and `WayId` are names of earlier versions.

export type { Certificate, CertificateKind, ReceiptAuthor } from "./chain/author-part.ts";
export { ChainEvents, chainEventKey } from "./chain/chain-events.ts";
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
export {
  connectWallet,
  discoverWallets,
  followTransaction,
  LOCAL_CHAIN_ID,
  localWallet,
  openStream,
  publishCalldata,
  sendPublish,
  signText,
  type TransactionState,
  useChain,
  type Wallet,
  WalletError,
  type WalletErrorCode,
  type WalletProvider,
} from "./chain/wallet.ts";
export type { AuthorCheck } from "./connection/author-verifier.ts";
export { connect, StreamConnection } from "./connection/connection.ts";
export {
  type MatchEvents,
  type MatchedMessage,
  type MatchedStream,
  type MatchOptions,
  StreamMatches,
  sub,
} from "./connection/matches.ts";
export type { WishedPresence } from "./connection/presence.ts";
export type {
  AuthorChange,
  ConnectionEvents,
  ConnectionState,
  ConnectOptions,
  RelayError,
  StateChange,
  StreamMarks,
} from "./connection/types.ts";
export type { DirectMessage } from "./direct/inbox.ts";
export { type ErrorCode, type Problem, StreamChainError } from "./errors.ts";
export { keepToken, keptToken, type TokenOption } from "./http/credentials.ts";
export type {
  AnchorInfo,
  Cost,
  EdgeConfig,
  EdgeCosts,
  EdgeStatus,
  MatchPage,
  Published,
  RelayStatus,
  StreamInfo,
} from "./http/edge-answers.ts";
export {
  CHAIN_PAGE,
  EdgeClient,
  type MatchQuery,
  type PublishNumber,
  type PublishOptions,
} from "./http/edge-client.ts";
export {
  type ChainSubject,
  EventFollower,
  type FollowedEvent,
  type FollowedState,
  type FollowOptions,
  type FollowTimers,
  followEvents,
} from "./http/event-follower.ts";
export type { KeyOption } from "./http/key-ring.ts";
export { guestKeyName } from "./http/key-ring.ts";
export { checksumAddress, postJson, type SignInOptions, signIn, signInText } from "./http/sign-in.ts";
export { MAX_PAYLOAD_BYTES } from "./limits.ts";
export type { AnchorState, AnchorState as ChainState, MessageState } from "./marks.ts";
export { type Platform, type RequestTiming, type SharedLocks, storageOf, type TextStorage } from "./platform.ts";
export type { Publication, PublicationState } from "./publish/publication.ts";
export type { Guarantee } from "./read/feed.ts";
export type { SubscribeOptions, Subscription, SubscriptionEvents } from "./read/subscription.ts";
export {
  type AdviceId,
  ATTEMPT_STEPS,
  type Attempt,
  type AttemptStep,
  type AttemptStepId,
} from "./session/attempt-log.ts";
export type {
  CandidatePath,
  CandidatePath as Way,
  CandidatePathKind,
  CandidatePathKind as WayId,
} from "./session/candidate-paths.ts";
export type { ConnectionPath } from "./session/path-stats.ts";
export type { Voucher } from "./signed/certificate.ts";
export type { NodeToAsk } from "./signed/contract-wallet.ts";
export { type AuthorCheckOptions, type AuthorResult, checkAuthor } from "./signed/receipt-author.ts";
export { type Keys, type SigningKey, webKeys } from "./web-keys.ts";
export type { IceServer, RtcConfiguration, WebRtc } from "./webrtc.ts";
export { type Bytes, fromHex, type Hex, toHex } from "./wire/bytes.ts";
export { RelayErrorCode } from "./wire/frames.ts";
export type {
  AnchorRef,
  AnchorRef as AnchorNews,
  ChainEvent,
  MessageSignature,
  Omitted,
  Presence,
  StreamMessage,
} from "./wire/records.ts";
