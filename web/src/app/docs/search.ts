// The search in the documents: which sections have all the words, and in which order they are shown.

/** The index as the build writes it (scripts/lib/docs/site.mjs). */
export interface SearchIndex {
  readonly pages: readonly (readonly [address: string, title: string, language: string])[];
  readonly sections: readonly (readonly [page: number, anchor: string, heading: string, text: string])[];
}

/** A section that was found. */
export interface Found {
  readonly address: string;
  readonly page: string;
  readonly heading: string;
  /** A piece of the section's text, in parts: those of odd places are the words that were sought. */
  readonly excerpt: readonly string[];
}

/** More results than this are not read by anybody. */
const MAX_RESULTS = 12;

/** Words of a query beyond this are not looked at. */
const MAX_WORDS = 8;

/** Characters of an excerpt, and how many of them stand before the first word that was sought. */
const EXCERPT_CHARS = 150;
const EXCERPT_BEFORE = 40;

/** Text without a letter that has accents. */
const PLAIN = /^\p{ASCII}*$/u;

/** Lower case without accents, character for character, so that places in it are places in the text. */
export function folded(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase();
  let result = "";
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    const plain = character.normalize("NFD").charAt(0).toLowerCase();
    result += plain === "đ" ? "d" : plain.length === 1 ? plain : character;
  }
  return result;
}

/** A section as it is compared with the words of a query. */
interface Compared {
  readonly title: string;
  readonly heading: string;
  readonly text: string;
}

/** The sections of an index, made once: there is a query with each key that is pressed. */
const foldedSections = new WeakMap<SearchIndex, readonly Compared[]>();

function sectionsOf(index: SearchIndex): readonly Compared[] {
  const known = foldedSections.get(index);
  if (known !== undefined) return known;
  const made = index.sections.map(([number, , heading, text]) => ({
    title: folded(index.pages[number]?.[1] ?? ""),
    heading: folded(heading),
    text: folded(text),
  }));
  foldedSections.set(index, made);
  return made;
}

/** Where a word begins with `sought`; -1 where none does. */
function wordAt(text: string, sought: string): number {
  for (let at = text.indexOf(sought); at !== -1; at = text.indexOf(sought, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text.charAt(at - 1))) return at;
  }
  return -1;
}

/** How well a section fits: 0 where a word is absent; more for words in headings and whole words in front. */
function score(words: readonly string[], { title, heading, text }: Compared): number {
  let sum = 0;
  for (const word of words) {
    const [inTitle, inHeading, inText] = [wordAt(title, word), wordAt(heading, word), wordAt(text, word)];
    if (inTitle === -1 && inHeading === -1 && inText === -1) return 0;
    sum += (inHeading === -1 ? 0 : 8) + (inTitle === -1 ? 0 : 3) + (inText === -1 ? 0 : 2 - inText / (text.length + 1));
  }
  return sum;
}

/** A piece of `text` around the first of the words, cut where they are. */
function excerptOf(text: string, words: readonly string[]): string[] {
  const plain = folded(text);
  const first = Math.min(...words.map((word) => wordAt(plain, word)).filter((at) => at !== -1), text.length);
  const around = first === text.length ? 0 : Math.max(0, first - EXCERPT_BEFORE);
  const begin = around === 0 ? 0 : text.indexOf(" ", around) + 1;
  const piece = text.slice(begin, begin + EXCERPT_CHARS);
  const parts: string[] = [begin === 0 ? "" : "… "];
  let at = 0;
  while (at < piece.length) {
    const rest = plain.slice(begin + at, begin + piece.length);
    const next = words.map((word) => ({ word, at: wordAt(rest, word) })).filter((hit) => hit.at !== -1);
    const hit = next.sort((one, other) => one.at - other.at)[0];
    if (hit === undefined) break;
    parts[parts.length - 1] += piece.slice(at, at + hit.at);
    parts.push(piece.slice(at + hit.at, at + hit.at + hit.word.length), "");
    at += hit.at + hit.word.length;
  }
  parts[parts.length - 1] += piece.slice(at) + (begin + EXCERPT_CHARS < text.length ? " …" : "");
  return parts;
}

/** The sections that have a word beginning with each of the query's words, best first; those of `language` before others. */
export function find(index: SearchIndex, query: string, language: string): Found[] {
  const words = folded(query)
    .split(/[^\p{L}\p{N}_-]+/u)
    .filter((word) => word !== "")
    .slice(0, MAX_WORDS);
  if (words.length === 0) return [];
  const compared = sectionsOf(index);
  const hits = index.sections.flatMap(([number, anchor, heading, text], place) => {
    const [page, plain] = [index.pages[number], compared[place]];
    if (page === undefined || plain === undefined) return [];
    const [address, title, own] = page;
    const points = score(words, plain);
    if (points === 0) return [];
    const full = anchor === "" ? address : `${address}#${anchor}`;
    return [{ points: points + (own === language ? 1 : 0), address: full, page: title, heading, text }];
  });
  return hits
    .sort((one, other) => other.points - one.points)
    .slice(0, MAX_RESULTS)
    .map(({ address, page, heading, text }) => ({ address, page, heading, excerpt: excerptOf(text, words) }));
}
