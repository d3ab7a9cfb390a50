// The stream's settings: a form made of the table. Only what was changed is sent.

import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { type ManageClient, type ManagedStream, streamPath } from "./api.ts";
import { Section } from "./section.ts";
import { SETTINGS, type Setting, type SettingName } from "./settings-table.ts";

const t = texts.manage.settings;

/** A setting without its texts does not compile. */
const LABELS: Readonly<Record<SettingName, string>> = t.labels;
const HELP: Readonly<Record<SettingName, string>> = t.help;

/** A field of the form: its row, and what it says now. */
interface Field {
  readonly element: HTMLElement;
  readonly value: () => unknown;
}

function choice(setting: Extract<Setting, { kind: "choice" }>, now: unknown, off: boolean): Field {
  const labels: Readonly<Record<string, string>> = t.values[setting.name as keyof typeof t.values] ?? {};
  const options = setting.values.map((value) =>
    el("option", { value, selected: value === now }, labels[value] ?? value),
  );
  const select = el("select", { id: `set-${setting.name}`, testid: `set-${setting.name}`, disabled: off }, ...options);
  return { element: select, value: () => select.value };
}

function onOff({ name }: Setting, now: unknown, off: boolean): Field {
  const id = `set-${name}`;
  const input = el("input", { type: "checkbox", id, testid: id, checked: now === true, disabled: off });
  return { element: input, value: () => input.checked };
}

function days(setting: Extract<Setting, { kind: "days" }>, now: unknown, off: boolean): Field {
  const id = `set-${setting.name}`;
  const input = el("input", {
    type: "number",
    id,
    testid: id,
    min: 1,
    max: setting.max,
    step: 1,
    placeholder: t.forever,
    value: typeof now === "number" ? now : undefined,
    disabled: off,
  });
  return { element: input, value: () => (input.value === "" ? setting.forever : Number(input.value)) };
}

function fieldOf(setting: Setting, now: unknown, off: boolean): Field {
  if (setting.kind === "choice") return choice(setting, now, off);
  return setting.kind === "days" ? days(setting, now, off) : onOff(setting, now, off);
}

/** The section of the settings. */
export function settingsSection(
  client: ManageClient,
  stream: string,
  may: () => { readonly manage: boolean; readonly own: boolean },
): Section {
  const section: Section = new Section("settings", t.title, t.hint, async () => {
    show(await client.ask<ManagedStream>("GET", streamPath(stream)));
  });
  const show = (now: ManagedStream): void => {
    const { manage, own } = may();
    const known = SETTINGS.filter(({ name }) => now[name] !== undefined);
    // How long payloads are kept is for the owner to say, not for members.
    const fields = known.map((setting) => {
      const off = !manage || (setting.kind === "days" && !own);
      return { setting, field: fieldOf(setting, now[setting.name], off) };
    });
    const rows = fields.map(({ setting: { name }, field }) =>
      el(
        "div",
        { class: "setting" },
        el("label", { for: `set-${name}` }, LABELS[name]),
        field.element,
        el("p", { class: "hint" }, HELP[name]),
      ),
    );
    const changed = (): Record<string, unknown> =>
      Object.fromEntries(
        fields
          .map(({ setting: { name }, field }) => [name, field.value()] as const)
          .filter(([name, value]) => value !== now[name]),
      );
    const save = el("button", { type: "submit", class: "primary", testid: "settings-save", disabled: !manage }, t.save);
    const form = el(
      "form",
      {
        class: "settings",
        onsubmit: (event: Event) => {
          event.preventDefault();
          void section.run(async () => {
            show(await client.ask<ManagedStream>("PATCH", streamPath(stream), changed()));
          }, t.saved);
        },
      },
      ...(manage ? [] : [el("p", { class: "hint", testid: "settings-readonly" }, t.readOnly)]),
      ...rows,
      save,
    );
    section.body.replaceChildren(form);
  };
  return section;
}
