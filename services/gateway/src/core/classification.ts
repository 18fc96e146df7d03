import { type NumericType, numericView, packBytes } from '@spillway/contracts/tensor';
import type { TensorValue } from './request.ts';

/** Digits behind the point of a score, as Triton writes it. */
const DECIMALS = 6;

const show = (value: number | bigint, isReal: boolean): string =>
  isReal ? (value as number).toFixed(DECIMALS) : String(value);

/** Of two scores the higher first, of equal ones the lower index; what is not a number comes last. */
function order(scores: ArrayLike<number | bigint>): (a: number, b: number) => number {
  return (a, b) => {
    const [left, right] = [scores[a] as number, scores[b] as number];
    if (left === right) return a - b;
    if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
    return left > right ? -1 : 1;
  };
}

/**
 * The best classes of an output of numbers, best first, as BYTES `value:index`, with `:label` where the class has one; `[n]`, or `[batch, n]` where the first dimension is
 * the batch. Fewer than `count` where a row has fewer.
 */
export function topClasses(
  { name, datatype, shape, data }: TensorValue,
  count: number,
  batches: boolean,
  labels: readonly string[] = [],
): TensorValue {
  const scores = numericView(datatype as NumericType, data);
  const rows = batches ? (shape[0] ?? 1) : 1;
  const width = rows === 0 ? 0 : scores.length / rows;
  const kept = Math.min(count, width);
  const isReal = datatype === 'FP32' || datatype === 'FP64';
  const best: Buffer[] = [];
  for (let row = 0; row < rows; row += 1) {
    const own = scores.subarray(row * width, (row + 1) * width);
    const ranked = Array.from({ length: width }, (_, index) => index).sort(order(own));
    for (const index of ranked.slice(0, kept)) {
      const label = labels[index];
      const entry = `${show(own[index] as number | bigint, isReal)}:${index}`;
      best.push(Buffer.from(label === undefined ? entry : `${entry}:${label}`));
    }
  }
  return { name, datatype: 'BYTES', shape: batches ? [rows, kept] : [kept], data: packBytes(best) };
}
