// The settings of a stream that the page shows. A setting more is one line here, and its texts.

/** One setting: its name in the API, and what it may be. */
export type Setting =
  | { readonly name: string; readonly kind: "choice"; readonly values: readonly string[] }
  | { readonly name: string; readonly kind: "switch" }
  | { readonly name: string; readonly kind: "days"; readonly forever: string; readonly max: number };

/** In the order of the form. The texts have a member of the same name for each. */
export const SETTINGS = [
  { name: "read", kind: "choice", values: ["public", "private"] },
  { name: "write", kind: "choice", values: ["open", "closed"] },
  { name: "signed", kind: "choice", values: ["optional", "required"] },
  { name: "anchor", kind: "choice", values: ["shared", "own"] },
  { name: "mode", kind: "choice", values: ["root", "hash", "payload"] },
  { name: "prove", kind: "switch" },
  { name: "p2p", kind: "switch" },
  { name: "retention", kind: "days", forever: "forever", max: 36_500 },
] as const satisfies readonly Setting[];

/** The names of the settings. */
export type SettingName = (typeof SETTINGS)[number]["name"];
