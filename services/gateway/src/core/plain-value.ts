import { type NumericType, numericView } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { writePlainAnswer } from './plain-answer.ts';
import type { PlainCall } from './plain-infer.ts';
import type { Answer } from './request.ts';

/** A google.protobuf.Value as the loader of protos gives and takes it: its names are in camel case, whatever ours are. */
export type ProtoValue = {
  nullValue?: number | string;
  numberValue?: number;
  stringValue?: string;
  boolValue?: boolean;
  structValue?: { fields?: Record<string, ProtoValue> };
  listValue?: { values?: ProtoValue[] };
};

const MAX_DEPTH = 40;

/** @throws SpillwayError `INVALID_REQUEST` for more levels than a tensor can have. */
export function jsonOf(value: ProtoValue | undefined, at: string, depth = 0): unknown {
  if (value === undefined) return undefined;
  if (depth > MAX_DEPTH) {
    throw new SpillwayError('INVALID_REQUEST', `${at}: expected at most ${MAX_DEPTH} levels of lists`);
  }
  if (value.numberValue !== undefined) return value.numberValue;
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.listValue !== undefined) {
    return (value.listValue.values ?? []).map((element) => jsonOf(element, at, depth + 1));
  }
  if (value.structValue === undefined) return null;
  const members = Object.entries(value.structValue.fields ?? {});
  return Object.fromEntries(members.map(([name, member]) => [name, jsonOf(member, at, depth + 1)]));
}

export function protoValueOf(json: unknown): ProtoValue {
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(protoValueOf) } };
  if (typeof json !== 'object' || json === null) return { nullValue: 0 };
  const members = Object.entries(json).map(([name, member]) => [name, protoValueOf(member)] as const);
  return { structValue: { fields: Object.fromEntries(members) } };
}

/**
 * The outputs of an answer in the form of the question.
 * @throws SpillwayError `UNSUPPORTED` for what a Value cannot say: bytes that are no text, NaN, integers beyond 2⁵³.
 */
export function plainOutputs(answer: Answer, call: PlainCall): ProtoValue {
  for (const { name, datatype, data } of answer.outputs) {
    if (datatype !== 'INT64' && datatype !== 'UINT64') continue;
    const values = numericView(datatype as NumericType, data) as BigInt64Array | BigUint64Array;
    if (values.every((value) => Number.isSafeInteger(Number(value)))) continue;
    const elsewhere = 'ask for it at inference.GRPCInferenceService';
    throw new SpillwayError('UNSUPPORTED', `output "${name}": it holds integers beyond 2^53; ${elsewhere}`);
  }
  return protoValueOf((JSON.parse(writePlainAnswer(answer, call, undefined)) as { outputs: unknown }).outputs);
}
