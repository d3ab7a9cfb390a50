// Names of streams that begin as the text of a field does, offered while it is typed.

import type { StreamConnection } from "../../lib/index.ts";
import { el } from "./dom.ts";
import { isStreamName } from "./stream-name.ts";

/** Typing pauses for so long, in ms, before the edge is asked. */
const PAUSE_MS = 300;

/** Names that are offered, at most. */
const MAX_OFFERED = 20;

/** The list for a field, which names it in its attribute `list`. It lists what this connection's account may read. */
export function suggestions(
  input: HTMLInputElement,
  connection: StreamConnection,
  token: () => string | undefined,
): HTMLElement {
  const list = el("datalist", { id: `${input.id}-names` });
  input.setAttribute("list", list.id);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asked = "";
  const ask = async (): Promise<void> => {
    const prefix = input.value.trim().toLowerCase();
    if (prefix === asked || !isStreamName(prefix) || prefix.startsWith("0x")) return;
    asked = prefix;
    const page = await connection.edge.matches(`${prefix}*`, { token: token(), limit: MAX_OFFERED }).catch(() => null);
    if (page === null || asked !== prefix) return;
    list.replaceChildren(...page.streams.map(({ name }) => el("option", { value: name })));
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), PAUSE_MS);
  });
  return list;
}
