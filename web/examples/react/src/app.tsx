// A stream as a page of React: its messages with their states, a field to publish, and the receipt of one message.

import type { Hex, StreamMessage } from "@streamchain/client";
import { type ReceiptChecks, type StreamView, usePublish, useReceipt, useStream } from "@streamchain/client/react";
import { type FormEvent, useState } from "react";

const { VITE_EDGE, VITE_STREAM, VITE_CHAIN_ID, VITE_CONTRACT, VITE_ROUNDS_OWNER, VITE_RPC } = import.meta.env;

const decoder = new TextDecoder();

/** What receipts are checked against; without the settings of .env they are only fetched. */
const CHECKS: ReceiptChecks | undefined = VITE_RPC
  ? {
      expected: {
        chainId: Number(VITE_CHAIN_ID),
        contract: VITE_CONTRACT as Hex,
        roundsOwner: VITE_ROUNDS_OWNER as Hex,
      },
      rpcUrl: VITE_RPC,
    }
  : undefined;

function Receipt({ stream, message }: { readonly stream: StreamView; readonly message: StreamMessage }) {
  const { state, receipt, error } = useReceipt(stream, message, CHECKS);
  return (
    <p role="note">
      Receipt of message {message.seq}: {state}
      {receipt && `, anchored in block ${receipt.anchor.block}`}
      {error && ` (${error.message})`}
    </p>
  );
}

function Composer({ stream }: { readonly stream: StreamView }) {
  const { publish, unstored, failed, dismiss } = usePublish(stream);
  const [text, setText] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    publish(text);
    setText("");
  };
  return (
    <form onSubmit={submit}>
      <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} required />
      <button type="submit">Send</button>
      <p>{unstored.length} not stored yet</p>
      {failed.map(({ publication, error }) => (
        <p key={publication.producerSeq}>
          Not sent: {error.message}{" "}
          <button type="button" onClick={() => dismiss(publication)}>
            Dismiss
          </button>
        </p>
      ))}
    </form>
  );
}

export function App() {
  const stream = useStream({ edge: VITE_EDGE, stream: VITE_STREAM, from: 0 });
  const [verified, setVerified] = useState<StreamMessage | null>(null);
  return (
    <main>
      <h1>{VITE_STREAM}</h1>
      <p role="status">
        {stream.state}
        {stream.error && `: ${stream.error.message}`}
      </p>
      <ol>
        {stream.messages.map((message) => (
          <li key={message.seq}>
            <span>{decoder.decode(message.payload)}</span> <small>{stream.stateOf(message.seq)}</small>{" "}
            <button type="button" onClick={() => setVerified(message)}>
              Verify
            </button>
          </li>
        ))}
      </ol>
      <Composer stream={stream} />
      {verified && <Receipt key={verified.seq} stream={stream} message={verified} />}
    </main>
  );
}
