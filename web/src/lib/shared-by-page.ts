// What the connections of a page share.

/** One thing for each page, or what else stands for those who share it, and key; made when it is first asked for. */
export class SharedByPage<T> {
  readonly #make: () => T;
  readonly #pages = new WeakMap<object, Map<string, T>>();

  constructor(make: () => T) {
    this.#make = make;
  }

  /** What `page` has under this key. It lives as long as the page. */
  of(page: object, key: string): T {
    const byKey = this.#pages.get(page) ?? new Map<string, T>();
    this.#pages.set(page, byKey);
    const shared = byKey.get(key) ?? this.#make();
    byKey.set(key, shared);
    return shared;
  }
}
