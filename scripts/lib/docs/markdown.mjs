// One document: its headings and sections, and its HTML. Knows nothing of other documents; links are resolved by its caller.

import { Marked } from "marked";
import { colouredCode, escapeHtml, ownHtml } from "./html.mjs";

/**
 * @typedef {import("marked").Token} Token
 * @typedef {{ id: string, text: string, depth: number }} Heading
 * @typedef {{ heading: Heading, text: string }} Section
 *
 * @typedef {object} Document
 * @property {Token[]} tokens
 * @property {Heading[]} headings
 * @property {Section[]} sections what stands under each heading, without the sections of deeper ones
 * @property {Map<Token, string>} ids
 */

/**
 * The text of tokens without its marks.
 * @param {Token[]} tokens
 * @returns {string}
 */
const plainText = (tokens) =>
  tokens
    .map((token) => {
      if (token.type === "html" || token.type === "image") return "";
      if (token.type === "table") {
        const rows = [token.header, ...token.rows];
        return rows.map((row) => row.map((/** @type {any} */ cell) => plainText(cell.tokens)).join(" ")).join(" ");
      }
      if (token.type === "list") return token.items.map((/** @type {any} */ item) => plainText(item.tokens)).join(" ");
      if ("tokens" in token && token.tokens) return plainText(token.tokens);
      return token.type === "br" || token.type === "space" ? " " : "text" in token ? token.text : "";
    })
    .join("");

/** The anchor that GitHub gives a heading. @param {string} text */
const slugOf = (text) =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");

/** @param {string} text */
const oneLine = (text) => text.replaceAll(/\s+/g, " ").trim();

/** @param {string} markdown @returns {Document} */
export const parseDocument = (markdown) => {
  const tokens = /** @type {Token[]} */ (new Marked({ gfm: true }).lexer(markdown));
  /** @type {Map<string, number>} */
  const used = new Map();
  /** @type {Document} */
  const document = { tokens, headings: [], sections: [], ids: new Map() };
  for (const token of tokens) {
    if (token.type !== "heading") {
      const section = document.sections.at(-1);
      if (section) section.text = oneLine(`${section.text} ${plainText([token])}`);
      continue;
    }
    const text = oneLine(plainText(token.tokens ?? []));
    const slug = slugOf(text);
    const before = used.get(slug);
    used.set(slug, (before ?? -1) + 1);
    const heading = { id: before === undefined ? slug : `${slug}-${before + 1}`, text, depth: token.depth };
    document.headings.push(heading);
    document.ids.set(token, heading.id);
    document.sections.push({ heading, text: "" });
  }
  return document;
};

/** The first paragraph, for the page's description. @param {Document} document */
export const summaryOf = ({ tokens }) => {
  const paragraph = tokens.find((token) => token.type === "paragraph" && !/^[*!<]/.test(token.text));
  return oneLine(paragraph ? plainText([paragraph]) : "");
};

/**
 * The HTML of a document.
 * @param {Document} document
 * @param {object} how
 * @param {import("./html.mjs").Addresses} how.addresses
 * @param {Record<string, string>} how.texts
 * @param {(problem: string) => void} how.onProblem
 */
export const renderDocument = ({ tokens, ids }, { addresses, texts, onProblem }) => {
  /** @param {string} raw */
  const passed = (raw) => {
    const { html, problems } = ownHtml(raw, addresses);
    for (const problem of problems) onProblem(`${problem} is not for the pages`);
    return html;
  };
  const marked = new Marked({
    gfm: true,
    renderer: {
      heading(token) {
        const html = this.parser.parseInline(token.tokens);
        const id = ids.get(token);
        if (id === undefined || token.depth === 1)
          return `<h${token.depth} id="${id ?? ""}">${html}</h${token.depth}>\n`;
        const label = escapeHtml(`${texts.section}: ${plainText(token.tokens)}`);
        const anchor = `<a class="anchor" href="#${id}" aria-label="${label}">#</a>`;
        return `<h${token.depth} id="${id}">${html} ${anchor}</h${token.depth}>\n`;
      },
      link(token) {
        const html = this.parser.parseInline(token.tokens);
        const href = addresses.link(token.href);
        return href === null ? html : `<a href="${escapeHtml(href)}">${html}</a>`;
      },
      image(token) {
        return `<img src="${escapeHtml(addresses.picture(token.href))}" alt="${escapeHtml(token.text)}" loading="lazy">`;
      },
      code(token) {
        const language = /^\S*/.exec(token.lang ?? "")?.[0] ?? "";
        const label = `${texts.code}${language && `: ${language}`}`;
        const open = `<pre tabindex="0" role="group" aria-label="${escapeHtml(label)}">`;
        return `${open}<code>${colouredCode(token.text, language)}</code></pre>\n`;
      },
      table(token) {
        /** @param {import("marked").Tokens.TableCell[]} cells @param {string} tag */
        const row = (cells, tag) => {
          const inner = cells.map((cell) => {
            const name = cell.text === "" ? "td" : tag;
            return `<${name}>${this.parser.parseInline(cell.tokens)}</${name}>`;
          });
          return `<tr>${inner.join("")}</tr>`;
        };
        const named = token.header.some((cell) => cell.text !== "");
        const head = named ? `<thead>${row(token.header, "th")}</thead>` : "";
        const body = token.rows.map((cells) => row(cells, "td")).join("\n");
        const label = escapeHtml(
          `${texts.table}: ${token.header
            .map(({ text }) => text)
            .filter(Boolean)
            .join(", ")}`,
        );
        const open = `<div class="scroll" tabindex="0" role="group" aria-label="${label}">`;
        return `${open}<table>${head}<tbody>${body}</tbody></table></div>\n`;
      },
      html: (token) => passed(token.text),
    },
  });
  return /** @type {string} */ (marked.parser(/** @type {any} */ (tokens)));
};
