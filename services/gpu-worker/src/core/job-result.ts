import { type Job, type Tensor, tensorsCodec } from '@spillway/contracts/messages';
import { dataTypeName, elementCount, type NumericType, numericView, unpackBytes } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

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
    const { name, shape } = tensor;
    const head = JSON.stringify({ name, datatype: dataTypeName(tensor.datatype), shape });
    return `${head.slice(0, -1)},"data":[${elements(tensor)}]}`;
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

function elements(tensor: Tensor): string {
  const { name, data } = tensor;
  const datatype = dataTypeName(tensor.datatype);
  const cannot = (what: string): SpillwayError =>
    new SpillwayError('UNSUPPORTED', `output "${name}": ${what}, which JSON cannot carry`);
  switch (datatype) {
    case 'FP16':
    case 'BF16':
      throw cannot(`its datatype is ${datatype}`);
    case 'BYTES':
      return unpackBytes(data, elementCount(tensor.shape), name)
        .map((element) => {
          try {
            return JSON.stringify(decoder.decode(element));
          } catch {
            throw cannot('it holds bytes that are not UTF-8');
          }
        })
        .join(',');
    case 'BOOL':
      return Array.from(data, (value) => (value === 0 ? 'false' : 'true')).join(',');
    default:
      return numbers(datatype, data, cannot);
  }
}

function numbers(datatype: NumericType, data: Uint8Array, cannot: (what: string) => SpillwayError): string {
  const text = numericView(datatype, data).join(',');
  if ((datatype === 'FP32' || datatype === 'FP64') && /[NI]/.test(text)) throw cannot('it holds NaN or infinity');
  return text;
}
