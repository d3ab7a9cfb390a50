// Routes the frames of a session to the parts of a connection.
//
// What always holds: frames are handled in order; once the session is over, the rest of its last data-channel message is
// dropped. Before the welcome, which names the epoch, a frame cannot be joined to what another session or the edge brought;
// it is handled only when nothing was brought before.

import { chainEventOf } from "../chain/chain-events.ts";
import { retryableError, StreamChainError } from "../errors.ts";
import type { Outbox } from "../publish/outbox.ts";
import type { Sender } from "../publish/sender.ts";
import {
  decodeRelayMessage,
  type ErrorFrame,
  type MessageFrame,
  type RelayFrame,
  type WelcomeFrame,
} from "../wire/frames.ts";
import type { ChainEvent, Presence } from "../wire/records.ts";
import type { LoopState } from "./loop-state.ts";
import { reactionTo } from "./relay-errors.ts";
import type { StreamState } from "./stream-state.ts";

/** Where the frames go. */
interface FrameRouterOptions {
  readonly state: StreamState;
  readonly outbox: Outbox;
  readonly sender: Sender;
  /** Where the session is. */
  readonly at: () => LoopState<unknown>["at"];
  /** Whether frames count before the welcome: nothing of the stream was brought before this session. */
  readonly isEarly: () => boolean;
  /** Whether the relay is asked for new messages only. */
  readonly isAtTail: () => boolean;
  readonly onWelcome: (frame: WelcomeFrame) => void;
  /** A message of the relay was handled. */
  readonly onMessage: (frame: MessageFrame) => void;
  readonly onChain: (event: ChainEvent) => void;
  readonly onPresence: (presence: Presence) => void;
  readonly onError: (frame: ErrorFrame) => void;
  /** Ends the session. */
  readonly end: (error: StreamChainError) => void;
}

/** The router of one connection. */
export class FrameRouter {
  readonly #options: FrameRouterOptions;

  constructor(options: FrameRouterOptions) {
    this.#options = options;
  }

  /** Handles one data-channel message; a message that is not made of frames ends the session. */
  receive(bytes: Uint8Array): void {
    const { sender, state, end } = this.#options;
    try {
      for (const frame of decodeRelayMessage(bytes)) if (this.#isTaken(frame)) this.#route(frame);
    } catch (cause) {
      end(retryableError("malformed", `malformed frame from the relay: ${(cause as Error).message}`));
      if (!(cause instanceof StreamChainError)) throw cause;
      return;
    }
    sender.plan();
    state.changed();
  }

  #isTaken({ kind }: RelayFrame): boolean {
    switch (this.#options.at()) {
      case "open":
        return true;
      case "connecting":
      case "greeting":
        return kind === "welcome" || kind === "error" || this.#options.isEarly();
      default:
        return false;
    }
  }

  #route(frame: RelayFrame): void {
    const { state, sender, onChain, onPresence, onWelcome } = this.#options;
    switch (frame.kind) {
      case "welcome":
        onWelcome(frame);
        break;
      case "message":
        this.#routeMessage(frame);
        break;
      case "signature":
        state.signature(frame);
        break;
      case "gap":
        state.feed.gap(frame.to);
        break;
      case "accepted":
        sender.answered();
        state.accepted(frame.producerSeq, frame.seq, frame.count);
        break;
      case "committed":
        state.committed(frame.committed);
        break;
      case "anchored":
        state.anchored(frame);
        break;
      case "chain":
      case "chain-state":
        onChain(chainEventOf(frame));
        break;
      case "presence": {
        const { readers, publishers, authors } = frame;
        onPresence({ readers, publishers, authors });
        break;
      }
      case "error":
        this.#routeError(frame);
        break;
    }
  }

  #routeMessage(frame: MessageFrame): void {
    const { state, at, isAtTail, onMessage, end } = this.#options;
    if (at() === "open" && frame.epoch > (state.feed.epoch ?? 0)) {
      end(retryableError("relay-unreachable", "the stream moved to another relay")); // the next welcome names its epoch
      return;
    }
    state.message(frame, isAtTail());
    onMessage(frame);
  }

  #routeError(frame: ErrorFrame): void {
    const { outbox, sender, onError, end } = this.#options;
    const { code, text, retryMs } = frame;
    onError(frame);
    const reaction = reactionTo(code, text);
    if (reaction.kind === "end") end(reaction.error);
    if (reaction.kind === "fail" || reaction.kind === "restart") outbox.refused(reaction.error);
    if (reaction.kind === "restart") {
      outbox.renew();
      end(new StreamChainError(reaction.error.code, text, { retryable: true, cause: reaction.error }));
    }
    const reason = reaction.kind === "repeat" ? sender.refused(code, retryMs) : null;
    if (reason !== null) end(retryableError(reason, text));
  }
}
