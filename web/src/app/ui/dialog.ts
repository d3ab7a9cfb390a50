// The common parts of the page's dialogs.

import { texts } from "../texts/texts.ts";
import { el } from "./dom.ts";
import { icon } from "./icons.ts";

/** The header of a dialog: its title, and a button that closes the dialog. */
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
