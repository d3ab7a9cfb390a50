// coturn, the TURN server of Debian, for the tests that go through another server than the relay's own.

import { Failure } from "../console.mjs";
import { which } from "../paths.mjs";
import { installDebian } from "./debian.mjs";

const ADVICE = ["Install coturn (Debian, Ubuntu: apt-get install coturn): its turnserver must be on the PATH."];

/** The server's path, or null. */
export const coturnPath = () => which("turnserver");

export const installCoturn = async () => {
  if (coturnPath()) return;
  const why = "The network tests need coturn, and there is none.";
  await installDebian({ packages: ["coturn"], why, advice: ADVICE });
  if (!coturnPath()) throw new Failure("apt-get installed coturn, but turnserver is not on the PATH.", ADVICE);
};
