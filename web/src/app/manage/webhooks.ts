// The stream's webhooks: where its events are posted to, how far each is, and why one is paused.

import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { dateAndTime } from "../ui/format.ts";
import { type ManageClient, streamPath, type Webhook } from "./api.ts";
import { boxes, confirmedButton, Section, secretShown } from "./section.ts";

const t = texts.manage.webhooks;

/** The kinds of events with their labels. */
const KINDS = Object.entries(t.kinds);

function stateOf({ state, reason, lastError, retryAt, lastSuccess }: Webhook): string {
  if (state === "paused") {
    const reasons: Readonly<Record<string, string>> = t.reasons;
    return t.paused(reasons[reason ?? ""] ?? reason ?? "");
  }
  if (lastError !== undefined) return t.failing(lastError, retryAt === undefined ? "–" : dateAndTime(retryAt));
  return lastSuccess === undefined ? t.active : t.delivered(dateAndTime(lastSuccess));
}

/** What the buttons of a webhook do. */
interface Acts {
  readonly become: (state: "active" | "paused") => void;
  readonly rotate: () => void;
  readonly remove: () => void;
}

function rowOf(webhook: Webhook, { become, rotate, remove }: Acts): HTMLElement {
  const { id, url, state } = webhook;
  const kinds = KINDS.filter(([word]) => webhook.events.includes(word)).map(([, label]) => label);
  const next = state === "active" && webhook.failures === 0 ? "paused" : "active";
  const label = next === "paused" ? t.pause : t.resume;
  const toggle = { type: "button", class: "quiet", testid: "webhook-toggle", "aria-label": `${label} ${url}` };
  return el(
    "li",
    { testid: "webhook", "data-id": id, "data-state": state },
    el("code", {}, url),
    el("span", {}, kinds.join(", ")),
    el("span", { class: state === "paused" || webhook.failures > 0 ? "problem" : "hint" }, stateOf(webhook)),
    webhook.lastSuccess === undefined ? null : el("span", { class: "hint" }, t.cursor(webhook.cursor)),
    el(
      "div",
      { class: "actions" },
      el("button", { ...toggle, onclick: () => become(next) }, label),
      confirmedButton(t.rotate, "webhook-rotate", rotate, `${t.rotate} ${url}`),
      confirmedButton(t.remove, "webhook-remove", remove, `${t.remove} ${url}`),
    ),
  );
}

/** The section of the webhooks. */
export function webhooksSection(client: ManageClient, stream: string): Section {
  const path = (id = ""): string => streamPath(stream, `/webhooks${id === "" ? "" : `/${id}`}`);
  const section: Section = new Section("webhooks", t.title, t.hint, () => fill());
  const fill = async (made?: Webhook): Promise<void> => {
    const { webhooks } = await client.ask<{ webhooks: Webhook[] }>("GET", path());
    section.body.replaceChildren(
      ...(made?.secret === undefined ? [] : [secretShown(made.secret, t.once, "webhook-secret")]),
      webhooks.length === 0 ? el("p", { class: "hint" }, t.none) : el("ul", { class: "entries" }, ...webhooks.map(row)),
      form(),
    );
  };
  const change = (id: string, body: unknown, said: string): void =>
    void section.run(async () => fill(await client.ask<Webhook>("PATCH", path(id), body)), said);
  const row = (webhook: Webhook): HTMLElement => {
    const { id } = webhook;
    const remove = async (): Promise<void> => {
      await client.ask("DELETE", path(id));
      await fill();
    };
    return rowOf(webhook, {
      become: (state) => change(id, { state }, state === "paused" ? t.nowPaused : t.resumed),
      rotate: () => change(id, { rotateSecret: true }, t.rotated),
      remove: () => void section.run(remove, t.removed),
    });
  };
  const form = (): HTMLElement => {
    const url = el("input", {
      id: "webhook-url",
      type: "url",
      testid: "webhook-url",
      required: true,
      maxlength: 1_024,
      placeholder: "https://…",
      autocomplete: "off",
      spellcheck: "false",
    });
    const kinds = boxes(
      "webhook",
      t.events,
      KINDS,
      KINDS.map(([word]) => word),
    );
    const make = async (): Promise<void> => {
      await fill(await client.ask<Webhook>("POST", path(), { url: url.value.trim(), events: kinds.chosen() }));
    };
    return el(
      "form",
      {
        class: "adding",
        onsubmit: (event: Event) => {
          event.preventDefault();
          void section.run(make, t.made);
        },
      },
      el("label", { for: "webhook-url" }, t.url),
      url,
      kinds.element,
      el("button", { type: "submit", class: "primary", testid: "webhook-make" }, t.make),
    );
  };
  return section;
}
