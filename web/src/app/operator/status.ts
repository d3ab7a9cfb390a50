// What the operator's page reads of `GET /v1/status`. A part that did not answer is absent.

/** A relay. */
export interface Relay {
  readonly id: string;
  readonly region: string;
  readonly alive: boolean;
  readonly sessions: number;
  readonly streams: number;
  readonly lastSeen: number;
}

/** The status of the deployment. */
export interface Status {
  readonly now: number;
  readonly chain: {
    readonly ok?: boolean;
    readonly head?: number | null;
    readonly lag?: number;
    readonly gaps?: readonly unknown[];
    readonly error?: string | null;
  };
  readonly anchorer: {
    readonly balanceWei?: string | null;
    readonly pendingSegments?: number;
    readonly inFlight?: { readonly sinceMs: number } | null;
    readonly blockedStreams?: readonly { readonly stream: string; readonly reason: string }[];
    readonly gasBudget?: { readonly daily: number; readonly used: number; readonly waiting: boolean };
    readonly lastError?: string | null;
    readonly rounds?: { readonly problem?: string };
  };
  readonly rounds: {
    readonly anchored?: number;
    readonly final?: number;
    readonly batchers: readonly { readonly pending?: number; readonly error?: string }[];
    readonly error?: string;
  };
  readonly relays: readonly Relay[];
  readonly storage: {
    readonly database?: { readonly bytes: number; readonly capacity: number; readonly state: string };
    readonly archive?: { readonly packs: number; readonly bytes: number; readonly error?: string | null };
    readonly error?: string;
  };
  readonly signIn: { readonly ok: boolean; readonly error?: string };
  readonly streams?: number;
  readonly webhooks?: number;
  readonly edge: {
    readonly requests: Readonly<Record<string, Readonly<Record<string, number>>>>;
    readonly limitsHit?: Readonly<Record<string, number>>;
    readonly webhooks?: { readonly delivered: number; readonly failed: number };
  };
}

/** A stream of the list. */
export interface StreamRow {
  readonly id: string;
  readonly name: string;
  readonly read: string;
  readonly created: number;
}

/** An entry of the audit log. */
export interface Refusal {
  readonly time: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly reason?: string;
  readonly count?: number;
}

/** Every error that a part of the deployment reports, with the part's name. */
export function errorsOf({
  chain,
  anchorer,
  rounds,
  storage,
  signIn,
}: Status): (readonly [part: string, text: string])[] {
  const all: [string, string | null | undefined][] = [
    ["chain", chain.error],
    ["anchorer", anchorer.lastError],
    ["anchorer.rounds", anchorer.rounds?.problem],
    ["rounds", rounds.error],
    ...rounds.batchers.map(({ error }): [string, string | undefined] => ["rounds.batchers", error]),
    ["storage", storage.error],
    ["storage.archive", storage.archive?.error],
    ["signIn", signIn.error],
    ...(anchorer.blockedStreams ?? []).map(({ stream, reason }): [string, string] => [stream, reason]),
  ];
  return all.flatMap(([part, text]) => (text ? [[part, text] as const] : []));
}
