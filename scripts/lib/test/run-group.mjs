// The program of group-process.mjs: runs the test group that it is given, and sends its counts to the parent.

import { main } from "../console.mjs";
import { GROUPS } from "./groups.mjs";

await main(async () => {
  const group = GROUPS.find(({ name }) => name === process.argv[2]);
  if (!group) throw new Error(`${process.argv[2]}: no such test group`);
  process.send?.(await group.run());
  // An open channel to the parent would keep the process.
  process.disconnect?.();
});
