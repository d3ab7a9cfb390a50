// What the page's dialogs have in common.

import { texts } from "../texts/texts.ts";
import { el } from "./dom.ts";
import { icon } from "./icons.ts";

/** A dialog's header: its title, and a button that closes the dialog it is in. */
export function dialogHeader(title: HTMLElement, testid?: string): HTMLElement {
  const close = el(
    "button",
    {
      type: "button",
      class: "bare",
      "aria-label": texts.details.close,
      testid,
      onclick: () => close.closest("dialog")?.close(),
    },
    icon("close"),
  );
  return el("header", {}, title, close);
}
