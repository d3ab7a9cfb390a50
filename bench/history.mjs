// History: a million messages through the database into packs, read all the while, with the edge killed at times.

import { moveHistory } from "../tests/edge/moving.ts";
import { ratio, rounded } from "./lib/statistics.mjs";

const MESSAGES = Number(process.env.HISTORY_MESSAGES ?? 1_000_000);
const BYTES = 100;
const KILLS = 6;

export const benches = [
  {
    name: "history",
    /** @param {{ log: (line: string) => void }} context */
    run: async ({ log }) => {
      const small = { packBytes: 1024 * 1024, behind: 20 };
      const how = { messages: MESSAGES, batch: 1_000, bytes: BYTES, kills: KILLS, ...small };
      const moved = await moveHistory({ ...how, anchor: "shared", log });
      const megabytes = (/** @type {number} */ bytes) => rounded(bytes / 1e6);
      return [
        {
          figure: `messages of ${BYTES} B stored`,
          value: MESSAGES,
          unit: "messages",
          note: `${moved.kills} kills, 0 lost`,
        },
        { figure: "of them in packs", value: moved.packed, unit: "messages", note: `${moved.packs} packs` },
        {
          figure: "messages read as events meanwhile",
          value: moved.events,
          unit: "messages",
          note: `in order, each once; ${moved.passes} passes over all by HTTP, ${moved.receipts} receipts checked up to their round`,
        },
        {
          figure: "most that the database had",
          value: megabytes(moved.databaseBytes),
          unit: "MB",
          note: `the packs have ${megabytes(moved.packedBytes)} MB`,
        },
        { figure: "1,000 recent messages by HTTP", value: rounded(moved.recentMs), unit: "ms" },
        {
          figure: "1,000 old messages by HTTP",
          value: rounded(moved.oldMs),
          unit: "ms",
          note: ratio(moved.oldMs, moved.recentMs, "recent ones"),
        },
      ];
    },
  },
];
