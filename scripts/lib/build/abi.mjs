// The contract's interface as JSON, from its source: what web/static/abi.json must hold.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ROOT } from "../paths.mjs";

const SOURCES = join(ROOT, "contracts", "src");
const CONTRACT = "StreamChain.sol";

/**
 * Compiles the contract as far as its interface: every function, event and error, with what is indexed.
 * @returns {string} the file's text
 */
export const contractAbi = () => {
  const require = createRequire(import.meta.url);
  const solc = require("solc");
  const input = {
    language: "Solidity",
    sources: { [CONTRACT]: { content: readFileSync(join(SOURCES, CONTRACT), "utf8") } },
    settings: { outputSelection: { [CONTRACT]: { StreamChain: ["abi"] } } },
  };
  /** @param {string} path */
  const read = (path) => {
    const file = path.startsWith("@") ? require.resolve(path) : join(SOURCES, path);
    return { contents: readFileSync(file, "utf8") };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const abi = output.contracts?.[CONTRACT]?.StreamChain?.abi;
  if (!abi) throw new Error(`the contract does not compile: ${JSON.stringify(output.errors)}`);
  return `${JSON.stringify(abi, null, 2)}\n`;
};
