/** The address of the page of a stream. */
export declare function streamAddress(stream: string): string;
/** Whether a text is the name or the id of a stream. */
export declare function isStreamName(text: string): boolean;
