// The site of documents as texts: a page for each, and the index that the browser searches. A link that leads nowhere is a
// failure, so that no page with one is built.

import { Failure } from "../console.mjs";
import { framed } from "./frame.mjs";
import { editAddress, follow } from "./links.mjs";
import { parseDocument, renderDocument, summaryOf } from "./markdown.mjs";
import { addressOf, fileOf, pagesOf } from "./pages.mjs";
import { TEXTS } from "./texts.mjs";

/**
 * @typedef {object} Source
 * @property {string[]} documents the Markdown files of docs/, as paths from the root
 * @property {(path: string) => string} read
 * @property {(path: string) => "file" | "folder" | null} kind
 * @property {string | null} repository
 *
 * @typedef {object} Site
 * @property {Map<string, string>} files by their path in the folder `docs`
 * @property {number} pages
 */

/** The index is loaded whole by whoever searches. Beyond this it needs another form; today's documents take two thirds. */
export const MAX_INDEX_BYTES = 384 * 1024;

/** A description is cut off by search engines at about this length. */
const MAX_SUMMARY_CHARS = 160;

const INDEX = "search.json";

/** @param {Source} source @returns {Site} */
export const buildSite = (source) => {
  const pages = pagesOf(source.documents).map((page) => ({
    page,
    document: parseDocument(source.read(page.document)),
  }));
  const places = {
    kind: source.kind,
    repository: source.repository,
    pages: new Map(
      pages.map(({ page, document }) => [
        page.document,
        { address: addressOf(page), anchors: new Set(document.headings.map(({ id }) => id)) },
      ]),
    ),
  };
  /** @type {string[]} */
  const problems = [];
  /** @param {typeof pages[number]} one */
  const titleOf = ({ page, document }) => document.headings[0]?.text ?? page.document;
  /** @type {Map<string, string>} */
  const files = new Map();
  for (const one of pages) {
    const { page, document } = one;
    const texts = TEXTS[page.language];
    const onProblem = (/** @type {string} */ problem) => problems.push(`${page.document}: ${problem}`);
    const link = (/** @type {string} */ target) => {
      const found = follow(places, page.document, target);
      if ("address" in found) return found.address;
      onProblem(found.problem);
      return null;
    };
    const picture = (/** @type {string} */ target) => {
      const address = link(target) ?? "";
      if (!address.startsWith("/")) onProblem(`the picture ${target} is not served: it must be in docs/`);
      return address;
    };
    const title = titleOf(one);
    if (files.has(fileOf(page))) onProblem(`another document is at ${addressOf(page)}`);
    files.set(
      fileOf(page),
      framed({
        page,
        pages: pages.map((other) => other.page),
        nameOf: (named) => {
          const other = pages.find((candidate) => candidate.page === named);
          return named.name?.[page.language] ?? (other ? titleOf(other) : named.document);
        },
        title,
        summary: summaryOf(document).slice(0, MAX_SUMMARY_CHARS),
        headings: document.headings,
        article: renderDocument(document, { addresses: { link, picture }, texts, onProblem }),
        edit: editAddress(source.repository, page.document),
      }),
    );
  }
  files.set(INDEX, searchIndex(pages));
  if (problems.length > 0) throw new Failure(`The documents can't be made into pages:\n  ${problems.join("\n  ")}`);
  return { files, pages: pages.length };
};

/**
 * What is searched: `pages` are [address, title, language], `sections` are [page, anchor, heading, text].
 * @param {{ page: import("./pages.mjs").Page, document: import("./markdown.mjs").Document }[]} pages
 */
const searchIndex = (pages) => {
  const searched = pages.filter(({ page }) => page.searched);
  const index = {
    pages: searched.map(({ page, document }) => [addressOf(page), document.headings[0]?.text ?? "", page.language]),
    sections: searched.flatMap(({ document }, number) =>
      document.sections.map(({ heading, text }) => [number, heading.depth === 1 ? "" : heading.id, heading.text, text]),
    ),
  };
  const text = JSON.stringify(index);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_INDEX_BYTES) {
    throw new Failure(`The search index has ${bytes} bytes; ${MAX_INDEX_BYTES} are allowed (MAX_INDEX_BYTES).`);
  }
  return text;
};
