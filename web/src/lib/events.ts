// An EventTarget whose event names and details are typed.

/** Options of a listener, as AddEventListenerOptions, which only the DOM's types have. */
export interface ListenerOptions {
  readonly capture?: boolean;
  readonly once?: boolean;
  readonly passive?: boolean;
  readonly signal?: AbortSignal;
}

/** Events carry their detail as CustomEvent does; `on` passes the detail alone. */
export class TypedEventTarget<Details extends object> {
  readonly #target = new EventTarget();

  /** Adds a listener as EventTarget does. */
  addEventListener<Name extends keyof Details & string>(
    name: Name,
    listener: (event: CustomEvent<Details[Name]>) => void,
    options?: ListenerOptions,
  ): void {
    this.#target.addEventListener(name, listener as EventListener, options);
  }

  /** Removes a listener as EventTarget does. */
  removeEventListener<Name extends keyof Details & string>(
    name: Name,
    listener: (event: CustomEvent<Details[Name]>) => void,
  ): void {
    this.#target.removeEventListener(name, listener as EventListener);
  }

  /** Calls the listener with each detail; the returned function removes it. */
  on<Name extends keyof Details & string>(name: Name, listener: (detail: Details[Name]) => void): () => void {
    const wrapped = (event: Event): void => listener((event as CustomEvent<Details[Name]>).detail);
    this.#target.addEventListener(name, wrapped);
    return () => this.#target.removeEventListener(name, wrapped);
  }

  /** Notifies all listeners. */
  protected emit<Name extends keyof Details & string>(name: Name, detail: Details[Name]): void {
    this.#target.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
