// The API keys of the account, for services that act for it.

import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { dateAndTime } from "../ui/format.ts";
import type { ApiKey, ManageClient } from "./api.ts";
import { RIGHTS } from "./members.ts";
import { boxes, confirmedButton, Section, secretShown } from "./section.ts";

const t = texts.manage.keys;

/** Milliseconds of a day. */
const DAY_MS = 86_400_000;

/** The section of the API keys. A new key is for this stream alone unless its box says otherwise. */
export function keysSection(client: ManageClient, stream: string): Section {
  const section: Section = new Section("keys", t.title, t.hint, () => fill());
  const fill = async (made?: ApiKey): Promise<void> => {
    const { keys } = await client.ask<{ keys: ApiKey[] }>("GET", "/v1/keys");
    section.body.replaceChildren(
      ...(made?.key === undefined ? [] : [secretShown(made.key, t.once, "key-secret")]),
      keys.length === 0 ? el("p", { class: "hint" }, t.none) : el("ul", { class: "entries" }, ...keys.map(row)),
      form(),
    );
  };
  const row = (key: ApiKey): HTMLElement => {
    const words = RIGHTS.filter(([word]) => key.rights.includes(word)).map(([, label]) => label);
    const streams = key.streams === undefined ? t.all : t.streams(key.streams.length);
    const end = key.expires === undefined ? "" : `, ${t.until(dateAndTime(key.expires))}`;
    const remove = async (): Promise<void> => {
      await client.ask("DELETE", `/v1/keys/${key.id}`);
      await fill();
    };
    return el(
      "li",
      { testid: "key", "data-id": key.id },
      el("strong", {}, key.name),
      el("span", {}, `${words.join(", ")} · ${streams}${end}`),
      confirmedButton(t.remove, "key-remove", () => void section.run(remove, t.removed), `${t.remove} ${key.name}`),
    );
  };
  const form = (): HTMLElement => {
    const name = el("input", {
      id: "key-name",
      testid: "key-name",
      required: true,
      maxlength: 64,
      autocomplete: "off",
    });
    const days = el("input", {
      id: "key-days",
      testid: "key-days",
      type: "number",
      min: 1,
      max: 3_650,
      placeholder: t.never,
    });
    const everywhere = el("input", { type: "checkbox", testid: "key-everywhere" });
    const rights = boxes("key", texts.manage.rightsLegend, RIGHTS, ["read"]);
    const make = async (): Promise<void> => {
      const wanted = {
        name: name.value,
        rights: rights.chosen(),
        ...(everywhere.checked ? {} : { streams: [stream] }),
        ...(days.value === "" ? {} : { expires: Date.now() + Number(days.value) * DAY_MS }),
      };
      await fill(await client.ask<ApiKey>("POST", "/v1/keys", wanted));
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
      el("label", { for: "key-name" }, t.name),
      name,
      el("label", { for: "key-days" }, t.days),
      days,
      rights.element,
      el("label", { class: "choice" }, everywhere, el("span", {}, t.everywhere)),
      el("button", { type: "submit", class: "primary", testid: "key-make" }, t.make),
    );
  };
  return section;
}
