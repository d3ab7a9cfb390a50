// The page around a document. Works without a script, but for the search and the choice of a theme.

import { escapeHtml } from "./html.mjs";
import { addressOf } from "./pages.mjs";
import { SCRIPT_WORDS, TEXTS } from "./texts.mjs";

/**
 * @typedef {import("./pages.mjs").Page} Page
 * @typedef {import("./markdown.mjs").Heading} Heading
 *
 * @typedef {object} Frame
 * @property {Page} page
 * @property {Page[]} pages all of them, in reading order
 * @property {(page: Page) => string} nameOf how lists name a page, in the language of this one
 * @property {string} title
 * @property {string} summary
 * @property {Heading[]} headings
 * @property {string} article
 * @property {string | null} edit where the document can be edited
 */

const MARK = `<svg class="mark" viewBox="0 0 28 20" width="28" height="20" aria-hidden="true"><path d="M5 14h7M12 14V6h9" class="link"/><rect x="1" y="10" width="8" height="8" rx="2" class="block"/><rect x="9.5" y="10" width="8" height="8" rx="2" class="block"/><rect x="18" y="2" width="8" height="8" rx="2" class="tip"/></svg>`;

/** @param {string} href @param {string} text @param {string} attributes */
const link = (href, text, attributes = "") => `<a href="${escapeHtml(href)}"${attributes}>${escapeHtml(text)}</a>`;

/** @param {Frame} frame @param {Record<string, string>} texts */
const pageLists = ({ page, pages, nameOf }, texts) =>
  [...new Set(pages.map(({ group }) => group))]
    .map((group) => {
      const items = pages
        .filter((one) => one.group === group)
        .map((one) => {
          const language = one.language === page.language ? "" : ` hreflang="${one.language}"`;
          const current = one === page ? ' aria-current="page"' : "";
          return `<li>${link(addressOf(one), nameOf(one), `${language}${current}`)}</li>`;
        });
      return `<p class="group">${escapeHtml(texts[group] ?? group)}</p><ul>${items.join("")}</ul>`;
    })
    .join("");

/** @param {Heading[]} headings */
const contents = (headings) => {
  const shown = headings.filter(({ depth }) => depth === 2 || depth === 3);
  const items = shown.map(({ id, text, depth }) => `<li class="depth-${depth}">${link(`#${id}`, text)}</li>`);
  return items.length === 0 ? "" : `<ul>${items.join("")}</ul>`;
};

/** @param {Frame} frame @param {Record<string, string>} texts */
const foot = ({ page, pages, nameOf, edit }, texts) => {
  const own = pages.filter(
    ({ language, slug }) => language === page.language || (page.language === "vi" && slug !== ""),
  );
  const at = own.indexOf(page);
  const [before, after] = [own[at - 1], own[at + 1]];
  const previous =
    before && `<p class="previous">${texts.previous}: ${link(addressOf(before), nameOf(before), ' rel="prev"')}</p>`;
  const next = after && `<p class="next">${texts.next}: ${link(addressOf(after), nameOf(after), ' rel="next"')}</p>`;
  const change = edit === null ? "" : `<p class="edit">${link(edit, texts.edit ?? "")}</p>`;
  return `${previous ?? ""}${next ?? ""}${change}`;
};

/** @param {Frame} frame */
export const framed = (frame) => {
  const { page, pages, title, summary, headings, article } = frame;
  const texts = TEXTS[page.language];
  const other = pages.find(({ language, slug }) => language !== page.language && /^(?:|.*\/)$/.test(slug));
  const words = SCRIPT_WORDS.map((word) => ` data-${word}="${escapeHtml(texts[word] ?? "")}"`).join("");
  const lists = pageLists(frame, texts);
  const toc = contents(headings);
  const otherLanguage =
    other &&
    link(addressOf(other), texts.otherLanguage ?? "", ` lang="${other.language}" hreflang="${other.language}"`);
  const alternate =
    other && /^(?:|.*\/)$/.test(page.slug)
      ? `\n    <link rel="alternate" hreflang="${other.language}" href="${addressOf(other)}">`
      : "";
  return `<!doctype html>
<html lang="${page.language}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta name="description" content="${escapeHtml(summary)}">
    <title>${escapeHtml(title === "StreamChain" ? `${title} · ${texts.site}` : `${title} · StreamChain`)}</title>
    <link rel="icon" href="/favicon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/docs.css">${alternate}
    <script src="/docs.js"></script>
  </head>
  <body${words}>
    <a class="skip" href="#content">${escapeHtml(texts.skip ?? "")}</a>
    <header class="bar">
      <a class="brand" href="${page.language === "vi" ? "/docs/vi/" : "/docs/"}" aria-label="StreamChain">${MARK}<span>StreamChain</span></a>
      <span class="where">${escapeHtml(texts.site ?? "")}</span>
      <div class="finder"></div>
      ${otherLanguage ?? ""}
      ${link("/", texts.app ?? "")}
    </header>
    <div class="columns">
      <nav class="pages" aria-label="${escapeHtml(texts.pages ?? "")}">${lists}</nav>
      <main id="content" tabindex="-1">
        <details class="menu">
          <summary>${escapeHtml(texts.menu ?? "")}</summary>
          <nav aria-label="${escapeHtml(texts.menu ?? "")}">${lists}${toc && `<p class="group">${texts.contents}</p>${toc}`}</nav>
        </details>
        <article>
${article}</article>
        <footer>${foot(frame, texts)}</footer>
      </main>
      ${toc && `<nav class="contents" aria-label="${texts.contents}"><p class="group">${texts.contents}</p>${toc}</nav>`}
    </div>
  </body>
</html>
`;
};
