import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Inputs, Job, JobState, JobStatus, SpillwayClient, TrafficClass } from '@spillway/client';
import { isTrafficClass } from '@spillway/contracts/classes';
import { integerOption, parseCommand } from '../args.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { durationOption, timeLeft } from '../duration.ts';
import { DOOR_OPTIONS, withClient } from '../mesh-client.ts';
import { checkGiven, INPUT_OPTIONS, makeBody } from '../request-body.ts';
import { table } from '../table.ts';
import { tensorLine, toJson } from '../tensor-line.ts';

export const OPTIONS = {
  ...INPUT_OPTIONS,
  class: { type: 'string' },
  'idempotency-key': { type: 'string' },
  expires: { type: 'string' },
  wait: { type: 'boolean' },
  state: { type: 'string' },
  limit: { type: 'string' },
  timeout: { type: 'string' },
  ...DOOR_OPTIONS,
  json: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseCommand<typeof OPTIONS>>['values'];
type Call = { context: Context; client: SpillwayClient; values: Values; word: string };

/** What each action may be told; every one may be told of the door and of --json. */
const ACTIONS: Record<string, { word: string; options: string[]; run(call: Call): Promise<number> }> = {
  list: { word: '', options: ['state', 'limit'], run: list },
  show: { word: 'ID', options: [], run: show },
  wait: { word: 'ID', options: ['timeout'], run: wait },
  cancel: { word: 'ID', options: [], run: cancel },
  batch: { word: 'FILE', options: ['class', 'timeout'], run: batch },
  submit: {
    word: 'MODEL',
    options: ['data', 'text', 'file', 'class', 'idempotency-key', 'expires', 'wait', 'timeout'],
    run: submit,
  },
};
/** Between two words on how far a file is. */
const PROGRESS_MS = 1_000;
const STATES: readonly string[] = ['queued', 'running', 'succeeded', 'failed', 'expired', 'cancelled'];
const FOR_ALL = [...Object.keys(DOOR_OPTIONS), 'json'];

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('jobs', argv, OPTIONS, {
    required: ['list, show, wait, cancel, submit or batch'],
    optional: ['ID, MODEL or FILE'],
  });
  const [name = '', word = ''] = positionals;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined)
    throw usageError(`jobs: expected list, show, wait, cancel, submit or batch, got "${name}"`, 'jobs');
  const stray = Object.keys(values).find((option) => !FOR_ALL.includes(option) && !action.options.includes(option));
  if (stray !== undefined) throw usageError(`jobs ${name}: --${stray} does not belong here`, 'jobs');
  if (action.word === '' && word !== '') throw usageError(`jobs ${name}: "${word}" is one word too many`, 'jobs');
  if (action.word !== '' && word === '') throw usageError(`jobs ${name}: expected ${action.word}`, 'jobs');
  return withClient(context, values, (client) => action.run({ context, client, values, word }));
}

async function list({ context, client, values }: Call): Promise<number> {
  const { state, json } = values;
  if (state !== undefined && !STATES.includes(state)) {
    throw usageError(`--state: expected one of ${STATES.join(', ')}, got "${state}"`, 'jobs');
  }
  const limit = integerOption('jobs', 'limit', values.limit, { min: 1, max: 100_000, fallback: 50 });
  const jobs: JobStatus[] = [];
  for await (const job of client.jobs.all(state === undefined ? {} : { state: state as JobState })) {
    if (jobs.push(job) === limit) break;
  }
  if (json) context.print(toJson(jobs));
  else if (jobs.length === 0) context.say('no jobs');
  else {
    const rows = jobs.map((job) => [job.id, job.state, job.model || '-', ageOf(job), job.error?.code ?? '']);
    for (const line of table(['job', 'state', 'model', 'age', 'error'], rows)) context.print(line);
  }
  return 0;
}

const ageOf = ({ createdAt }: JobStatus): string =>
  createdAt === undefined ? '-' : timeLeft(Math.max(1, Date.now() - createdAt.getTime()));

async function show({ context, client, values, word }: Call): Promise<number> {
  const job = await client.jobs.get(word);
  return print(context, await job.status(), values.json === true);
}

async function wait({ context, client, values, word }: Call): Promise<number> {
  return untilEnd(context, await client.jobs.get(word), values);
}

async function untilEnd(context: Context, job: Job, { timeout, json }: Values): Promise<number> {
  const timeoutMs =
    timeout === undefined ? undefined : durationOption('jobs', 'timeout', timeout, { min: '1s', max: '7d' });
  const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  let last = await job.status();
  try {
    for await (const status of job.events({ signal })) last = status;
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
  return print(context, last, json === true);
}

async function cancel({ context, client, word }: Call): Promise<number> {
  const job = await client.jobs.get(word);
  await job.cancel();
  const { state } = await job.status();
  context.print(
    state === 'cancelled' ? `${word} is cancelled` : `${word} is ${state}: there is nothing left to cancel`,
  );
  return state === 'cancelled' ? 0 : 1;
}

async function submit({ context, client, values, word: model }: Call): Promise<number> {
  checkGiven('jobs submit', values, 'jobs');
  const { inputs } = makeBody(context, await client.model(model), values);
  const given = Object.fromEntries(inputs.map(({ name, ...tensor }) => [name, tensor])) as Inputs;
  const job = await client.submit(model, given, {
    class: classOf(values.class),
    idempotencyKey: values['idempotency-key'] ?? crypto.randomUUID(),
    expiresAfterMs:
      values.expires === undefined
        ? undefined
        : durationOption('jobs', 'expires', values.expires, { min: '1s', max: '1d' }),
  });
  if (values.wait || job.id === '') return untilEnd(context, job, values); // no job: it was answered under its key
  context.print(values.json ? toJson(await job.status()) : job.id);
  if (!values.json) context.say(`Its result: ./spillway jobs wait ${job.id}`);
  return 0;
}

/** Ids of what was taken go to standard output, one a line; what was not, and how far it is, to standard error. */
async function batch({ context, client, values, word: file }: Call): Promise<number> {
  const { timeout, json } = values;
  const source = file === '-' ? createReadStream('', { fd: 0 }) : createReadStream(resolve(context.cwd, file));
  const numbers: number[] = [];
  const timeoutMs =
    timeout === undefined ? undefined : durationOption('jobs', 'timeout', timeout, { min: '1s', max: '7d' });
  const options = { class: classOf(values.class), timeoutMs };
  const sum = { accepted: 0, refused: 0 };
  const far = () => `${sum.accepted} accepted, ${sum.refused} refused`;
  const progress = setInterval(() => context.say(far()), PROGRESS_MS);
  try {
    for await (const { index, id, state, error } of client.jobs.submitLines(linesOf(source, numbers), options)) {
      const line = numbers[index];
      if (error === undefined) sum.accepted += 1;
      else sum.refused += 1;
      if (json)
        context.print(toJson({ line, id, state, error: error && { code: error.code, message: error.message } }));
      else if (id !== undefined) context.print(id);
      else context.say(`line ${line}: ${error.code}: ${error.message}`);
    }
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
    throw new CliError(`cannot read ${file}: ${thrown.message}`, [], 2);
  } finally {
    clearInterval(progress);
  }
  context.say(far());
  return sum.refused > 0 ? 1 : 0;
}

/** Empty lines are no requests. @param numbers Filled with where in the file each of the others is, from 1. */
async function* linesOf(source: Readable, numbers: number[]): AsyncGenerator<string> {
  let number = 0;
  for await (const line of createInterface({ input: source, crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (line.trim() === '') continue;
    numbers.push(number);
    yield line;
  }
}

const isMissing = (thrown: unknown): thrown is NodeJS.ErrnoException =>
  thrown instanceof Error && 'code' in thrown && (thrown as NodeJS.ErrnoException).syscall !== undefined;

function classOf(text: string | undefined): TrafficClass | undefined {
  if (text === undefined || isTrafficClass(text)) return text;
  throw usageError(`--class: expected vip, standard or bulk, got "${text}"`, 'jobs');
}

/** @returns The exit code: 0 only for a job that has not failed. */
function print(context: Context, status: JobStatus, asJson: boolean): number {
  const { id, state, model, result, error } = status;
  if (asJson) context.print(toJson({ ...status, error: error && { code: error.code, message: error.message } }));
  else {
    context.print(`${id}  ${state}  ${model || '-'}  ${ageOf(status)} old`);
    if (error !== undefined) context.print(`${error.code}: ${error.message}`);
    for (const [name, tensor] of Object.entries(result?.outputs ?? {})) context.print(tensorLine(name, tensor));
  }
  return error === undefined && state !== 'failed' && state !== 'expired' && state !== 'cancelled' ? 0 : 1;
}
