import { SpillwayError } from '@spillway/errors/spillway-error';
import { type AcceptedRungs, readAccept } from './accept.ts';
import { bad } from './invalid-request.ts';
import { type ReceiptPlace, readReceiptPlace } from './receipt-fields.ts';

/** The `parameters` of an infer request in JSON: flat, each value a string, a number or a boolean; null is absent. */

export type Json = Record<string, unknown>;

const unsupported = (message: string): SpillwayError => new SpillwayError('UNSUPPORTED', message);

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const NONE: Json = Object.freeze({});

/** @param at Whose parameters they are, with what stands between that and the word. */
export function readParameters(value: unknown, at: string): Json {
  if (value === undefined || value === null) return NONE;
  if (!isObject(value)) throw bad(`${at}parameters: expected an object`);
  for (const key in value) {
    if (typeof value[key] === 'object' && value[key] !== null) {
      throw bad(`${at}parameters.${key}: expected a string, a number or a boolean`);
    }
  }
  return value;
}

/** True, false, or undefined where it is absent. */
export function flag(value: unknown, at: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  throw bad(`${at}: expected true or false`);
}

const MAX_UINT64 = 2 ** 64;

/** A whole number of up to 64 bits; beyond 2⁵³ the nearest one. Undefined where it is absent. */
export function wholeNumber(value: unknown, at: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (Number.isInteger(number) && (number as number) >= 0 && (number as number) <= MAX_UINT64) return number as number;
  throw bad(`${at}: expected an integer ≥ 0 of at most 64 bits`);
}

function text(value: unknown, at: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw bad(`${at}: expected a string`);
}

const SHARED_MEMORY = /^shared_memory_(region|offset|byte_size)$/;

/** Of a tensor or a requested output. @throws SpillwayError `UNSUPPORTED` for a place in shared memory. */
export function refuseSharedMemory(key: string, at: string): void {
  if (SHARED_MEMORY.test(key)) throw unsupported(`${at}: ${key}: shared memory is not served`);
}

/** The parameters of a tensor or a requested output. */
export function tensorParameters(value: unknown, at: string): Json {
  if (value === undefined || value === null) return NONE;
  const parameters = readParameters(value, `${at}: `);
  for (const key in parameters) if (parameters[key] !== null) refuseSharedMemory(key, at);
  return parameters;
}

/** A client's question for an extra last response; a model that answers once has none to send. */
const EMPTY_FINAL = 'triton_enable_empty_final_response';
const SEQUENCES = ['sequence_id', 'sequence_start', 'sequence_end'];

/**
 * What no request may ask of this mesh, whatever its door.
 * @throws SpillwayError `UNSUPPORTED` for sequences (0, "" and false mean none), `INVALID_REQUEST` for a name that is reserved.
 */
export function refuseReserved(key: string, value: unknown): void {
  if (SEQUENCES.includes(key) && value) throw unsupported(`parameters.${key}: sequences are not served`);
  if (key === EMPTY_FINAL) flag(value, `parameters.${key}`);
  else if (key === 'headers' || key.startsWith('triton_')) {
    throw bad(`parameters.${key}: expected no parameter of this name: it is reserved for servers`);
  }
}

/** The parameters of a request that have a meaning here. */
export type RequestParameters = {
  binaryByDefault: boolean;
  /** Undefined: none; so is 0. */
  timeoutUs: number | undefined;
  /** 0: none. */
  priority: number;
  /** Rungs that the caller takes; undefined: nothing is said. */
  accept: AcceptedRungs | undefined;
  /** Where the receipt goes; undefined: nothing is said. */
  receipt: ReceiptPlace | undefined;
};

const NOTHING_SAID: RequestParameters = Object.freeze({
  binaryByDefault: false,
  timeoutUs: undefined,
  priority: 0,
  accept: undefined,
  receipt: undefined,
});

export function requestParameters(value: unknown): RequestParameters {
  if (value === undefined || value === null) return NOTHING_SAID;
  const parameters = readParameters(value, '');
  for (const key in parameters) refuseReserved(key, parameters[key]);
  const accept = text(parameters['spillway_accept'], 'parameters.spillway_accept');
  const receipt = text(parameters['spillway_receipt'], 'parameters.spillway_receipt');
  return {
    binaryByDefault: flag(parameters['binary_data_output'], 'parameters.binary_data_output') ?? false,
    timeoutUs: wholeNumber(parameters['timeout'], 'parameters.timeout') || undefined,
    priority: wholeNumber(parameters['priority'], 'parameters.priority') ?? 0,
    accept: accept === undefined ? undefined : readAccept(accept, 'parameters.spillway_accept'),
    receipt: receipt === undefined ? undefined : readReceiptPlace(receipt, 'parameters.spillway_receipt'),
  };
}
