import { isName } from '@spillway/contracts/names';
import { bad } from './invalid-request.ts';
import { parseInferJson, readInferJson } from './oip-infer.ts';
import type { TensorValue } from './request.ts';

/** One line of a batch of jobs. `job`: the id that the caller chose. */
export type JobLine = {
  model: string;
  version: string;
  job: string | undefined;
  inputs: TensorValue[];
  /** Those that the result shall hold; empty: all. */
  outputs: string[];
  timeoutMs: number | undefined;
};

/** A line is JSON throughout: no bytes of tensors follow it. */
const NO_BYTES = new Uint8Array(0);

/** @throws SpillwayError `INVALID_REQUEST` naming the member. */
export function readJobLine(text: string): JobLine {
  const json = parseInferJson(text);
  const call = readInferJson(json, NO_BYTES);
  const { model, version, job } = json;
  if (typeof model !== 'string') throw bad('model: expected the name of a model');
  if (job !== undefined && job !== null && !(typeof job === 'string' && isName(job))) {
    throw bad('job: expected 1 to 64 letters, digits, "_" or "-"');
  }
  if (version !== undefined && version !== null && !(typeof version === 'string' && isName(version))) {
    throw bad('version: expected digits or a label, as a string');
  }
  return {
    model,
    version: version ?? '',
    job: job ?? undefined,
    inputs: call.inputs,
    outputs: call.asked.names,
    timeoutMs: call.timeoutUs === undefined ? undefined : call.timeoutUs / 1_000,
  };
}
