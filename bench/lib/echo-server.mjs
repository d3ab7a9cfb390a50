// A process that sends each UDP datagram back: the lower bound for a round trip to a server.

import { createSocket } from "node:dgram";

const socket = createSocket("udp4");
socket.on("message", (bytes, { port, address }) => socket.send(bytes, port, address));
socket.bind(0, "127.0.0.1", () => process.send?.({ port: socket.address().port }));
