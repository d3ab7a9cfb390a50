// All texts of the page: one file for each language. A new text goes into every language.

import { english, type Texts } from "./english.ts";
import { vietnamese } from "./vietnamese.ts";

/** The languages of the page, by their primary tag (RFC 5646). */
const languages: Record<string, Texts> = { en: english, vi: vietnamese };

/** The texts in the first of these languages (RFC 5646 tags, preferred first) that the page has, or in English. */
export function textsFor(wanted: readonly string[]): Texts {
  const known = wanted.map((tag) => languages[tag.toLowerCase().split("-")[0] ?? ""]);
  return known.find((found) => found !== undefined) ?? english;
}

/** The texts in the browser's language, or in English. */
export const texts: Texts = textsFor(globalThis.navigator?.languages ?? []);
