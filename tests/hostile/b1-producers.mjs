import { randomBytes } from "node:crypto";

const MESSAGES = 5;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B1-producers",
  title: "Use up somebody's producer and idempotency keys, so that messages count as stored that are nowhere.",
  needs: [],
  run: async (target, tally) => {
    const { name, token } = await target.ownStream();
    const [victim, thief] = [await target.guest(), await target.guest()];
    const producer = randomBytes(16).toString("hex");
    for (let seq = 0; seq < MESSAGES; seq += 1) {
      await target.publish(name, `thief ${seq}`, { token: thief.token, producer, seq });
      await target.publish(name, `thief key ${seq}`, { token: thief.token, key: `key-${producer}-${seq}` });
    }
    /** @type {{ text: string, answer: import("./lib/target.mjs").Answer }[]} */
    const said = [];
    for (let seq = 0; seq < MESSAGES; seq += 1) {
      const texts = [`victim ${seq}`, `victim key ${seq}`];
      const [plain = "", keyed = ""] = texts;
      said.push({ text: plain, answer: await target.publish(name, plain, { token: victim.token, producer, seq }) });
      const key = `key-${producer}-${seq}`;
      said.push({ text: keyed, answer: await target.publish(name, keyed, { token: victim.token, key }) });
    }
    const all = await target.messages(name, token);
    const own = all.filter(({ author }) => author.toLowerCase() === victim.author.toLowerCase());
    for (const { text, answer } of said) {
      const found = own.filter((message) => message.text === text);
      const isAccepted = answer.status === 201 || answer.status === 202;
      tally.check(
        `"${text}" is stored once`,
        isAccepted && found.length === 1,
        `answered ${answer.status} ${answer.text.slice(0, 120)}, stored ${found.length} times`,
      );
      if (answer.json.stored && typeof answer.json.seq === "number") {
        tally.check(`"${text}" has the seq of the answer`, found[0]?.seq === answer.json.seq, `${answer.json.seq}`);
      }
    }
  },
};
