// What a deployed edge says of itself, as lines for a person.

/** How long a new Worker may take until it answers everywhere. */
const PATIENCE_MS = 120_000;
const PAUSE_MS = 2_000;

/**
 * @typedef {{ chain?: { ok?: boolean, id?: number, lag?: number, error?: string | null },
 *   anchorer?: { address?: string, balanceWei?: string | null, lastError?: string | null },
 *   storage?: { database?: { bytes: number, capacity: number }, archive?: { bound: boolean, error?: string | null } },
 *   relays?: { id: string, alive: boolean }[], signIn?: { ok: boolean, error?: string } }} Status
 */

/**
 * The report's lines: `ok` false is a fault, null is something that is still to be done.
 * @param {Status} status of `/v1/status`
 * @returns {{ ok: boolean | null, text: string }[]}
 */
export const findings = ({ chain, anchorer, storage, relays = [], signIn }) => {
  const funded = BigInt(anchorer?.balanceWei ?? 0) > 0n;
  const alive = relays.filter(({ alive: isAlive }) => isAlive).map(({ id }) => id);
  return [
    {
      ok: chain?.ok === true,
      text: `chain ${chain?.id ?? "?"}: ${chain?.ok ? "read" : (chain?.error ?? "no answer yet")}`,
    },
    { ok: storage?.database !== undefined, text: `database: ${storage?.database?.bytes ?? "?"} bytes` },
    {
      ok: !storage?.archive?.error,
      text: `archive: ${storage?.archive?.error ?? (storage?.archive?.bound ? "bound" : "none")}`,
    },
    { ok: signIn?.ok !== false, text: `sign-in: ${signIn?.error ?? "ready"}` },
    {
      ok: funded ? true : null,
      text: funded
        ? `anchoring account ${anchorer?.address}: ${anchorer?.balanceWei} wei`
        : `anchoring account ${anchorer?.address ?? "?"} has no ether: send it some`,
    },
    {
      ok: alive.length > 0 ? true : null,
      text: alive.length > 0 ? `relays: ${alive.join(", ")}` : "no relay runs yet",
    },
  ];
};

const MARKS = new Map([
  [true, "✓"],
  [false, "✗"],
  [null, "!"],
]);

/**
 * Waits until the edge answers and reads its chain, and prints what it says; resolves to whether nothing is at fault.
 * @param {{ url: string, log: (line: string) => void, patienceMs?: number | undefined }} how
 */
export const health = async ({ url, log, patienceMs = PATIENCE_MS }) => {
  const end = Date.now() + patienceMs;
  let last = "no answer";
  for (;;) {
    try {
      const answer = await fetch(`${url}/v1/status`, { signal: AbortSignal.timeout(10_000) });
      const text = await answer.text();
      if (answer.ok) {
        const found = findings(JSON.parse(text));
        if (found.every(({ ok }) => ok !== false) || Date.now() >= end) return report(url, found, log);
      } else {
        last = `${answer.status} ${text.slice(0, 300)}`;
      }
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() >= end) return report(url, [{ ok: false, text: `the edge: ${last}` }], log);
    await new Promise((resolve) => setTimeout(resolve, Math.min(PAUSE_MS, patienceMs / 10)));
  }
};

/** @param {string} url @param {ReturnType<typeof findings>} found @param {(line: string) => void} log */
const report = (url, found, log) => {
  log(url);
  for (const { ok, text } of found) log(`  ${MARKS.get(ok)} ${text}`);
  return found.every(({ ok }) => ok !== false);
};
