// Every text that a person reads, in one place. Another language is another object of the type `Texts`.

import type { AttemptStepId, ErrorCode, StepId } from "../lib/index.ts";

/** What a list row, a legend or a timeline calls a state. */
export type StateName = "queued" | "sent" | "live" | "stored" | "anchored" | "final" | "failed" | "reverted";

const numbers = new Intl.NumberFormat("en");
const plural = (count: number, one: string, many: string): string =>
  `${numbers.format(count)} ${count === 1 ? one : many}`;

const english = {
  locale: "en",
  number: (value: number): string => numbers.format(value),
  app: {
    name: "StreamChain",
    stream: "Stream",
    join: "Join",
    share: "Copy link",
    shared: "Link copied",
    theme: { dark: "Switch to dark", light: "Switch to light" },
    badName: "A stream's name has 1 to 64 of a–z, 0–9, dot, dash and underscore, and begins with a letter or digit.",
    views: { messages: "Messages", latency: "Latency", anchors: "Anchors", path: "Path" },
    skip: "Skip to the message field",
  },
  connection: {
    connecting: "Connecting",
    open: "Connected",
    waiting: "Reconnecting",
    closed: "Disconnected",
    retryIn: (seconds: number): string => `next try in ${seconds} s`,
    you: (author: string): string => `You are ${author}`,
  },
  states: {
    queued: "queued",
    sent: "sent",
    live: "live",
    stored: "stored",
    anchored: "anchored",
    final: "final",
    failed: "failed",
    reverted: "reverted",
  } satisfies Record<StateName, string>,
  stateHelp: {
    live: "Delivered to everyone here, not stored yet",
    stored: "Stored for good at the edge",
    anchored: "Its Merkle root is in an event on the chain",
    final: "The anchor's block is final: no reorganisation takes it back",
  },
  messages: {
    title: "Messages",
    count: (count: number): string => plural(count, "message", "messages"),
    empty: "Nothing has been said here yet.",
    emptyHint: "Send the first message, or open this page in a second tab and watch it arrive there.",
    loading: "Reading earlier messages…",
    historyFailed: "Earlier messages can't be read right now. Trying again.",
    older: "Load older messages",
    fresh: (count: number): string => `${plural(count, "new message", "new messages")} below`,
    binary: (bytes: number): string => `${plural(bytes, "byte", "bytes")}, not text`,
    you: "you",
    details: (seq: number): string => `Verify message ${seq}`,
    verify: "Verify",
    announce: (count: number, latest: string): string =>
      count === 1 ? `New message: ${latest}` : `${count} new messages. Latest: ${latest}`,
    takenBack: "The relay went away before it had stored the latest messages; those that were not stored were dropped.",
  },
  composer: {
    label: "Your message",
    placeholder: "Write a message. Enter sends, Shift+Enter begins a new line.",
    placeholderShort: "Write a message",
    send: "Send",
    burst: "Send 100",
    burstHelp: "Sends 100 short test messages, to see how fast they go through",
    waiting: (count: number): string => `${plural(count, "message waits", "messages wait")} to be stored`,
    kept: "kept in this browser until then",
    bytes: (bytes: number, limit: number): string => `${numbers.format(bytes)} of ${numbers.format(limit)} bytes`,
    tooLarge: (bytes: number, limit: number): string =>
      `That is ${numbers.format(bytes)} bytes. A message has at most ${numbers.format(limit)}; nothing was sent.`,
    queueFull: "Too many messages wait for storage. Send this one again in a moment.",
    closed: "This page is no longer connected; nothing was sent.",
  },
  latency: {
    title: "Latency",
    accepted: "publish → live",
    stored: "publish → stored",
    received: "relay → here",
    receivedHelp: "Time of arrival minus the relay's time stamp; the two clocks may differ a little",
    p50: "median",
    p95: "95 %",
    none: "no samples yet",
    hint: "Send a message to measure.",
    canvas: "Latency of the last messages over the past minute; the table below has the figures",
    ms: (value: number): string => {
      if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`;
      return value >= 100 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
    },
    axis: ["1 ms", "10 ms", "100 ms", "1 s", "10 s"],
  },
  anchors: {
    title: "Anchors",
    none: "No anchor yet.",
    noneHint: "A few seconds after messages are stored, one transaction puts their Merkle root on the chain.",
    range: (first: number, last: number): string =>
      first === last ? `#${numbers.format(first)}` : `#${numbers.format(first)} – ${numbers.format(last)}`,
    block: (block: number): string => `block ${numbers.format(block)}`,
    tx: "tx",
    copyTx: "Copy the transaction's hash",
    copied: "Copied",
    show: (range: string): string => `Show messages ${range}`,
    waiting: (count: number): string =>
      `${plural(count, "stored message waits", "stored messages wait")} for an anchor`,
  },
  path: {
    title: "Path",
    relay: "Relay",
    protocol: "Protocol",
    local: "This side",
    remote: "Relay's address",
    rtt: "Round trip",
    traffic: "Sent / received",
    setUp: "Set-up",
    none: "There is no path to a relay now.",
    types: { host: "direct", srflx: "behind NAT", prflx: "direct, learned", relay: "through TURN" } as Record<
      string,
      string
    >,
    steps: {
      offer: "Offer made",
      http: "Session granted",
      answer: "Answer taken",
      ice: "Relay reached (ICE)",
      dtls: "Encrypted (DTLS)",
      channel: "Channel open",
      welcome: "Relay greeted",
    } satisfies Record<AttemptStepId, string>,
    stepFailed: "failed",
    total: (ms: number): string => `${english.latency.ms(ms)} in all`,
    tried: "What was tried",
    attempt: (time: string): string => `Attempt at ${time}`,
  },
  system: {
    title: "System",
    chain: "Chain",
    head: "Head / final",
    contract: "Contract",
    anchorer: "Waiting to be anchored",
    segments: (count: number): string => plural(count, "segment", "segments"),
    relays: "Relays",
    relaysAlive: (alive: number, all: number): string => `${alive} of ${all} alive`,
    ok: "in step",
    lag: (blocks: number): string => `${plural(blocks, "block", "blocks")} behind`,
    down: "does not answer",
    unknown: "not known",
  },
  banner: {
    retry: "Try now",
    why: "What was tried",
    edge: {
      title: "The edge does not answer.",
      body: "The server behind this page can't be reached. Check your network. What you send is kept in this browser and goes out later.",
    },
    noRelay: {
      title: "No relay is running.",
      body: "Nothing can be delivered live until one is started. What is stored can be read below.",
    },
    relay: {
      title: "The relay does not answer.",
      body: (addresses: string): string =>
        `The edge is fine, but no packet comes back from ${addresses}. A firewall may block UDP, or the relay is down. What is stored can be read below; what you send goes out once a path is found.`,
    },
    channel: {
      title: "The relay answers, but no channel opens.",
      body: "The path works, yet the encrypted channel did not come up. This is tried again by itself.",
    },
    lost: {
      title: "The connection was lost.",
      body: "A new one is being made. Nothing that was stored is gone.",
    },
    refused: { title: "The edge refused this session.", body: (reason: string): string => reason },
    ended: {
      title: "The session was ended.",
      body: "The edge ended this session. Reload the page to begin a new one.",
    },
    chainDown: {
      title: "The chain does not answer.",
      body: "Messages are delivered and stored as usual; their anchors follow once the chain is back.",
    },
    chainLag: {
      title: (blocks: number): string => `The edge is ${plural(blocks, "block", "blocks")} behind the chain.`,
      body: "Anchors show up late. Nothing is lost.",
    },
    anchorer: {
      title: "Anchors are not going out.",
      body: (reason: string): string => `The signing account reports: ${reason}`,
    },
    noPersistence: "This browser keeps nothing for this page; unsent messages are gone after a reload.",
  },
  error: {
    "too-large": "The message is too large.",
    "queue-full": "Too many messages wait for storage.",
    malformed: "What came back was not what the protocol says.",
    "edge-unreachable": "The edge does not answer.",
    refused: "The edge refused the request.",
    "no-relay": "No relay is running.",
    "relay-unreachable": "The relay does not answer.",
    "channel-failed": "No channel to the relay opened.",
    "no-welcome": "The relay did not answer the greeting.",
    "not-allowed": "This session may not publish here.",
    "session-ended": "The session was ended.",
    closed: "The connection is closed.",
    rpc: "The chain's node gave no answer.",
  } satisfies Record<ErrorCode, string>,
  details: {
    title: (seq: number): string => `Message ${numbers.format(seq)}`,
    close: "Close",
    state: "State",
    time: "Relay's time",
    author: "Author",
    payload: "Payload",
    size: (bytes: number): string => plural(bytes, "byte", "bytes"),
    intro:
      "The proof is recomputed here, in this page, from the message alone. Then the chain's node is asked for the anchor's event.",
    run: "Verify",
    again: "Verify again",
    running: "Checking…",
    download: "Download receipt",
    rpc: "Ethereum node to ask (JSON-RPC URL)",
    rpcHelp: "Use one that you trust. Without one the chain itself is not asked.",
    notYet: "There is no receipt yet: the message must be anchored first. That takes a few seconds.",
    verified: "Verified",
    verifiedProof: "The proof is right",
    failed: "Not verified",
    failedAt: (step: string): string => `It fails at: ${step}`,
    summary: (first: number, last: number, block: number): string =>
      `Message, proof and the anchor of ${english.anchors.range(first, last)} in block ${numbers.format(block)} agree.`,
    summaryOffline: "Message and proof lead to the receipt's root. Name a node to have the root checked on the chain.",
    unreachable: "The node gave no answer, so nothing is known about the chain:",
    partProof: "In this page",
    partDeployment: "Is it this deployment?",
    partChain: "On the chain",
    steps: {
      "stream-id": "Stream id from owner and name",
      "payload-hash": "Hash of the payload",
      leaf: "Leaf: stream, seq, time, author and payload hash",
      sibling: "Up the tree: hash with the sibling",
      root: "Root equals the anchor's root",
      range: "Position lies in the anchored range",
      "chain-id": "Chain id",
      contract: "Contract",
      transaction: "Transaction succeeded",
      block: "Block and block hash",
      event: "Anchored event with this stream, range and root",
      finality: "Finality",
    } satisfies Record<StepId, string>,
    values: {
      owner: "owner",
      name: "name",
      computed: "computed",
      receipt: "receipt",
      bytes: "bytes",
      stream: "stream",
      seq: "seq",
      time: "time",
      author: "author",
      "payload-hash": "payload hash",
      node: "node",
      sibling: "sibling",
      anchor: "anchor",
      first: "first",
      end: "end",
      expected: "expected",
      tx: "transaction",
      status: "status",
      block: "block",
      "block-hash": "block hash",
      "receipt-block-hash": "receipt's block hash",
      contract: "contract",
      count: "count",
      root: "root",
      anchorer: "anchorer",
      "log-index": "log index",
      finalized: "finalized block",
      final: "final",
    } as Record<string, string>,
    ok: "right",
    wrong: "wrong",
  },
};

/** The texts of one language. */
export type Texts = typeof english;

/** The languages that there are, by their primary tag (RFC 5646). */
const languages: Record<string, Texts> = { en: english };

/** The texts in the browser's language, or in English. */
export const texts: Texts =
  globalThis.navigator?.languages
    ?.map((tag) => languages[tag.split("-")[0] ?? ""])
    .find((found) => found !== undefined) ?? english;
