import { SpillwayError } from '@spillway/errors/spillway-error';
import { FIXED64, LENGTH, VARINT, type WireReader } from './wire-reader.ts';

/** Arms of InferParameter. */
const BOOL = 1;
const INT64 = 2;
const STRING = 3;
const DOUBLE = 4;
const UINT64 = 5;

/** An entry of a `map<string, InferParameter>`. `value` of an integer beyond 2⁵³ is the nearest number; undefined: no arm. */
export type Parameter = { key: string; arm: number; value: boolean | number | string | undefined };

export function readParameter(reader: WireReader): Parameter {
  const parameter: Parameter = { key: '', arm: 0, value: undefined };
  while (reader.next()) {
    if (reader.wireType !== LENGTH) reader.skip();
    else if (reader.field === 1) parameter.key = reader.string();
    else if (reader.field === 2) readValue(reader.message(), parameter);
    else reader.skip();
  }
  return parameter;
}

/** A oneof: the last arm on the wire counts. */
function readValue(reader: WireReader, into: Parameter): void {
  while (reader.next()) {
    const { field, wireType } = reader;
    if (field === BOOL && wireType === VARINT) into.value = reader.uint32() !== 0;
    else if (field === INT64 && wireType === VARINT) into.value = reader.int64();
    else if (field === UINT64 && wireType === VARINT) into.value = reader.uint64();
    else if (field === STRING && wireType === LENGTH) into.value = reader.string();
    else if (field === DOUBLE && wireType === FIXED64) into.value = reader.double();
    else {
      reader.skip();
      continue;
    }
    into.arm = field;
  }
}

/** @throws SpillwayError `INVALID_REQUEST` unless it is an integer ≥ 0, in either integer arm. */
export function wholeNumber({ key, arm, value }: Parameter): number {
  if ((arm === INT64 || arm === UINT64) && typeof value === 'number' && value >= 0) return value;
  const got = arm === INT64 ? value : (ARMS[arm] ?? 'none');
  throw new SpillwayError(
    'INVALID_REQUEST',
    `parameters.${key}: expected an integer ≥ 0 in int64_param or uint64_param, got ${got}`,
  );
}

/** @throws SpillwayError `INVALID_REQUEST` unless it is true or false. */
export function flagOf({ key, arm, value }: Parameter): boolean {
  if (arm === BOOL && typeof value === 'boolean') return value;
  throw new SpillwayError(
    'INVALID_REQUEST',
    `parameters.${key}: expected true or false in bool_param, got ${ARMS[arm] ?? 'none'}`,
  );
}

/** @throws SpillwayError `INVALID_REQUEST` unless it is a string. */
export function text({ key, arm, value }: Parameter): string {
  if (arm === STRING && typeof value === 'string') return value;
  throw new SpillwayError(
    'INVALID_REQUEST',
    `parameters.${key}: expected text in string_param, got ${ARMS[arm] ?? 'none'}`,
  );
}

const ARMS = ['none', 'bool_param', 'int64_param', 'string_param', 'double_param', 'uint64_param'];
