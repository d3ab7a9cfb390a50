// The cards of the operator's page.

import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { byteCount, dateAndTime, shortHex, timeOfDay } from "../ui/format.ts";
import { streamAddress } from "../ui/stream-name.ts";
import { errorsOf, type Refusal, type Status, type StreamRow } from "./status.ts";

const t = texts.operator;

/** Decimals of ether that a balance is shown with. */
const ETHER_DIGITS = 4;

const WEI_PER_ETHER = 1e18;

type Cell = string | Node;

const count = (value: number | null | undefined): string => (typeof value === "number" ? t.number(value) : t.unknown);

/** Cards with tables, which take the room of two. */
const WIDE = ["relays", "edge", "audit"];

function card(name: string, title: string, ...content: Node[]): HTMLElement {
  const kind = WIDE.includes(name) ? "card wide" : "card";
  return el("section", { class: kind, testid: `card-${name}`, "aria-label": title }, el("h2", {}, title), ...content);
}

function facts(...rows: (readonly [name: string, value: Cell, bad?: boolean])[]): HTMLElement {
  const row = ([name, value, bad]: (typeof rows)[number]): Node[] => [
    el("dt", {}, name),
    el("dd", bad ? { class: "bad" } : {}, value),
  ];
  return el("dl", { class: "facts" }, ...rows.flatMap(row));
}

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): HTMLElement {
  const cell = (value: Cell): HTMLElement => el("td", {}, value);
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": head.join(", ") },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell)))),
    ),
  );
}

/** A bar that is filled as far as a part of the whole, with the figures as text. */
function meter(name: string, part: number, all: number, figures: string, bad: boolean): HTMLElement {
  const bar = el("meter", { "aria-label": name, min: 0, max: all, high: 0.8 * all, value: part });
  return el("div", { class: "meter" }, el("span", {}, name), el("span", bad ? { class: "bad" } : {}, figures), bar);
}

function chainCard({ chain }: Status): HTMLElement {
  const ok = chain.ok === true;
  return card(
    "chain",
    t.chain.title,
    facts(
      [t.chain.ok, ok ? t.chain.good : t.chain.bad, !ok],
      [t.chain.head, count(chain.head)],
      [t.chain.lag, count(chain.lag), (chain.lag ?? 0) > 1],
      [t.chain.gaps, count(chain.gaps?.length), (chain.gaps?.length ?? 0) > 0],
    ),
  );
}

function gasCard({ anchorer, rounds, now }: Status): HTMLElement {
  const budget = anchorer.gasBudget;
  const ether = anchorer.balanceWei
    ? `${(Number(anchorer.balanceWei) / WEI_PER_ETHER).toFixed(ETHER_DIGITS)} ETH`
    : t.unknown;
  const flight = anchorer.inFlight;
  const pending = rounds.batchers.reduce((sum, { pending = 0 }) => sum + pending, 0);
  const blocked = anchorer.blockedStreams?.length;
  const figures = budget && t.ofAll(t.number(budget.used), t.number(budget.daily));
  return card(
    "gas",
    t.gas.title,
    budget && figures
      ? meter(t.gas.used, budget.used, budget.daily, figures, budget.waiting)
      : el("p", { class: "hint" }, t.gas.noBudget),
    ...(budget?.waiting ? [el("p", { class: "problem" }, t.gas.waits)] : []),
    facts(
      [t.gas.balance, ether],
      [t.gas.pending, count(anchorer.pendingSegments)],
      [t.gas.flight, flight ? t.gas.since(Math.round((now - flight.sinceMs) / 1_000)) : t.none],
      [t.gas.blocked, count(blocked), (blocked ?? 0) > 0],
      [t.gas.rounds, t.gas.roundsOf(count(rounds.anchored), count(rounds.final))],
      [t.gas.runs, count(pending)],
    ),
  );
}

function storageCard({ storage }: Status): HTMLElement {
  const { database, archive } = storage;
  const figures = database && t.ofAll(byteCount(database.bytes), byteCount(database.capacity));
  return card(
    "storage",
    t.storage.title,
    ...(database && figures
      ? [
          meter(
            t.storage.database,
            database.bytes,
            database.capacity,
            figures,
            ["high", "full"].includes(database.state),
          ),
        ]
      : []),
    facts([
      t.storage.archive,
      archive ? t.storage.packs(t.number(archive.packs), byteCount(archive.bytes)) : t.unknown,
    ]),
  );
}

function streamsCard(status: Status, streams: readonly StreamRow[]): HTMLElement {
  const row = ({ id, name, read, created }: StreamRow): HTMLElement =>
    el(
      "li",
      {},
      el("a", { href: `/${streamAddress(id)}` }, name),
      el("span", { class: "hint" }, `${read === "private" ? `${t.streams.private} · ` : ""}${dateAndTime(created)}`),
    );
  return card(
    "streams",
    t.streams.title,
    facts([t.streams.made, count(status.streams)], [t.streams.webhooks, count(status.webhooks)]),
    ...(streams.length === 0
      ? []
      : [el("h3", {}, t.streams.newest), el("ul", { class: "entries" }, ...streams.map(row))]),
  );
}

function relaysCard({ relays }: Status): HTMLElement {
  const { relay, region, state, sessions, streams, seen, alive, away } = t.relays;
  const rows = relays.map((one): Cell[] => [
    one.id,
    one.region,
    el("span", one.alive ? {} : { class: "bad" }, one.alive ? alive : away),
    t.number(one.sessions),
    t.number(one.streams),
    timeOfDay(one.lastSeen),
  ]);
  const content =
    rows.length === 0
      ? el("p", { class: "problem" }, t.relays.none)
      : table([relay, region, state, sessions, streams, seen], rows);
  return card("relays", t.relays.title, content);
}

/** A path that breaks between its parts where the room is narrow. */
function pathText(path: string): HTMLElement {
  const parts = path
    .split("/")
    .flatMap((part, at) => (at < 2 ? [at === 0 ? part : `/${part}`] : [el("wbr"), `/${part}`]));
  return el("code", {}, ...parts);
}

function edgeCard({ edge }: Status): HTMLElement {
  const rows = Object.entries(edge.requests)
    .map(([path, { "2xx": ok = 0, "3xx": moved = 0, "4xx": refused = 0, "5xx": failed = 0 }]) => ({
      path,
      answered: ok + moved,
      refused,
      failed,
    }))
    .sort((a, b) => b.answered + b.refused + b.failed - (a.answered + a.refused + a.failed));
  const cells = rows.map((row): Cell[] => [
    pathText(row.path),
    t.number(row.answered),
    t.number(row.refused),
    el("span", row.failed > 0 ? { class: "bad" } : {}, t.number(row.failed)),
  ]);
  const content =
    rows.length === 0
      ? el("p", { class: "hint" }, t.edge.none)
      : table([t.edge.path, t.edge.answered, t.edge.refused, t.edge.failed], cells);
  return card("edge", t.edge.title, el("p", { class: "hint" }, t.edge.hint), content);
}

function limitsCard({ edge }: Status): HTMLElement {
  const hits = Object.entries(edge.limitsHit ?? {});
  const { delivered = 0, failed = 0 } = edge.webhooks ?? {};
  return card(
    "limits",
    t.limits.title,
    hits.length === 0
      ? el("p", { class: "hint" }, t.limits.none)
      : facts(...hits.map(([limit, times]) => [limit, t.number(times), true] as const)),
    el("h3", {}, t.webhooks.title),
    facts([t.webhooks.delivered, t.number(delivered)], [t.webhooks.failed, t.number(failed), failed > 0]),
  );
}

function errorsCard(status: Status): HTMLElement {
  const errors = errorsOf(status);
  return card(
    "errors",
    t.errors.title,
    errors.length === 0
      ? el("p", { class: "hint" }, t.errors.none)
      : facts(...errors.map(([part, text]) => [part.startsWith("0x") ? shortHex(part) : part, text, true] as const)),
  );
}

function auditCard(refusals: readonly Refusal[]): HTMLElement {
  const row = ({ time, actor, action, target, reason, count: times = 1 }: Refusal): Cell[] => [
    timeOfDay(time),
    `${actor.startsWith("0x") ? shortHex(actor) : actor}: ${action} ${target}${times > 1 ? ` × ${t.number(times)}` : ""}`,
    reason ?? "",
  ];
  const content =
    refusals.length === 0
      ? el("p", { class: "hint" }, t.audit.none)
      : table([t.audit.time, t.audit.entry, t.audit.reason], refusals.map(row));
  return card("audit", t.audit.title, content);
}

/** The cards, what needs attention first. */
export function cards(status: Status, streams: readonly StreamRow[], refusals: readonly Refusal[]): HTMLElement[] {
  return [
    errorsCard(status),
    chainCard(status),
    gasCard(status),
    storageCard(status),
    relaysCard(status),
    // A narrow card beside each wide one, so that three columns have no gap.
    streamsCard(status, streams),
    auditCard(refusals),
    limitsCard(status),
    edgeCard(status),
  ];
}
