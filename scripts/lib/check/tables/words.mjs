// The retired words: one word for one thing. Edit this file when a word is retired, and say what is said instead.

/**
 * @typedef {object} RetiredWord
 * @property {string} word as people say it
 * @property {RegExp} pattern where it stands in a text; narrow enough to leave innocent English alone
 * @property {RegExp} [path] where it stands in a file's path
 * @property {string} instead what to say
 * @property {RegExp} [only] the files it is retired in; everywhere when left out
 * @property {RegExp} [except] the files it may stay in: names on the wire, for example
 */

const RELAY = /^relay-(?:node|testkit)\//;
const WEB = /^web\/|^tests\//;
const CODE = /\.(?:rs|ts|mjs)$/;

/** @type {RetiredWord[]} */
export const RETIRED_WORDS = [
  {
    word: "take up",
    pattern:
      /\b(?:take|takes|taking|took|taken)[- ]up\b(?! to\b)|take_?up\b|takeUp|\btakes? (?:it|them|a stream|the stream) up\b/i,
    instead: "acquire the epoch (`acquire_epoch`)",
  },
  {
    // Of a token or a secret there may be a holder.
    word: "holder",
    pattern: /\bHolder\b|NotHolder|_holder\b|\bholder_|\.holder\b|\bholder: |(?:old|new|current|stream's) holder\b/,
    only: /^(?:src|protocol|edge-core|chain|relay-node|relay-testkit|docs|tests\/edge)\/|\.md$/,
    instead: "leader",
  },
  { word: "reign", pattern: /\b[Rr]eigns?\b|\BReign|_reign/, instead: "leader, epoch" },
  { word: "let go", pattern: /\blet(?:s|ting)? go\b|\blet_go|letGo/, instead: "release" },
  { word: "Sealed", pattern: /\bSealed\b|\bSealedSegment\b/, instead: "Segment" },
  {
    word: "SegmentBody",
    pattern: /\bSegmentBody\b|\bSegmentToAnchor\b|\bHeldSegment\b/,
    instead: "Segment, SegmentRow",
  },
  {
    word: "tell, told, hear",
    pattern: /\b(?:tell|told|hear)_\w+|\bfn (?:tell|hear|heard)\b|\b(?:tell|told|hear)[A-Z]\w*/,
    path: /(?:^|\/)(?:tell|told|hear|heard)\.\w+$/,
    only: CODE,
    instead: "notify, ack, Notice",
  },
  { word: "untold", pattern: /\buntold\b/i, instead: "not acked" },
  { word: "remind", pattern: /\bremind(?:s|ed|er|ers|ing)?\b|Remind|_remind/, instead: "notify" },
  { word: "bell", pattern: /\b[Bb]ells?\b/, path: /(?:^|\/)bell\.\w+$/, instead: "notification, Notice" },
  {
    word: "Log (of the relay)",
    pattern: /\b(?:struct|enum|impl|use) Log\b|\blog::Log\b/,
    path: /^relay-node\/src\/core\/log\.rs$/,
    only: RELAY,
    instead: "ReplayBuffer",
  },
  { word: "outlet", pattern: /\b[Oo]utlets?\b|Outlet|_outlet|outlet_/, path: /outlet/, instead: "SendQueue" },
  { word: "Worker (the thread)", pattern: /\bstruct Worker\b|\bmod worker\b/, only: RELAY, instead: "ShardThread" },
  {
    word: "side, side door",
    pattern:
      /\bside[- ]doors?\b|\bSide(?:Packet|Door|Event|Command|Config)?\b(?=[ :<>(,;{])|\bmod side\b|\bcrate::side\b/,
    path: /(?:^|\/)side\.rs$/,
    only: RELAY,
    instead: "tcp_ingress",
  },
  {
    word: "audit (of a stream against the chain)",
    pattern: /\brelay-node audit\b|\bmod audit\b/,
    path: /^relay-node\/src\/audit/,
    only: /^relay-(?:node|testkit)\/|\.md$|^scripts\/|^tests\//,
    instead: "verify-stream",
  },
  {
    word: "complaints",
    // The event "complaint" of the client library keeps its name: pages listen for it.
    pattern: /\b[Cc]omplaints\b|Complaint/,
    path: /complaint/,
    only: /^web\/|\.md$/,
    instead: "relay errors (relay-errors)",
  },
  { word: "ways", pattern: /\/ways\.ts\b|\b(?:new|class) Ways\b/, path: /(?:^|\/)ways\./, instead: "candidate-paths" },
  { word: "intake", pattern: /\bintakes?\b|Intake/, path: /intake/, instead: "stream-state" },
  { word: "pace", pattern: /\/pace\.ts\b|\b(?:new|class) Pace\b/, path: /(?:^|\/)pace\./, only: WEB, instead: "pacer" },
  { word: "http-path", pattern: /\bhttp-path\b|HttpPath/, path: /http-path/, instead: "http-fallback" },
  { word: "diagnosis", pattern: /\b[Dd]iagnosis\b|Diagnosis/, path: /diagnosis/, instead: "attempt-log" },
  {
    word: "X_MAX",
    pattern: /\bconst (?!MAX_)(?:[A-Z0-9]+_)+MAX(?:_[A-Z0-9_]+)?\b/,
    only: CODE,
    instead: "MAX_X",
  },
  {
    word: "riddles",
    pattern:
      /\bas you like\b|\bwhoever dies\b|\bwhat is no frame\b|\bnobody is asked\b|\bis not believed\b|\btoo much in too short a time\b/,
    instead: "plain English: subject, verb, object, and the field's word",
  },
  {
    word: "one-word doc comment",
    pattern: /(?<!\/\/\/[^\n]*\n)^[ \t]*\/\/\/ \w+\.$(?!\n[ \t]*\/\/\/)/m,
    only: /\.rs$/,
    instead: "a sentence that says what the name does not",
  },
];
