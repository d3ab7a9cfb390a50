// The English texts of the system panel.

const numbers = new Intl.NumberFormat("en");
const plural = (count: number, one: string, many: string): string =>
  `${numbers.format(count)} ${count === 1 ? one : many}`;

export const systemEnglish = {
  title: "System",
  chain: "Chain",
  head: "Head / final",
  contract: "Contract",
  anchorer: "Waiting to be anchored",
  segments: (count: number): string => plural(count, "segment", "segments"),
  relays: "Relays",
  relaysAlive: (alive: number, all: number): string => `${alive} of ${all} running`,
  ok: "up to date",
  lag: (blocks: number): string => `${plural(blocks, "block", "blocks")} behind`,
  down: "does not answer",
  unknown: "not known",
  documents: "Documents: how this works, and how to use it",
  documentsAt: "/docs/",
};
