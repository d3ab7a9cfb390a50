// HTML as text: what is escaped, what of the documents' own HTML is let through, and colours for code.

/** @type {Record<string, string>} */
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** @param {string} text */
export const escapeHtml = (text) => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

const ALLOWED_TAGS = /^(?:a|b|br|code|details|em|i|img|kbd|p|picture|source|strong|sub|summary|sup)$/;
const ALLOWED_ATTRIBUTES = /^(?:align|alt|height|href|media|open|src|srcset|width)$/;
const TAG = /<\/?([a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*\/?>/gi;
const ATTRIBUTE = /([a-z-]+)(?:="([^"]*)")?/gi;

/**
 * @typedef {object} Addresses
 * @property {(target: string) => string | null} link where a link leads; null for one that leads nowhere on this site
 * @property {(target: string) => string} picture where a picture is served
 */

/**
 * HTML that stands in a document, with its addresses replaced. Comments go. A tag or attribute that the pages' policy
 * (`_headers`) or their style does not allow is a problem.
 * @param {string} html
 * @param {Addresses} addresses
 * @returns {{ html: string, problems: string[] }}
 */
export const ownHtml = (html, { link, picture }) => {
  /** @type {string[]} */
  const problems = [];
  const text = html.replaceAll(/<!--[\s\S]*?-->/g, "");
  const rewritten = text.replaceAll(TAG, (tag, name, attributes) => {
    if (!ALLOWED_TAGS.test(name)) problems.push(`the tag <${name}>`);
    const kept = attributes.replaceAll(ATTRIBUTE, (/** @type {string} */ all, /** @type {string} */ key) => {
      if (!ALLOWED_ATTRIBUTES.test(key)) problems.push(`the attribute ${key} of <${name}>`);
      const value = /^(?:href|src|srcset)="([^"]*)"$/.exec(all)?.[1];
      if (value === undefined) return all;
      return `${key}="${escapeHtml((key === "href" ? link(value) : picture(value)) ?? "")}"`;
    });
    return tag.replace(attributes, () => kept);
  });
  if (/<(?!\/?[a-z])|<[^>]*$/i.test(rewritten)) problems.push("a tag that does not end");
  return { html: rewritten, problems };
};

/** A comment or a string of a language; what is neither stays as it is. */
const LINE_COMMENT = { hash: "(?<=^|\\s)#[^\\n]*", slashes: "(?<=^|\\s)\\/\\/[^\\n]*", semicolon: ";[^\\n]*" };
const STRING = "\"(?:[^\"\\\\\\n]|\\\\.)*\"|'(?:[^'\\\\\\n]|\\\\.)*'|`(?:[^`\\\\]|\\\\.)*`";

/** @type {Record<string, string>} */
const COMMENTS = {
  sh: LINE_COMMENT.hash,
  toml: LINE_COMMENT.hash,
  yaml: LINE_COMMENT.hash,
  js: LINE_COMMENT.slashes,
  jsx: LINE_COMMENT.slashes,
  ts: LINE_COMMENT.slashes,
  json: LINE_COMMENT.slashes,
  cddl: LINE_COMMENT.semicolon,
};

/**
 * The HTML of code: comments and strings of the languages that the documents use have colours.
 * @param {string} code
 * @param {string} language
 */
export const colouredCode = (code, language) => {
  const comment = COMMENTS[language];
  if (comment === undefined) return escapeHtml(code);
  const token = new RegExp(`(${STRING})|(${comment})`, "gm");
  let html = "";
  let at = 0;
  for (const match of code.matchAll(token)) {
    const kind = match[1] === undefined ? "comment" : "string";
    html += `${escapeHtml(code.slice(at, match.index))}<span class="${kind}">${escapeHtml(match[0])}</span>`;
    at = match.index + match[0].length;
  }
  return html + escapeHtml(code.slice(at));
};
