import type { TrafficClass } from '@spillway/contracts/classes';
import { HEADERS } from '@spillway/contracts/headers';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { toGrpc } from '@spillway/errors/to-grpc';
import { type OutputSelection, selectOutputs } from './asked-outputs.ts';
import { rungOf } from './receipt.ts';
import { putReceipt } from './receipt-fields.ts';
import type { Answer, TensorValue } from './request.ts';
import { WireWriter } from './wire-writer.ts';

/** What of a request its answer needs. */
export type Asked = { clientId: string; outputs: OutputSelection };

/** Whose receipt it is. */
export type ReceiptOf = { requestId: string; traceparent: string; trafficClass: TrafficClass };

/** Every message is written from its first byte to its last without a pause, so one writer serves all. */
const writer = new WireWriter();

/**
 * A serialized ModelInferResponse, with the receipt in its parameters where `of` says whose it is. Outputs are always raw: Triton's own clients read nothing else.
 * @throws SpillwayError `INVALID_REQUEST` for an output that the model has not.
 */
export function writeInferAnswer(answer: Answer, asked: Asked, of?: ReceiptOf): Buffer {
  const outputs = selectOutputs(answer, asked.outputs);
  writer.reset();
  writeHead(answer, asked);
  writeReceipt(answer, of);
  writeOutputs(outputs);
  return writer.finish();
}

/** A serialized ModelInferResponse without outputs: the request has become this job. */
export function writeTicket(answer: Answer, asked: Pick<Asked, 'clientId'>, job: string): Buffer {
  writer.reset();
  writeHead(answer, asked);
  receiptParameter(HEADERS.job, job);
  receiptParameter(HEADERS.rung, answer.receipt.rung);
  return writer.finish();
}

/** A serialized ModelStreamInferResponse, the last (and only) one of its request. @param of Undefined: no receipt. */
export function writeStreamAnswer(answer: Answer, asked: Asked, of: ReceiptOf | undefined): Buffer {
  const outputs = selectOutputs(answer, asked.outputs);
  writer.reset();
  const response = writer.begin(2);
  writeHead(answer, asked);
  writer.encoded(FINAL);
  writeReceipt(answer, of);
  writeOutputs(outputs);
  writer.end(response);
  return writer.finish();
}

/**
 * A serialized ModelStreamInferResponse of a failed request: the text, the client's id, and what a status of its own would have
 * said (code, reason, hint) as parameters.
 */
export function writeStreamFailure(error: SpillwayError, clientId: string, of: { requestId: string }): Buffer {
  const status = toGrpc(error);
  writer.reset();
  writer.string(1, status.message);
  const response = writer.begin(2);
  if (clientId !== '') writer.string(3, clientId);
  writer.encoded(FINAL);
  receiptParameter(HEADERS.requestId, of.requestId);
  receiptParameter(HEADERS.rung, rungOf(error));
  receiptParameter(HEADERS.error, error.code);
  if (status.reason !== undefined) receiptParameter(HEADERS.reason, status.reason);
  if (status.retryAfterMs !== undefined) receiptParameter(HEADERS.retryAfterMs, String(status.retryAfterMs));
  writer.end(response);
  return writer.finish();
}

/** That an answer is degraded it always says. */
function writeReceipt({ receipt }: Answer, of: ReceiptOf | undefined): void {
  if (of !== undefined) putReceipt(receiptParameter, of, of.trafficClass, receipt);
  else if (receipt.degraded !== '') textParameter(DEGRADED, receipt.degraded);
}

function writeHead(answer: Answer, asked: Pick<Asked, 'clientId'>): void {
  writer.string(1, answer.model);
  writer.string(2, answer.receipt.version);
  if (asked.clientId !== '') writer.string(3, asked.clientId);
}

function writeOutputs(outputs: readonly TensorValue[]): void {
  for (const { name, datatype, shape } of outputs) {
    const output = writer.begin(5);
    writer.string(1, name);
    writer.string(2, datatype);
    if (shape.length > 0) writer.packed(3, shape);
    writer.end(output);
  }
  for (const { data } of outputs) writer.bytes(6, data);
}

/** @param key The entry's key, encoded. */
function textParameter(key: Buffer, value: string): void {
  const entry = writer.begin(4);
  writer.encoded(key);
  const parameter = writer.begin(2);
  writer.string(3, value);
  writer.end(parameter);
  writer.end(entry);
}

/** Names of the receipt have "_" for "-" in parameters. */
const receiptParameter = (header: string, value: string): void => textParameter(keyOf(header), value);

function encodeKey(key: string): Buffer {
  const fresh = new WireWriter();
  fresh.string(1, key);
  return fresh.finish();
}

const KEYS = new Map<string, Buffer>();

/** The names of the receipt are few, so each is encoded once. */
function keyOf(header: string): Buffer {
  let key = KEYS.get(header);
  if (key === undefined) {
    key = encodeKey(header.replaceAll('-', '_'));
    KEYS.set(header, key);
  }
  return key;
}

const DEGRADED = encodeKey('spillway_degraded');
const FINAL = finalParameter();

function finalParameter(): Buffer {
  const fresh = new WireWriter();
  const entry = fresh.begin(4);
  fresh.string(1, 'triton_final_response');
  const parameter = fresh.begin(2);
  fresh.uint(1, 1);
  fresh.end(parameter);
  fresh.end(entry);
  return fresh.finish();
}
