// Blocks only when asked for; the chain id and the accounts of the other local chain.
export default {
  networks: {
    node: {
      type: "edr-simulated",
      chainId: 31337,
      mining: { auto: false, interval: 0 },
      accounts: { mnemonic: "test test test test test test test test test test test junk" },
    },
  },
};
