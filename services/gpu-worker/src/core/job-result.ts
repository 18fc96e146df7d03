import { type Tensor, tensorsCodec } from '@spillway/contracts/messages';
import { dataTypeName, elementCount, type NumericType, numericView, unpackBytes } from '@spillway/contracts/tensor';
import { SpillwayError } from '@spillway/errors/spillway-error';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What a JSON result says of a job's own request. */
export type JobFacts = { model: string; version: string; job: string };

/**
 * A job's answer as the JSON of the Open Inference Protocol v2; a job has no caller who could ask for binary tensors.
 * 64-bit integers are written as numbers, all digits.
 * @throws SpillwayError `UNSUPPORTED` for what JSON cannot say: NaN, infinity, FP16, bytes that are not text.
 */
export function jobAnswer(facts: JobFacts, tensors: Uint8Array): Uint8Array {
  const outputs = tensorsCodec.decode(tensors).tensors.map((tensor) => {
    const { name, shape } = tensor;
    const head = JSON.stringify({ name, datatype: dataTypeName(tensor.datatype), shape });
    return `${head.slice(0, -1)},"data":[${elements(tensor)}]}`;
  });
  const head = JSON.stringify({ model_name: facts.model, model_version: facts.version, id: facts.job });
  return Buffer.from(`${head.slice(0, -1)},"outputs":[${outputs.join(',')}]}`);
}

/** The result of a job that will not be tried again. */
export function jobError(error: { code: string; message: string; reason: string }): Uint8Array {
  return Buffer.from(JSON.stringify({ error }));
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
