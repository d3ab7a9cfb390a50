import { newAddress, newName, wallet } from "./lib/target.mjs";

/** Each sets what puts more on chain than an anchor. */
const EXPENSIVE = [{ mode: "payload" }, { mode: "hash" }, { prove: true }, { mode: "payload", prove: true }];

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A3-gas-drain",
  title: "Have the operator pay for what a stranger's stream puts on chain.",
  needs: [],
  run: async (target, tally) => {
    for (const settings of EXPENSIVE) {
      const owner = wallet();
      const token = await target.signIn(owner);
      const call = { token, address: newAddress() };
      const json = { name: newName(), owner: owner.address, ...settings };
      const made = await target.send("POST", "/v1/streams", { ...call, json });
      tally.check(`a new stream with ${JSON.stringify(settings)}`, made.status === 403, `${made.status}`);

      const plain = await target.ownStream();
      const change = { token: plain.token, address: newAddress(), json: settings };
      const changed = await target.send("PATCH", `/v1/streams/${plain.id}`, change);
      tally.check(`a change to ${JSON.stringify(settings)}`, changed.status === 403, `${changed.status}`);
      const { json: state } = await target.get(`/v1/streams/${plain.id}`);
      tally.check(`the mode after it`, state.mode === "root" && !state.prove, `${state.mode} ${state.prove}`);
    }
    // Somebody who may do anything to the stream but is not its owner does not set them either.
    const stream = await target.ownStream();
    const member = await target.guest();
    const path = `/v1/streams/${stream.id}`;
    const json = { rights: ["read", "write", "manage"] };
    await target.send("PUT", `${path}/members/${member.author}`, { token: stream.token, json, address: newAddress() });
    const call = { token: member.token, address: newAddress(), json: { mode: "payload" } };
    const { status } = await target.send("PATCH", path, call);
    tally.check("a change by a manager", status === 403, `${status}`);
  },
};
