import { SpillwayError } from '@spillway/errors/spillway-error';
import { float32Text } from './float-text.ts';
import { type DataTypeName, elementCount, numericView, unpackBytes } from './tensor.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A tensor as it lies in memory. */
type Elements = { name: string; datatype: DataTypeName; shape: readonly number[]; data: Uint8Array };

/**
 * Elements of a tensor as JSON text, flat and without brackets; 64-bit integers with all digits.
 * @param wayOut Ends the message for what JSON cannot say.
 * @throws SpillwayError `UNSUPPORTED` for FP16, BF16, NaN, infinity and bytes that are not UTF-8.
 */
export function tensorText({ name, datatype, shape, data }: Elements, wayOut: string): string {
  const cannot = (what: string): SpillwayError =>
    new SpillwayError('UNSUPPORTED', `output "${name}": ${what}${wayOut}`);
  switch (datatype) {
    case 'FP16':
    case 'BF16':
      throw cannot(`${datatype} has no JSON form`);
    case 'BYTES':
      return unpackBytes(data, elementCount(shape), name)
        .map((element) => {
          try {
            return JSON.stringify(decoder.decode(element));
          } catch {
            throw cannot('its bytes are not UTF-8');
          }
        })
        .join(',');
    case 'BOOL':
      return Array.from(data, (value) => (value === 0 ? 'false' : 'true')).join(',');
    case 'FP32':
    case 'FP64': {
      const values = numericView(datatype, data);
      const text = values instanceof Float32Array ? float32Text(values) : float64Text(values as Float64Array);
      if (text === undefined) throw cannot('it holds NaN or infinity, which JSON cannot say');
      return text;
    }
    default:
      return numericView(datatype, data).join(',');
  }
}

function float64Text(values: Float64Array): string | undefined {
  const text = values.join(',');
  return /[NI]/.test(text) ? undefined : text;
}
