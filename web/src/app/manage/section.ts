// A part of the sheet: a heading that opens it, what it shows, and what went wrong or well in it.

import { texts } from "../texts/texts.ts";
import { el, setText } from "../ui/dom.ts";

/** The part; it is filled each time that it is opened. */
export class Section {
  readonly element: HTMLDetailsElement;
  readonly body = el("div", { class: "part" });
  readonly #report = el("p", { class: "hint", role: "status" });
  readonly #problem = el("p", { class: "problem", role: "alert" });
  readonly #fill: () => Promise<void>;

  constructor(name: string, title: string, hint: string, fill: () => Promise<void>) {
    this.#fill = fill;
    this.#report.dataset.testid = `${name}-report`;
    this.#problem.dataset.testid = `${name}-problem`;
    this.element = el(
      "details",
      { class: "managed", testid: `manage-${name}` },
      el("summary", {}, title),
      el("p", { class: "hint" }, hint),
      this.body,
      this.#report,
      this.#problem,
    );
    this.element.addEventListener("toggle", () => {
      if (this.element.open) void this.run(this.#fill);
    });
  }

  /** Closes it, so that it is filled anew. */
  close(): void {
    this.element.open = false;
    this.#say("", "");
  }

  /** Does something, and shows what went wrong. `done` is what to say when nothing did. */
  async run(act: () => Promise<void>, done = ""): Promise<void> {
    this.#say("", "");
    this.element.setAttribute("aria-busy", "true");
    try {
      await act();
      this.#say(done, "");
    } catch (error) {
      this.#say("", error instanceof Error ? error.message : String(error));
    } finally {
      this.element.removeAttribute("aria-busy");
    }
  }

  #say(report: string, problem: string): void {
    setText(this.#report, report);
    setText(this.#problem, problem);
  }
}

/** A button that asks once more before it does what can't be undone. */
export function confirmedButton(label: string, testid: string, act: () => void, name?: string): HTMLButtonElement {
  let armed = false;
  const button = el("button", { type: "button", class: "quiet danger", testid, "aria-label": name ?? label }, label);
  const rest = (): void => {
    armed = false;
    setText(button, label);
    button.setAttribute("aria-label", name ?? label);
  };
  button.addEventListener("click", () => {
    if (armed) {
      rest();
      return act();
    }
    armed = true;
    setText(button, texts.manage.sure);
    button.setAttribute("aria-label", `${name ?? label}: ${texts.manage.sure}`);
  });
  button.addEventListener("blur", rest);
  return button;
}

/** A secret that is shown once, with what to do with it. */
export function secretShown(text: string, hint: string, testid: string): HTMLElement {
  return el("div", { class: "secret", role: "status" }, el("p", {}, hint), el("code", { testid, tabindex: 0 }, text));
}

/** Boxes to tick, one for each word; the function gives those that are ticked. */
export function boxes(
  name: string,
  legend: string,
  words: readonly (readonly [word: string, label: string])[],
  ticked: readonly string[],
): { readonly element: HTMLElement; readonly chosen: () => string[] } {
  const inputs = words.map(([word, label]) => {
    const input = el("input", {
      type: "checkbox",
      value: word,
      testid: `${name}-${word}`,
      checked: ticked.includes(word),
    });
    return { input, label: el("label", { class: "choice" }, input, el("span", {}, label)) };
  });
  const element = el("fieldset", { class: "boxes" }, el("legend", {}, legend), ...inputs.map(({ label }) => label));
  return { element, chosen: () => inputs.filter(({ input }) => input.checked).map(({ input }) => input.value) };
}
