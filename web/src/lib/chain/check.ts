// The outcome of a check, step by step, with the values that each step compared.

/** What one step of a check compares. */
export type StepId =
  | "stream-id"
  | "payload-hash"
  | "leaf"
  | "sibling"
  | "root"
  | "range"
  | "rounds"
  | "bucket"
  | "round"
  | "peak"
  | "chain-id"
  | "contract"
  | "stream"
  | "rounds-owner"
  | "message"
  | "transaction"
  | "block"
  | "event"
  | "finality"
  | "author-place"
  | "author-group"
  | "author-signature"
  | "author-key"
  | "author-operator";

/** One step of a check, with the values that it compared or computed. */
export interface CheckStep {
  readonly id: StepId;
  readonly ok: boolean;
  /** Named values, in the order in which to show them. */
  readonly values: readonly (readonly [name: string, value: string])[];
}

/** The outcome of a check: `ok` only when every step is. */
export interface CheckResult {
  readonly ok: boolean;
  readonly steps: readonly CheckStep[];
}

/** Joins steps into a result. */
export function checkResult(steps: readonly CheckStep[]): CheckResult {
  return { ok: steps.length > 0 && steps.every((step) => step.ok), steps };
}

/** Whether two texts are the same, and the values that show it; what is expected may be in upper case. */
export const same = (name: string, receipt: string, expected: string): [ok: boolean, values: CheckStep["values"]] => [
  receipt === expected.toLowerCase(),
  [
    [name, receipt],
    ["expected", expected.toLowerCase()],
  ],
];
