import type { TensorSource } from './inputs.ts';

/** Writes infer requests of the Open Inference Protocol as JSON. */
export function jsonWriter(sources: readonly TensorSource[]): (n: number) => string {
  const heads = sources.map(
    ({ name, datatype, shape }, at) =>
      `${at === 0 ? '{"inputs":[' : ']},'}${JSON.stringify({ name, shape, datatype }).slice(0, -1)},"data":[`,
  );
  return (n) => {
    let body = '';
    for (let at = 0; at < sources.length; at += 1) {
      body += (heads[at] as string) + (sources[at] as TensorSource).json(n);
    }
    return `${body}]}]}`;
  };
}

type JsonOutput = { data?: unknown };

/** True if a model that answers what it was given answered something else. */
export function isWrongJson(body: string, sources: readonly TensorSource[], n: number): boolean {
  let outputs: JsonOutput[];
  try {
    outputs = (JSON.parse(body) as { outputs?: JsonOutput[] }).outputs ?? [];
  } catch {
    return true;
  }
  return sources.some((source, at) => {
    const got = outputs[at]?.data;
    if (!Array.isArray(got)) return true;
    const flat: unknown[] = got.flat(Number.POSITIVE_INFINITY);
    const expected = source.values(n);
    return flat.length !== expected.length || expected.some((value, i) => !isSame(source.datatype, value, flat[i]));
  });
}

const isSame = (datatype: string, expected: number | string, got: unknown): boolean =>
  datatype === 'FP32' && typeof expected === 'number'
    ? Math.fround(expected) === Math.fround(Number(got))
    : expected === got;
