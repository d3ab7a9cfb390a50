// What the pages of documents do with a script: the theme, before anything is drawn, and the search.

import { el, setText } from "../ui/dom.ts";
import { restoreTheme, themeButton } from "../ui/theme.ts";
import { type Found, find, type SearchIndex } from "./search.ts";

const INDEX = "/docs/search.json";

/** The words that the page brings in its own language. */
type Words = Readonly<Record<"search" | "found" | "nothing" | "failed" | "dark" | "light", string>>;

/** The field, and the list of what was found below it. */
class Finder {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #input: HTMLInputElement;
  readonly #status = el("p", { class: "hint", role: "status", testid: "search-status" });
  readonly #list = el("ol", { testid: "search-results" });
  readonly #results = el("div", { class: "results", hidden: true }, this.#status, this.#list);
  #index: Promise<SearchIndex> | null = null;

  constructor(words: Words) {
    this.#words = words;
    this.#input = el("input", {
      type: "search",
      testid: "search",
      "aria-label": words.search,
      placeholder: words.search,
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => void this.#show(),
      onfocus: () => void this.#show(),
    });
    this.element = el("search", { class: "find" }, this.#input, this.#results);
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    document.addEventListener("pointerdown", (event) => {
      if (!this.element.contains(event.target as Node)) this.#close();
    });
    this.element.addEventListener("focusout", (event) => {
      if (event.relatedTarget !== null && !this.element.contains(event.relatedTarget as Node)) this.#close();
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#input.focus();
    });
  }

  #close(): void {
    this.#results.hidden = true;
  }

  /** The index, asked for when somebody begins to search; asked for again after a failure. */
  #load(): Promise<SearchIndex> {
    this.#index ??= fetch(INDEX).then((answer) => {
      if (!answer.ok) throw new Error(`${INDEX}: ${answer.status}`);
      return answer.json() as Promise<SearchIndex>;
    });
    this.#index.catch(() => {
      this.#index = null;
    });
    return this.#index;
  }

  async #show(): Promise<void> {
    const asked = this.#input.value;
    try {
      const index = await this.#load();
      if (asked !== this.#input.value) return;
      if (asked.trim() === "") return this.#close();
      const results = find(index, asked, document.documentElement.lang);
      this.#list.replaceChildren(...results.map((found) => el("li", {}, this.#link(found))));
      setText(this.#status, results.length === 0 ? this.#words.nothing : `${this.#words.found}: ${results.length}`);
    } catch {
      this.#list.replaceChildren();
      setText(this.#status, this.#words.failed);
    }
    this.#results.hidden = false;
  }

  #link({ address, page, heading, excerpt }: Found): HTMLElement {
    const parts = excerpt.map((part, place) => (place % 2 === 1 ? el("mark", {}, part) : part));
    const where = page === heading ? page : `${page} › ${heading}`;
    const link = el("a", { href: address, onclick: () => this.#close() });
    link.append(el("strong", {}, where), el("span", {}, ...parts));
    return link;
  }

  #onKey(event: KeyboardEvent): void {
    const links = [...this.#list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    if (event.key === "Escape") {
      this.#input.focus();
      this.#close();
    } else if (event.key === "ArrowDown") links[Math.min(at + 1, links.length - 1)]?.focus();
    else if (event.key === "ArrowUp") (at > 0 ? links[at - 1] : this.#input)?.focus();
    else if (event.key === "Enter" && document.activeElement === this.#input) links[0]?.click();
    else return;
    event.preventDefault();
  }
}

restoreTheme();
document.addEventListener("DOMContentLoaded", () => {
  const words = document.body.dataset as unknown as Words;
  document.querySelector(".finder")?.replaceWith(new Finder(words).element);
  document.querySelector("header.bar")?.append(themeButton(words, () => {}));
});
