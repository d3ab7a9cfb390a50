/** Attributes of an element; `class` and `testid` are short names, `on…` adds a listener. */
interface Attributes {
    readonly [name: string]: string | number | boolean | undefined | ((event: never) => void);
}
/** Makes an element. */
export declare function el<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, attributes?: Attributes, ...children: (Node | string | null | undefined)[]): HTMLElementTagNameMap[Tag];
/** Makes an SVG element. */
export declare function svg(tag: string, attributes?: Attributes, ...children: Node[]): SVGElement;
/** Sets a text only when it differs, so that nothing is laid out or announced again. */
export declare function setText(element: Element, text: string): void;
/** Sets an attribute only when it differs; undefined removes it. */
export declare function setAttribute(element: Element, name: string, value: string | undefined): void;
/** Returns a function that runs `render` once in the next frame, however often it is called. */
export declare function perFrame(render: () => void): () => void;
/** Copies a text to the clipboard; resolves to false when the browser forbids it. */
export declare function copyText(text: string): Promise<boolean>;
export {};
