// Erasing the payload of one message, which can't be undone.

import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";
import { type ManageClient, streamPath } from "./api.ts";
import { confirmedButton, Section } from "./section.ts";

const t = texts.manage.erasure;

/** The section of erasure. */
export function erasureSection(client: ManageClient, stream: string): Section {
  const seq = el("input", { id: "erase-seq", testid: "erase-seq", type: "number", min: 0, step: 1, required: true });
  const erase = async (): Promise<void> => {
    if (!seq.reportValidity()) throw new Error(t.which);
    await client.ask("DELETE", streamPath(stream, `/messages/${Number(seq.value)}`));
    seq.value = "";
  };
  const section: Section = new Section("erasure", t.title, t.hint, async () => {});
  section.body.append(
    el(
      "form",
      { class: "adding", onsubmit: (event: Event) => event.preventDefault() },
      el("label", { for: "erase-seq" }, t.seq),
      seq,
      confirmedButton(t.erase, "erase", () => void section.run(erase, t.erased)),
    ),
  );
  return section;
}
