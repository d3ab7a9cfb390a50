// The stream's members and their rights.

import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { type ManageClient, type Member, streamPath } from "./api.ts";
import { boxes, confirmedButton, Section } from "./section.ts";

const t = texts.manage.members;

/** The words of the rights with their labels. */
export const RIGHTS = Object.entries(texts.manage.rights);

/** The section of the members. */
export function membersSection(client: ManageClient, stream: string): Section {
  const path = (address = ""): string => streamPath(stream, `/members${address === "" ? "" : `/${address}`}`);
  const section: Section = new Section("members", t.title, t.hint, () => fill());
  const fill = async (): Promise<void> => {
    const { members } = await client.ask<{ members: Member[] }>("GET", path());
    section.body.replaceChildren(
      members.length === 0 ? el("p", { class: "hint" }, t.none) : el("ul", { class: "entries" }, ...members.map(row)),
      form(),
    );
  };
  const row = ({ address, rights }: Member): HTMLElement => {
    const words = RIGHTS.filter(([word]) => rights.includes(word)).map(([, label]) => label);
    const remove = async (): Promise<void> => {
      await client.ask("DELETE", path(address));
      await fill();
    };
    return el(
      "li",
      { testid: "member", "data-address": address },
      el("code", {}, address),
      el("span", {}, words.join(", ")),
      confirmedButton(t.remove, "member-remove", () => void section.run(remove, t.removed), `${t.remove} ${address}`),
    );
  };
  const form = (): HTMLElement => {
    const address = el("input", {
      id: "member-address",
      testid: "member-address",
      required: true,
      pattern: "0x[0-9a-fA-F]{40}",
      placeholder: "0x…",
      autocomplete: "off",
      spellcheck: "false",
    });
    const rights = boxes("member", texts.manage.rightsLegend, RIGHTS, ["read"]);
    const put = async (): Promise<void> => {
      await client.ask("PUT", path(address.value.trim().toLowerCase()), { rights: rights.chosen() });
      await fill();
    };
    return el(
      "form",
      {
        class: "adding",
        onsubmit: (event: Event) => {
          event.preventDefault();
          void section.run(put, t.added);
        },
      },
      el("label", { for: "member-address" }, t.address),
      address,
      rights.element,
      el("button", { type: "submit", class: "primary", testid: "member-add" }, t.add),
    );
  };
  return section;
}
