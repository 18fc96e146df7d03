import type { TensorSpec } from '@spillway/contracts/buckets';
import { elementCount } from '@spillway/contracts/tensor';
import { tensorDataToJson } from './oip-json.ts';
import { isScalar, type PlainCall } from './plain-infer.ts';
import { saidInBody } from './receipt-fields.ts';
import type { Answer, TensorValue } from './request.ts';

/** An output, row by row, as JSON. */
type Column = { name: string; rows: string[] };

/**
 * The answer in the form of the question: `{"outputs": {"label": …}}` for one row, an array of such for rows, and
 * `{"outputs": {"label": […]}}` for arrays by name.
 * @param receipt What becomes the member `spillway`; undefined: only that the answer is degraded, if it is.
 * @throws SpillwayError `UNSUPPORTED` for what JSON cannot say.
 */
export function writePlainAnswer(
  answer: Answer,
  { form, model }: PlainCall,
  receipt: Record<string, string> | undefined,
): string {
  const batches = model.maxBatchSize > 0;
  const columns = answer.outputs.map((output) => columnOf(output, specOf(output, model.outputs), batches));
  const { degraded } = answer.receipt;
  const said = saidInBody(receipt, degraded);
  return `{"outputs":${outputsOf(columns, form)}${said === undefined ? '' : `,"spillway":${JSON.stringify(said)}`}}`;
}

function outputsOf(columns: readonly Column[], form: PlainCall['form']): string {
  const member = (name: string, value: string): string => `${JSON.stringify(name)}:${value}`;
  if (form === 'columns') return `{${columns.map(({ name, rows }) => member(name, `[${rows.join(',')}]`)).join(',')}}`;
  const row = (i: number): string => `{${columns.map(({ name, rows }) => member(name, rows[i] ?? 'null')).join(',')}}`;
  if (form === 'one') return row(0);
  return `[${Array.from({ length: columns[0]?.rows.length ?? 0 }, (_, i) => row(i)).join(',')}]`;
}

/** Declared sizes decide whether a row is plain: what varies is an array even where it has one element. */
const specOf = ({ name }: TensorValue, specs: readonly TensorSpec[]): TensorSpec | undefined =>
  specs.find((spec) => spec.name === name);

function columnOf(output: TensorValue, spec: TensorSpec | undefined, batches: boolean): Column {
  const elements = elementsOf(output);
  const shape = batches ? output.shape.slice(1) : output.shape;
  const size = elementCount(shape);
  const count = batches ? (output.shape[0] ?? 0) : 1;
  const plain = isScalar(spec?.dims ?? shape);
  const row = (_: unknown, i: number): string =>
    plain ? (elements[i * size] ?? 'null') : nested(elements, shape, i * size);
  return { name: output.name, rows: Array.from({ length: count }, row) };
}

/** Each element as JSON. */
function elementsOf(output: TensorValue): string[] {
  if (elementCount(output.shape) === 0) return [];
  const text = tensorDataToJson(output);
  if (output.datatype !== 'BYTES') return text.split(',');
  return (JSON.parse(`[${text}]`) as string[]).map((element) => JSON.stringify(element));
}

function nested(elements: readonly string[], shape: readonly number[], from: number): string {
  const [length = 0, ...rest] = shape;
  if (rest.length === 0) return `[${elements.slice(from, from + length).join(',')}]`;
  const size = elementCount(rest);
  return `[${Array.from({ length }, (_, i) => nested(elements, rest, from + i * size)).join(',')}]`;
}
