// Rust source without what is no code: comments and the contents of strings become blanks (line ends stay, so positions
// and line numbers do too), and so does test code.

/** @param {string} text */
const blank = (text) => text.replace(/[^\n]/g, " ");

/**
 * The position after a block comment, which may hold others.
 * @param {string} text
 * @param {number} start where it begins
 */
const blockCommentEnd = (text, start) => {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    if (text.startsWith("/*", at)) {
      depth += 1;
      at += 2;
    } else if (text.startsWith("*/", at)) {
      depth -= 1;
      at += 2;
      if (depth === 0) return at;
    } else at += 1;
  }
  return text.length;
};

/**
 * The position after a string with escapes.
 * @param {string} text
 * @param {number} start where its first quote is
 */
const quotedEnd = (text, start) => {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, text.length);
};

const RAW_STRING = /(?:br|cr|r)(#*)"/y;
const CHARACTER = /b?'(?:\\(?:u\{[0-9a-fA-F_]+\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])'/y;

/**
 * Matches a sticky pattern at a place.
 * @param {RegExp} pattern
 * @param {string} text
 * @param {number} at
 */
const matchAt = (pattern, text, at) => {
  pattern.lastIndex = at;
  return pattern.exec(text);
};

/**
 * Where the comment, string or character that begins at a place ends; null when none begins there.
 * @param {string} text
 * @param {number} at
 */
const nonCodeEnd = (text, at) => {
  if (text.startsWith("//", at)) {
    const end = text.indexOf("\n", at);
    return end === -1 ? text.length : end;
  }
  if (text.startsWith("/*", at)) return blockCommentEnd(text, at);
  if (text[at] === '"') return quotedEnd(text, at);
  if (/\w/.test(text[at - 1] ?? " ")) return null;
  const raw = matchAt(RAW_STRING, text, at);
  if (raw) {
    const close = `"${raw[1]}`;
    const end = text.indexOf(close, at + raw[0].length);
    return end === -1 ? text.length : end + close.length;
  }
  const character = matchAt(CHARACTER, text, at);
  return character ? at + character[0].length : null;
};

/**
 * Code only: comments, strings and characters are blanks.
 * @param {string} text
 */
export const withoutComments = (text) => {
  let code = "";
  let at = 0;
  while (at < text.length) {
    const end = /["'/br c]/.test(text[at] ?? "") ? nonCodeEnd(text, at) : null;
    code += end === null ? text[at] : blank(text.slice(at, end));
    at = end ?? at + 1;
  }
  return code;
};

/**
 * The position after the bracket that closes the one at `start`.
 * @param {string} code without comments and strings
 * @param {number} start
 */
export const closeOf = (code, start) => {
  let depth = 0;
  for (let at = start; at < code.length; at += 1) {
    if ("([{".includes(code[at] ?? "")) depth += 1;
    if (")]}".includes(code[at] ?? "")) depth -= 1;
    if (depth === 0) return at + 1;
  }
  return code.length;
};

const ITEM = /\b(?:fn|impl|mod|struct|enum|union|trait|type|const|static|use|let|macro_rules)\b/;

/**
 * The position after the item, field or variant that begins at `start`: after its `;` or its block, or after its `,`
 * when it is no item.
 * @param {string} code
 * @param {number} start
 */
const itemEnd = (code, start) => {
  let at = start;
  while (at < code.length) {
    const character = code[at] ?? "";
    if (character === ";") return at + 1;
    if (character === "," && !ITEM.test(code.slice(start, at))) return at + 1;
    if (character === "{") return closeOf(code, at);
    if (character === "}") return at;
    at = "([".includes(character) ? closeOf(code, at) : at + 1;
  }
  return code.length;
};

const TEST_ATTRIBUTE = /#\[\s*(?:cfg\s*\((?:\s*all\s*\()?\s*test\b[^\]]*|(?:tokio\s*::\s*)?test\b[^\]]*)\]/g;

/**
 * Code without the items that exist in tests only.
 * @param {string} code without comments and strings
 */
export const withoutTests = (code) => {
  let kept = "";
  let at = 0;
  for (const match of code.matchAll(TEST_ATTRIBUTE)) {
    if (match.index < at) continue;
    const end = itemEnd(code, match.index + match[0].length);
    kept += code.slice(at, match.index) + blank(code.slice(match.index, end));
    at = end;
  }
  return kept + code.slice(at);
};
