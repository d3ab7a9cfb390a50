// The edge's node leaves logs out: every third answer to `eth_getLogs` that has some says that there are none.

import { createServer } from "node:http";
import { freePort, LOCALHOST } from "../../../scripts/lib/system/ports.mjs";

const LIE_EVERY = 3;

/** @type {import("../beside.mjs").Beside} */
export const lyingNode = {
  name: "lying-node",
  before: async () => {
    const [chain, own] = [await freePort("tcp"), await freePort("tcp")];
    const state = { isLying: false, lies: 0, answers: 0 };
    const server = createServer(async (request, response) => {
      try {
        let body = "";
        for await (const part of request) body += part;
        const upstream = await fetch(`http://${LOCALHOST}:${chain}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        });
        const text = await upstream.text();
        response.setHeader("content-type", "application/json");
        response.end(state.isLying ? lied(state, JSON.parse(body), text) : text);
      } catch {
        response.statusCode = 502;
        response.end();
      }
    });
    await new Promise((resolve) => server.listen(own, LOCALHOST, () => resolve(undefined)));
    return {
      options: { ports: { chain }, vars: { CHAIN_RPC_URLS: `http://${LOCALHOST}:${own}` } },
      context: state,
      stop: () => {
        server.close();
        server.closeAllConnections();
      },
    };
  },
  run: async ({ context }, signal) => {
    context.isLying = true;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    context.isLying = false;
    return [`${context.lies} of ${context.answers} answers with logs were replaced by []`];
  },
  after: async ({ target, stream, context }) => {
    const { json } = await target.get(`/v1/streams/${stream}/runs?limit=1000`);
    let next = 0;
    for (const { first, count, round, state } of json.runs) {
      if (first !== next) return [`a run is missing: ${next} to ${first - 1}`];
      next += count;
      // A later round on the chain shows that the node kept back this one's event.
      const isLast = json.runs.at(-1).round === round;
      if (state === undefined && !isLast) return [`the anchor of round ${round} is missing`];
    }
    return context.lies > 0 ? [] : ["the node had no occasion to lie"];
  },
};

/** @param {{ lies: number, answers: number }} state @param {any} asked @param {string} text */
const lied = (state, asked, text) => {
  const lie = (/** @type {any} */ request, /** @type {any} */ answer) => {
    if (request?.method !== "eth_getLogs" || !Array.isArray(answer.result) || answer.result.length === 0) return answer;
    state.answers += 1;
    if (state.answers % LIE_EVERY !== 1) return answer;
    state.lies += 1;
    return { ...answer, result: [] };
  };
  const answer = JSON.parse(text);
  if (!Array.isArray(asked)) return JSON.stringify(lie(asked, answer));
  const requests = new Map(asked.map((request) => [request.id, request]));
  return JSON.stringify(answer.map((/** @type {any} */ one) => lie(requests.get(one.id), one)));
};
