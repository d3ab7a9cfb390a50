// The sheet of those who manage a stream: settings, members, API keys, webhooks, erasure. Others see the settings.

import type { StreamConnection } from "../../lib/index.ts";
import type { AccountMemory } from "../account/account.ts";
import { texts } from "../texts/texts.ts";
import { dialogHeader } from "../ui/dialog.ts";
import { el, setText } from "../ui/dom.ts";
import { shortHex } from "../ui/format.ts";
import { icon } from "../ui/icons.ts";
import { ManageClient, type ManagedStream, Refused, streamPath } from "./api.ts";
import { erasureSection } from "./erasure.ts";
import { keysSection } from "./keys.ts";
import { membersSection } from "./members.ts";
import type { Section } from "./section.ts";
import { settingsSection } from "./settings.ts";
import { webhooksSection } from "./webhooks.ts";

const t = texts.manage;

/** What the account may do with the stream. */
interface May {
  readonly manage: boolean;
  /** Whether the stream is the account's own, or everything is. */
  readonly own: boolean;
}

/** The button and its dialog. */
export class Manage {
  readonly button: HTMLElement;
  readonly element: HTMLDialogElement;
  readonly #client: ManageClient;
  readonly #connection: StreamConnection;
  readonly #memory: AccountMemory;
  readonly #who = el("p", { class: "hint", testid: "manage-who", role: "status" });
  readonly #settings: Section;
  readonly #parts: readonly Section[];
  #may: May = { manage: false, own: false };

  constructor(connection: StreamConnection, memory: AccountMemory) {
    this.#connection = connection;
    this.#memory = memory;
    const { stream } = connection;
    this.#client = new ManageClient(connection.edge.origin, () => memory.token);
    this.#settings = settingsSection(this.#client, stream, () => this.#may);
    this.#parts = [
      this.#settings,
      membersSection(this.#client, stream),
      webhooksSection(this.#client, stream),
      keysSection(this.#client, stream),
      erasureSection(this.#client, stream),
    ];
    this.button = el(
      "button",
      {
        type: "button",
        class: "bare",
        testid: "manage",
        title: t.open,
        "aria-label": t.open,
        onclick: () => this.#open(),
      },
      icon("gear"),
    );
    this.element = el(
      "dialog",
      { class: "details", testid: "manage-sheet", "aria-labelledby": "manage-title" },
      dialogHeader(el("h2", { id: "manage-title" }, t.title(shortHex(stream, 10, 6))), "manage-close"),
      el("div", { class: "sheet manage" }, this.#who, ...this.#parts.map(({ element }) => element)),
    );
  }

  #open(): void {
    for (const part of this.#parts) part.close();
    this.element.showModal();
    void this.#look();
  }

  /** Asks who the account is to this stream, and shows what it may do. */
  async #look(): Promise<void> {
    setText(this.#who, t.asking);
    try {
      const { owner } = await this.#client.ask<ManagedStream>("GET", streamPath(this.#connection.stream));
      const manage = await this.#mayManage();
      const own = this.#connection.author?.toLowerCase() === owner.toLowerCase();
      const isOperator = manage && !own && (await this.#isOperator());
      this.#may = { manage, own: own || isOperator };
      setText(this.#who, manage ? (own ? t.owner : t.manager) : t.stranger(owner));
    } catch (error) {
      this.#may = { manage: false, own: false };
      setText(this.#who, error instanceof Error ? error.message : String(error));
    }
    const { manage, own } = this.#may;
    for (const { element } of this.#parts) element.hidden = !manage && element !== this.#settings.element;
    // Keys are for accounts that signed in, erasure is for the owner.
    for (const [name, is] of [
      ["keys", manage && this.#memory.kind !== undefined],
      ["erasure", own],
    ] as const) {
      const part = this.#parts.find(({ element }) => element.dataset.testid === `manage-${name}`);
      if (part !== undefined) part.element.hidden = !is;
    }
    this.#settings.element.open = true;
  }

  async #mayManage(): Promise<boolean> {
    return this.#answers(streamPath(this.#connection.stream, "/members"));
  }

  async #isOperator(): Promise<boolean> {
    return this.#answers("/v1/audit?limit=1");
  }

  /** Whether the edge answers this account; a refusal for who asks is no error. */
  async #answers(path: string): Promise<boolean> {
    try {
      await this.#client.ask("GET", path);
      return true;
    } catch (error) {
      if (error instanceof Refused && [401, 403, 404].includes(error.status)) return false;
      throw error;
    }
  }
}
