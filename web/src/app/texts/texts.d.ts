import { type Texts } from "./english.ts";
/** The texts in the first of these languages (RFC 5646 tags, preferred first) that the page has, or in English. */
export declare function textsFor(wanted: readonly string[]): Texts;
/** The texts in the browser's language, or in English. */
export declare const texts: Texts;
