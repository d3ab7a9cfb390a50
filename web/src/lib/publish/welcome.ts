// What a relay's welcome and the outbox agree on.

/** The outcome of a welcome for the producer. */
export type WelcomeOutcome =
  /** Relay and page agree on what is stored: send what waits. */
  | "in-step"
  /** They disagree: the page has a new producer id, and must send `hello` again. */
  | "renewed";

/** What a relay takes of this session. */
export interface TakenMessages {
  /** Whether it takes signed groups. */
  readonly groups: boolean;
  /** Whether the stream takes nothing else. */
  readonly signedOnly: boolean;
}
