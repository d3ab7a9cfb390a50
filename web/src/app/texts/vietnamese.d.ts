import type { Texts } from "./english.ts";
export declare const vietnamese: Texts;
