// A sensor: publishes a reading each second until Ctrl-C, or until `READINGS` of them are stored.
//
//   EDGE=https://edge.example STREAM=office TOKEN=… node sensor.js
//
// EDGE      the edge
// STREAM    the stream's name or id
// TOKEN     an access token or API key that may publish; without one the sensor is a new guest at each start
// WEBRTC    1 to publish over a data channel, with the package node-datachannel; else it is one request for each reading
// READINGS  how many readings to publish; no end by default
// EVERY_MS  time between two readings; 1,000 by default

import { freemem, loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "@streamchain/client";

const { EDGE, STREAM, TOKEN, WEBRTC, READINGS = "Infinity", EVERY_MS = "1000" } = process.env;
if (!EDGE || !STREAM) throw new Error("set EDGE and STREAM, as the first lines of sensor.js say");

const stream = connect({
  edge: EDGE,
  stream: STREAM,
  ...(TOKEN ? { token: TOKEN } : {}),
  ...(WEBRTC === "1" ? { webrtc: await import("node-datachannel/polyfill") } : {}),
});
stream.on("state", ({ state, error }) => console.log(error ? `${state}: ${error.message}` : state));

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

for (let count = 0; count < Number(READINGS) && !stop.signal.aborted; count++) {
  const reading = { at: new Date().toISOString(), load: loadavg()[0], free: freemem() };
  await stream.writable(); // waits while the edge is away and the queue is full
  stream.publish(JSON.stringify(reading)).stored.then(
    (seq) => console.log(`stored ${seq}`),
    (error) => console.error(`not stored: ${error.message}`),
  );
  await pause(Number(EVERY_MS), undefined, { signal: stop.signal }).catch(() => {});
}

await stream.drain(); // everything is stored
stream.close();
