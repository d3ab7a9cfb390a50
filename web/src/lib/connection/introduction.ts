// The moment from which a stream may be asked about.
//
// The edge has answered the first attempt, or it failed: nothing is asked of the stream before, since the session request
// makes a stream that does not exist, and a browser's console shows each 404 as an error.

/** Whether a stream may be asked about. */
export class Introduction {
  /** Resolves from the moment on. */
  readonly happened: Promise<void>;
  #resolve: () => void = () => {};

  constructor() {
    this.happened = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** It may be asked about from now on. */
  done(): void {
    this.#resolve();
  }
}
