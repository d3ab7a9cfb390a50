"use client";

// The public interface of @streamchain/client/react: a stream, publishing and receipts as hooks.

export type { FailedPublication } from "./publish-store.ts";
export type { ReceiptChecks, ReceiptState, ReceiptView } from "./receipt-store.ts";
export type { StreamOptions, StreamView } from "./stream-store.ts";
export { type Publishing, usePublish } from "./use-publish.ts";
export { useReceipt } from "./use-receipt.ts";
export { useStream } from "./use-stream.ts";
