import { encodeFunctionData, parseAbi, toHex } from "viem";
import { chainOf } from "./lib/chain.mjs";
import { until } from "./lib/target.mjs";

const ABI = parseAbi(["function publish(bytes32 stream, bytes payload)"]);
/** The protocol's bound, and the contract's. */
const MAX_PAYLOAD = 65_536;
/** Longer than the Listener's interval and a few of the chain's blocks. */
const PATIENCE_MS = 30_000;
/** As many events of the largest size as fit a block of 30 million gas. */
const LARGE_EVENTS = 9;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A1-hostile-block",
  title: "Put events on the chain that stop the Listener: too long ones, and a block full of the longest allowed.",
  needs: ["chain"],
  run: async (target, tally) => {
    const chain = chainOf(target, 0);
    const nobody = toHex("nobody's stream", { size: 32 });
    const publish = (/** @type {string} */ stream, /** @type {number} */ length) => ({
      to: target.config.contract,
      data: encodeFunctionData({
        abi: ABI,
        args: [/** @type {`0x${string}`} */ (stream), `0x${"5a".repeat(length)}`],
      }),
    });
    for (const length of [MAX_PAYLOAD + 1, 2 * MAX_PAYLOAD]) {
      const status = await chain.send(publish(nobody, length));
      tally.check(`an event of ${length} bytes`, status === "reverted", status);
    }
    const known = await target.ownStream();
    const sent = [];
    for (let i = 0; i < LARGE_EVENTS; i += 1) sent.push(chain.send(publish(i % 2 ? known.id : nobody, MAX_PAYLOAD)));
    const mined = (await Promise.all(sent)).filter((status) => status === "success").length;
    tally.note(`${mined} events of ${MAX_PAYLOAD} bytes are on the chain`);
    const head = await chain.head();
    const passed = await until(async () => (await target.status()).chain.cursor > head, PATIENCE_MS);
    const { chain: state } = await target.status();
    tally.check(
      "the Listener passes the block",
      passed === true,
      `cursor ${state.cursor}, block ${head}, ${state.error}`,
    );
    const shown = await until(async () => {
      const { json } = await target.get(`/v1/streams/${known.id}/chain`);
      return json.events?.length >= Math.floor(LARGE_EVENTS / 2);
    }, PATIENCE_MS);
    tally.check("the events of a stream that is there are shown", shown === true);
  },
};
