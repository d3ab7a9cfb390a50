// Helpers to build the page.
//
// What always holds: elements get their content as text nodes only, so nothing that came from a stream is parsed as markup.

/** Attributes of an element; `class` and `testid` are short names, `on…` adds a listener. */
interface Attributes {
  readonly [name: string]: string | number | boolean | undefined | ((event: never) => void);
}

/** Makes an element. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string | null | undefined)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  apply(element, attributes);
  append(element, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Makes an SVG element. */
export function svg(tag: string, attributes: Attributes = {}, ...children: Node[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  apply(element, attributes);
  append(element, children);
  return element;
}

function apply(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name === "testid" ? "data-testid" : name, value === true ? "" : String(value));
  }
}

function append(element: Element, children: readonly (Node | string | null | undefined)[]): void {
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
}

/** Sets a text only when it differs, so that nothing is laid out or announced again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute only when it differs; undefined removes it. */
export function setAttribute(element: Element, name: string, value: string | undefined): void {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Says that a button works, or works no more. It can be pressed and keeps the focus, which one that is disabled loses: its
 * listener looks at `isBusy`.
 */
export function setBusy(button: HTMLButtonElement, isBusy: boolean): void {
  setAttribute(button, "aria-disabled", isBusy ? "true" : undefined);
}

/** Whether a button works at what it was pressed for. */
export const isBusy = (button: HTMLButtonElement): boolean => button.getAttribute("aria-disabled") === "true";

/** Returns a function that runs `render` once in the next frame, however often it is called. */
export function perFrame(render: () => void): () => void {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      render();
    });
  };
}

/** Copies a text to the clipboard; resolves to false when the browser forbids it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
