// Names of streams, as the page's address and its fields have them.

/** The syntax of a stream's name, or of its id. */
const STREAM = /^(?:[a-z0-9][a-z0-9._-]{0,63}|0x[0-9a-f]{40}|0x[0-9a-f]{64})$/;

/** The address of the page of a stream. */
export function streamAddress(stream: string): string {
  return `${location.pathname}?stream=${encodeURIComponent(stream)}`;
}

/** Whether a text is the name or the id of a stream. */
export function isStreamName(text: string): boolean {
  return STREAM.test(text);
}
