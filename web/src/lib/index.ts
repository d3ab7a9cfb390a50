// The public face of @streamchain/client.

export { type Bytes, fromHex, type Hex, toHex } from "./bytes.ts";
export { ANCHORED_TOPIC, checkOnChain } from "./chain.ts";
export { type ChainEvent, ChainEvents, type ChainState, chainEventKey } from "./chain-events.ts";
export { connect, StreamConnection } from "./connection.ts";
export type {
  AnchorNews,
  ConnectionEvents,
  ConnectionState,
  ConnectOptions,
  StateChange,
  StreamMarks,
} from "./connection-types.ts";
export { keepToken, keptToken } from "./credentials.ts";
export { type AdviceId, ATTEMPT_STEPS, type Attempt, type AttemptStep, type AttemptStepId } from "./diagnosis.ts";
export type { DirectMessage } from "./direct-inbox.ts";
export { CHAIN_PAGE, EdgeClient, type PublishNumber, type PublishOptions } from "./edge.ts";
export type {
  AnchorInfo,
  Cost,
  EdgeConfig,
  EdgeCosts,
  EdgeStatus,
  Published,
  RelayStatus,
  StreamInfo,
  StreamMessage,
} from "./edge-answers.ts";
export { type ErrorCode, type Problem, StreamChainError } from "./errors.ts";
export {
  type ChainSubject,
  EventFollower,
  type FollowedEvent,
  type FollowedState,
  type FollowOptions,
  type FollowTimers,
  followEvents,
} from "./event-follower.ts";
export type { Guarantee } from "./feed.ts";
export { RelayErrorCode } from "./frames.ts";
export { MAX_PAYLOAD_BYTES } from "./limits.ts";
export type { MessageState } from "./marks.ts";
export { climb, hashPair, keccak, leafHashes, merkleRoot, streamId } from "./merkle.ts";
export { type Platform, type RequestTiming, type SharedLocks, storageOf, type TextStorage } from "./platform.ts";
export type { Publication, PublicationState } from "./publication.ts";
export {
  type CheckResult,
  type CheckStep,
  checkDeployment,
  checkProof,
  parseReceipt,
  type Receipt,
  type StepId,
} from "./receipt.ts";
export type { ConnectionPath } from "./session.ts";
export { checksumAddress, postJson, signIn, signInText } from "./sign-in.ts";
export type { SubscribeOptions, Subscription, SubscriptionEvents } from "./subscription.ts";
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
} from "./wallet.ts";
export type { Way, WayId } from "./ways.ts";
