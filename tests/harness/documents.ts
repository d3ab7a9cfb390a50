// The commands of the documents: the blocks of shell that stand in them, as tests run them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Marked, type Tokens } from "marked";
import { ROOT } from "../../scripts/lib/paths.mjs";

/** Every document that a user of the project reads, as paths from the root. */
export const DOCUMENTS: readonly string[] = [
  "README.md",
  "README.vi.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  "web/README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
];

export const textOf = (document: string): string => readFileSync(join(ROOT, document), "utf8");

/** A block of code, with the heading of the second level that it stands under. */
export interface CodeBlock {
  readonly document: string;
  readonly heading: string;
  /** As the fence names it; empty where it does not, or where the block is indented. */
  readonly language: string;
  readonly text: string;
}

/** Every block of code of a document, also those in lists. */
export const codeBlocks = (document: string, text = textOf(document)): CodeBlock[] => {
  const marked = new Marked({ gfm: true });
  const found: CodeBlock[] = [];
  let heading = "";
  marked.walkTokens(marked.lexer(text), (token) => {
    if (token.type === "heading" && token.depth === 2) heading = token.text.replaceAll("`", "");
    if (token.type !== "code") return;
    const { lang = "", text } = token as Tokens.Code;
    found.push({ document, heading, language: lang, text });
  });
  return found;
};

/** Whether a block is one of commands. */
export const isShell = ({ language }: CodeBlock): boolean => /^(?:sh|bash|shell|console)\b/.test(language);

/** The commands of a block: without comments, and each on one line. */
export const commandsIn = ({ text }: CodeBlock): string[] =>
  text
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/(?:^|\s+)#\s.*$/, "").trim())
    .filter((line) => line !== "");
