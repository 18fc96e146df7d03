import { type Client, type Metadata, status as Status, type StatusObject } from '@grpc/grpc-js';
import { HEADERS } from '@spillway/contracts/headers';
import type { Answer, Attempt, Transport } from './attempt.ts';
import { type GrpcDoor, metadataOf, metadataText, openClient, sameBytes } from './grpc-client.ts';
import { INFER_PATH, readInferResponse } from './infer-message.ts';
import type { Payload } from './payload.ts';
import { answered, notAnswered } from './receipt.ts';
import { requestHeaders } from './request-headers.ts';

export type GrpcTarget = GrpcDoor & {
  /** Connections of each kind: kinds share none, so that no class waits behind another one's. */
  channels: number;
  /** Beyond the deadline until grpc-js ends a call: a reset, of which a connection survives few. */
  patienceMs: number;
  plain: boolean;
};

/** Unary ModelInfer calls. */
export function grpcTransport(target: GrpcTarget, payloadOf: (kindIndex: number) => Payload): Transport {
  const clients: Client[][] = [];
  const metadata = new Map<string, Metadata>();
  let calls = 0;
  const clientOf = (kindIndex: number): Client => {
    clients[kindIndex] ??= Array.from({ length: target.channels }, () => openClient(target));
    calls += 1;
    return clients[kindIndex][calls % target.channels] as Client;
  };
  const metadataFor = ({ kind, kindIndex, budgetMs }: Attempt): Metadata => {
    const timeoutMs = Math.max(1, Math.round(budgetMs));
    const name = `${kindIndex} ${timeoutMs}`;
    const known = metadata.get(name);
    if (known !== undefined) return known;
    const deadline = target.plain ? {} : { [HEADERS.timeoutMs]: String(timeoutMs) };
    const made = metadataOf({ ...requestHeaders(kind, target.plain), ...deadline });
    if (metadata.size < 1_000) metadata.set(name, made); // deadlines are few, what is left of them is not
    return made;
  };
  const send = (attempt: Attempt, onEnd: (answer: Answer) => void): (() => void) => {
    const payload = payloadOf(attempt.kindIndex);
    const deadline = Date.now() + attempt.budgetMs + (target.plain ? 0 : target.patienceMs);
    let response: Buffer | undefined;
    const call = clientOf(attempt.kindIndex).makeUnaryRequest(
      INFER_PATH,
      sameBytes,
      sameBytes,
      payload.message(attempt.input),
      metadataFor(attempt),
      { deadline },
      (_error, message) => {
        response = message;
      },
    );
    call.on('status', (status: StatusObject) => {
      const asked = { payload, input: attempt.input, plain: target.plain };
      onEnd(answerOf(status, response, asked));
    });
    return () => call.cancel();
  };
  return {
    send,
    get connections() {
      return clients.flat().length;
    },
    close: async () => {
      for (const client of clients.flat()) client.close();
    },
  };
}

type Asked = { payload: Payload; input: number; plain: boolean };

function answerOf(status: StatusObject, message: Buffer | undefined, { payload, input, plain }: Asked): Answer {
  const field = (name: string): string => metadataText(status.metadata, name);
  if (status.code !== Status.OK || message === undefined) {
    const text = `grpc ${status.code} ${Status[status.code] ?? ''}`.trim();
    // Without Spillway's trailer 8 may also be a connection that was closed for too many resets.
    return notAnswered(field, { refused: plain && status.code === Status.RESOURCE_EXHAUSTED, text });
  }
  const { parameters, raw } = readInferResponse(message);
  const isTicket = parameters.get('spillway_rung') === 'ticket';
  return answered(
    (name) => field(name) || (parameters.get(name.replaceAll('-', '_')) ?? ''),
    !isTicket && payload.isWrongMessage(raw, input),
  );
}
