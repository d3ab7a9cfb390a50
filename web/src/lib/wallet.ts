// The public interface of @streamchain/client/wallet: wallets, sign-in and the contract's calls, without connections. Its
// names are those of the index.

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
export { type ErrorCode, type Problem, StreamChainError } from "./errors.ts";
export { checksumAddress, signIn, signInText } from "./http/sign-in.ts";
export { type Bytes, fromHex, type Hex, toHex } from "./wire/bytes.ts";
