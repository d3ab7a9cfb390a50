// The commands of the documents that no test can run as they stand, each with the reason, and what tests the same instead.
// A command that is neither here nor runs in tests/cli/documents.spec.ts fails that spec.

export interface NotRun {
  readonly document: string;
  readonly commands: readonly string[];
  readonly because: string;
  /** The spec, or the script, that does what the commands do. */
  readonly instead: string;
}

const START = ["npm start"];
const DEPLOY = ["npm run deploy -- --relay fra-1"];
const ENDLESS = "it runs a system on fixed ports until Ctrl-C";
const ACCOUNT = "it needs an account at Cloudflare";
const MACHINE = "it needs a machine of one's own with systemd";

export const NOT_RUN: readonly NotRun[] = [
  { document: "README.md", commands: START, because: ENDLESS, instead: "tests/harness/system.ts" },
  { document: "README.vi.md", commands: START, because: ENDLESS, instead: "tests/harness/system.ts" },
  { document: "README.md", commands: DEPLOY, because: ACCOUNT, instead: "tests/deploy/deployment.spec.ts" },
  { document: "README.vi.md", commands: DEPLOY, because: ACCOUNT, instead: "tests/deploy/deployment.spec.ts" },
  {
    document: "docs/CLI.md",
    commands: ["cargo install --locked --path cli"],
    because: "it compiles for minutes what the tests have compiled already",
    instead: "tests/cli/pipe.spec.ts",
  },
  {
    document: "docs/CONNECTIVITY.md",
    commands: [
      "relay-node run … --listen 0.0.0.0:7100 --advertise 203.0.113.7 --advertise 10.0.0.7 --listen [2001:db8::7]:7100",
      "relay-node run … --turn-tls-listen 0.0.0.0:443 --turn-tls-host turn.example.org --turn-tls-cert fullchain.pem --turn-tls-key privkey.pem",
    ],
    because: "the addresses and the certificate are those of one's own",
    instead: "tests/network/paths.spec.ts",
  },
  { document: "docs/DEPLOY.md", commands: DEPLOY, because: ACCOUNT, instead: "tests/deploy/deployment.spec.ts" },
  {
    document: "docs/DEPLOY.md",
    commands: ["wrangler login"],
    because: "it opens a browser at Cloudflare",
    instead: "tests/deploy/fake-cloudflare.ts",
  },
  {
    document: "docs/DEPLOY.md",
    commands: [
      "wrangler d1 create streamchain",
      "wrangler r2 bucket create streamchain",
      "npm run configure",
      "wrangler d1 migrations apply streamchain --remote $CONFIG",
      "wrangler deploy $CONFIG",
      "wrangler secret put MASTER_SECRET $CONFIG",
      "wrangler secret put ANCHORER_KEY $CONFIG",
    ],
    because: "these run one after the other against a fake of Cloudflare's API",
    instead: "tests/deploy/by-hand.spec.ts",
  },
  {
    document: "docs/INSTALL.md",
    commands: ["docker compose up", "docker compose down -v"],
    because: "its images begin from ones of a registry, and compile everything anew",
    instead: "tests/release/image.spec.ts",
  },
  {
    document: "docs/INSTALL.md",
    commands: [
      "sha256sum --check --ignore-missing SHA256SUMS",
      "gh attestation verify streamchain-0.1.0-x86_64-unknown-linux-musl.tar.gz --repo OWNER/REPOSITORY",
      "tar -xzf streamchain-0.1.0-x86_64-unknown-linux-musl.tar.gz",
    ],
    because: "it needs a release that was published",
    instead: "tests/release/artifacts.spec.ts",
  },
  {
    document: "docs/INSTALL.md",
    commands: ["cargo install --locked --path cli"],
    because: "it compiles for minutes what the tests have compiled already",
    instead: "tests/release/crates.spec.ts",
  },
  {
    document: "docs/INSTALL.md",
    commands: [
      "docker run -d --name relay --network host --read-only --cap-drop ALL -e STREAMCHAIN_RELAY_ID=fra-1 -e STREAMCHAIN_RELAY_KEY=… -e STREAMCHAIN_EDGE=https://streamchain.example -e STREAMCHAIN_ADVERTISE=203.0.113.7 -v relay:/state ghcr.io/OWNER/streamchain-relay:0.1.0",
    ],
    because: "it takes the image from a registry",
    instead: "tests/release/image.spec.ts",
  },
  {
    document: "docs/DEPLOY.md",
    commands: [
      "DEPLOYER_KEY=0x… node scripts/deploy-contract.mjs --rpc https://rpc.example --chain-id 11155111 --no-vars",
    ],
    because: "it records the deployment in the checkout",
    instead: "tests/scripts/deploy.spec.ts",
  },
  {
    document: "docs/DEPLOY.md",
    commands: ["cargo build --profile relay -p relay-node"],
    because: "it compiles for minutes what the tests have compiled already, by this command",
    instead: "scripts/lib/build/relay.mjs",
  },
  {
    document: "docs/DEPLOY.md",
    commands: [
      "scp target/relay/relay-node root@relay-1.example:/usr/local/bin/",
      "scp relay-node/systemd/relay-node.service root@relay-1.example:/etc/systemd/system/",
      "systemctl daemon-reload",
      "systemctl enable --now relay-node",
      "journalctl -u relay-node -f",
    ],
    because: MACHINE,
    instead: "tests/harness/system.ts",
  },
  {
    document: "CONTRIBUTING.md",
    commands: [
      "cargo test -p streamchain-protocol some_name",
      "npm test -- scripts web",
      "node --test tests/edge/receipts.spec.ts",
      "npm run check -- circles words",
    ],
    because: "these are the tests and checks themselves",
    instead: "tests/scripts/choice.spec.ts",
  },
  {
    document: "web/README.md",
    commands: ["npm install @streamchain/client"],
    because: "it takes the package from a registry",
    instead: "tests/package/install.spec.ts",
  },
];

/** Commands that run until they are interrupted: they have done their work once they wrote a line with this in it. */
export const ENDLESS_COMMANDS: readonly { begins: string; until: string }[] = [
  { begins: "curl -N http://127.0.0.1:8787/v1/streams/demo/events", until: "^data:" },
];

/** Whether a command is in the table. */
export const isNotRun = (document: string, command: string): boolean =>
  NOT_RUN.some((row) => row.document === document && row.commands.includes(command));
