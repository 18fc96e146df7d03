import { type Job, type Tensor, tensorsCodec } from '@spillway/contracts/messages';
import { dataTypeName } from '@spillway/contracts/tensor';
import { tensorText } from '@spillway/contracts/tensor-text';
import { SpillwayError } from '@spillway/errors/spillway-error';

/** What a JSON result says of a job's own request. */
export type JobFacts = { model: string; version: string; job: Pick<Job, 'job' | 'outputs' | 'degraded'> };

/**
 * A job's answer as the JSON of the Open Inference Protocol v2; a job has no caller who could ask for binary tensors.
 * 64-bit integers are written as numbers, all digits. It has the outputs that were asked for, in that order, or all.
 * @throws SpillwayError `UNSUPPORTED` for what JSON cannot say: NaN, infinity, FP16, bytes that are not text; `INVALID_REQUEST` for
 * an output that the model has not.
 */
export function jobAnswer(facts: JobFacts, tensors: Uint8Array): Uint8Array {
  const { job, outputs: asked = [], degraded = '' } = facts.job;
  const outputs = select(tensorsCodec.decode(tensors).tensors, asked).map((tensor) => {
    const { name, shape, data } = tensor;
    const datatype = dataTypeName(tensor.datatype);
    const head = JSON.stringify({ name, datatype, shape });
    return `${head.slice(0, -1)},"data":[${tensorText({ name, datatype, shape, data }, '; ask for other outputs')}]}`;
  });
  const head = JSON.stringify({
    model_name: facts.model,
    model_version: facts.version,
    id: job,
    ...(degraded !== '' && { parameters: { spillway_degraded: degraded } }),
  });
  return Buffer.from(`${head.slice(0, -1)},"outputs":[${outputs.join(',')}]}`);
}

function select(tensors: readonly Tensor[], asked: readonly string[]): readonly Tensor[] {
  if (asked.length === 0) return tensors;
  return asked.map((name) => {
    const found = tensors.find((tensor) => tensor.name === name);
    if (found !== undefined) return found;
    throw new SpillwayError('INVALID_REQUEST', `outputs: the model has no output "${name}"`);
  });
}
