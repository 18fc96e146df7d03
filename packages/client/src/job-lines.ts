import { asClientError } from './attempts.ts';
import { CallScope } from './call-scope.ts';
import { errorFromObject, SpillwayClientError } from './errors.ts';
import { parseJson } from './infer-body.ts';
import type { InputTensor } from './inputs.ts';
import type { JobState, JobsContext } from './jobs.ts';
import { linesOf } from './json-lines.ts';
import type { TrafficClass } from './request.ts';
import { nextTryInMs } from './retry.ts';
import { isTypedArray, type Scalar } from './tensors.ts';

export type SubmitAllOptions = {
  /** Over everything. Default: as long as it takes. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Lower than the key's. */
  class?: TrafficClass | undefined;
};

/** What became of the line at `index`, from 0. `state`: of a job that was submitted before it may be any. */
export type TakenLine =
  | { index: number; id: string; state: JobState; error?: undefined }
  | { index: number; id?: undefined; state?: undefined; error: SpillwayClientError };

/** Of one call: what a lost connection makes to be sent again. */
const LINES_AT_ONCE = 500;
const BYTES_AT_ONCE = 4 * 1024 * 1024;

type Line = { index: number; text: string };
type WireLine = { line?: number; job?: string; state?: JobState; error?: unknown };

/**
 * Hands over lines of `POST /v1/jobs`, and says of each what became of it, as it is known: that it is a job, or why not. Each has a
 * name before it is sent, so that one that has to be sent again is the same job.
 * @throws SpillwayClientError for what concerns all of them: no door, no right, no time left.
 */
export async function* submitLines(
  lines: AsyncIterable<string> | Iterable<string>,
  options: SubmitAllOptions,
  context: Pick<JobsContext, 'door' | 'clock' | 'rules'>,
): AsyncGenerator<TakenLine, void, undefined> {
  const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
  using scope = new CallScope(context.clock, timeoutMs, signal);
  const prefix = crypto.randomUUID();
  let index = 0;
  let batch: Line[] = [];
  let bytes = 0;
  for await (const given of lines) {
    const text = withName(given, `${prefix}-${index}`);
    if (batch.length === LINES_AT_ONCE || (batch.length > 0 && bytes + text.length > BYTES_AT_ONCE)) {
      yield* submitBatch(batch, options, scope, context);
      batch = [];
      bytes = 0;
    }
    batch.push({ index, text });
    bytes += text.length;
    index += 1;
  }
  if (batch.length > 0) yield* submitBatch(batch, options, scope, context);
}

async function* submitBatch(
  batch: readonly Line[],
  options: SubmitAllOptions,
  scope: CallScope,
  context: Pick<JobsContext, 'door' | 'rules'>,
): AsyncGenerator<TakenLine, void, undefined> {
  const { rules } = context;
  let open = batch;
  for (let tries = 1; open.length > 0; tries += 1) {
    const again = new Map<Line, SpillwayClientError | undefined>(open.map((line) => [line, undefined]));
    let broken: SpillwayClientError | undefined;
    try {
      for await (const wire of post(open, options, scope, context)) {
        const line = open[(wire.line ?? 0) - 1];
        if (line === undefined) continue;
        const error = wire.error ? errorFromObject(wire.error) : undefined;
        if (error?.isRetryable) {
          again.set(line, error);
          continue;
        }
        again.delete(line);
        const { index } = line;
        if (error !== undefined) yield { index, error };
        else {
          rules.budget.succeeded();
          yield { index, id: wire.job ?? '', state: wire.state ?? 'queued' };
        }
      }
    } catch (thrown) {
      broken = asClientError(thrown);
    }
    if (again.size === 0) return;
    const why = broken ?? worstOf(again.values());
    const inMs = nextTryInMs(why, tries, scope.leftMs, rules);
    if (inMs === undefined) {
      if (broken !== undefined) throw broken;
      for (const [{ index }, error = why] of again) yield { index, error };
      return;
    }
    await scope.sleep(inMs);
    open = [...again.keys()];
  }
}

/** Of those that may be tried again: the one to wait longest for. */
function worstOf(errors: Iterable<SpillwayClientError | undefined>): SpillwayClientError {
  let worst = new SpillwayClientError('UNAVAILABLE', 'the mesh did not say what became of the job', {
    reason: 'connection',
  });
  for (const error of errors) if ((error?.retryAfterMs ?? -1) > (worst.retryAfterMs ?? -1)) worst = error ?? worst;
  return worst;
}

async function* post(
  lines: readonly Line[],
  { class: trafficClass }: SubmitAllOptions,
  scope: CallScope,
  { door }: Pick<JobsContext, 'door'>,
): AsyncGenerator<WireLine, void, undefined> {
  const { signal } = scope;
  const answer = await door.send(
    {
      method: 'POST',
      path: 'v1/jobs',
      headers: {
        'content-type': 'application/x-ndjson',
        ...(trafficClass !== undefined && { 'spillway-class': trafficClass }),
      },
      body: new TextEncoder().encode(lines.map(({ text }) => `${text}\n`).join('')),
    },
    signal,
  );
  if (answer.status !== 200) await door.read(answer, signal); // says what it is
  try {
    for await (const text of linesOf(answer.body)) yield parseJson(text) as WireLine;
  } catch (thrown) {
    throw door.broken(thrown, signal);
  }
}

/** A name that the line has itself comes later, and counts. */
const withName = (line: string, name: string): string =>
  /^\s*\{\s*"/.test(line) ? line.replace('{', `{"job":${JSON.stringify(name)},`).trim() : line.trim();

/** One line, as JSON. @throws SpillwayClientError `INVALID_REQUEST` for a tensor that JSON cannot hold. */
export function writeLine(
  of: { model: string; job?: string; version?: string; outputs?: readonly string[]; expiresAfterMs?: number },
  inputs: readonly InputTensor[],
): string {
  const { model, job, version, outputs, expiresAfterMs } = of;
  const head = JSON.stringify({
    model,
    job,
    version,
    outputs: outputs?.map((name) => ({ name })),
    parameters: expiresAfterMs === undefined ? undefined : { timeout: Math.round(expiresAfterMs * 1_000) },
  });
  return `${head.slice(0, -1)},"inputs":[${inputs.map(tensorJson).join(',')}]}`;
}

function tensorJson({ name, datatype, shape, data }: InputTensor): string {
  if (datatype === 'FP16' || datatype === 'BF16') throw unwritable(name, `${datatype} has no JSON form`);
  const element = (value: Scalar): string => {
    if (typeof value === 'bigint') return String(value);
    if (typeof value === 'number' && !Number.isFinite(value)) throw unwritable(name, `JSON has no ${value}`);
    if (typeof value === 'object') throw unwritable(name, 'JSON holds texts, not bytes');
    return JSON.stringify(datatype === 'BOOL' ? Boolean(value) : value);
  };
  const values = isTypedArray(data) ? Array.from<number | bigint>(data) : data;
  return `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape}],"data":[${values.map(element).join(',')}]}`;
}

const unwritable = (name: string, why: string): SpillwayClientError =>
  new SpillwayClientError('INVALID_REQUEST', `input "${name}": ${why}; submit such a job by itself`);
