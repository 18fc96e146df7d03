import type { Bus } from '@spillway/bus/bus';
import { ERROR_CODES, isErrorCode } from '@spillway/errors/catalogue';
import { integerOption, parseCommand } from '../args.ts';
import { audit } from '../audit.ts';
import { CliError, type Context, usageError } from '../context.ts';
import { type Letter, lettersOf, readLetter, shown } from '../dlq/letters.ts';
import { hindrance, replay } from '../dlq/replay.ts';
import { onMeshBus } from '../mesh-bus.ts';
import { table } from '../table.ts';

export const OPTIONS = {
  all: { type: 'boolean' },
  code: { type: 'string' },
  limit: { type: 'string' },
  json: { type: 'boolean' },
} as const;

type Chosen = { all: boolean; code: string | undefined; limit: string | undefined; json: boolean };

export async function run(context: Context, argv: string[]): Promise<number> {
  const { values, positionals } = parseCommand('dlq', argv, OPTIONS, {
    required: ['list, show or replay'],
    optional: argv.map(() => 'SEQ'),
  });
  const [action, ...words] = positionals;
  const { all = false, code, limit, json = false } = values;
  if (code !== undefined && !isErrorCode(code)) {
    throw usageError(`--code: expected one of ${ERROR_CODES.join(', ')}, got "${code}"`, 'dlq');
  }
  const seqs = words.map(seqOf);
  const chosen: Chosen = { all, code, limit, json };
  if (action === 'list') return list(context, seqs, chosen);
  if (action === 'show') return show(context, seqs, chosen);
  if (action === 'replay') return replayAll(context, seqs, chosen);
  throw usageError(`dlq: expected list, show or replay, got "${action}"`, 'dlq');
}

function seqOf(word: string): number {
  if (/^[1-9]\d{0,14}$/.test(word)) return Number(word);
  throw usageError(`dlq: expected the number of a dead letter, as dlq list shows it, got "${word}"`, 'dlq');
}

async function list(context: Context, seqs: readonly number[], { all, code, limit, json }: Chosen): Promise<number> {
  if (all || seqs.length > 0) throw usageError('dlq list: expected no SEQ and no --all', 'dlq');
  const most = integerOption('dlq', 'limit', limit, { min: 1, max: 100_000, fallback: 50 });
  const letters = await onMeshBus(context, async (bus) => {
    const newest: Letter[] = [];
    for await (const letter of lettersOf(bus, code)) {
      newest.push({ ...letter, payload: new Uint8Array() }); // many can be large together
      if (newest.length > most) newest.shift();
    }
    return newest;
  });
  if (json) context.print(JSON.stringify(letters.map(listed), null, 2));
  else if (letters.length === 0) context.say('no dead letters');
  else for (const line of table(HEAD, letters.map(row))) context.print(line);
  return 0;
}

const HEAD = ['seq', 'at', 'code', 'reason', 'tenant', 'model', 'job', 'tries', 'replay'];
const listed = (letter: Letter) => {
  const { bytes: _, ...facts } = shown(letter);
  return facts;
};
const row = (letter: Letter): string[] => [
  String(letter.seq),
  new Date(letter.timeMs).toISOString().slice(0, 19).replace('T', ' '),
  letter.code,
  letter.reason || '-',
  letter.tenant || '-',
  letter.model || '-',
  letter.job || '-',
  String(letter.deliveries),
  hindrance(letter) === undefined ? 'yes' : 'no',
];

async function show(context: Context, [seq, ...more]: readonly number[], chosen: Chosen): Promise<number> {
  if (seq === undefined || more.length > 0 || chosen.all) throw usageError('dlq show: expected one SEQ', 'dlq');
  const letter = await onMeshBus(context, (bus) => readLetter(bus, seq));
  if (letter === undefined) throw unknown(seq);
  const { form, frame, headers, payload } = letter;
  const facts = { ...shown(letter), replay: hindrance(letter) ?? 'yes' };
  if (chosen.json) {
    context.print(JSON.stringify({ ...facts, headers, payload: Buffer.from(payload).toString('base64') }, null, 2));
    return 0;
  }
  for (const [name, value] of Object.entries(facts)) {
    if (value !== '' && value !== undefined) context.print(`${name.padEnd(14)} ${value}`);
  }
  if (form === 'event') {
    for (const [name, value] of Object.entries(headers)) context.print(`header         ${name}: ${value}`);
    context.print('');
    context.print(Buffer.from(payload).toString());
  } else if (frame !== undefined) context.print(`inputs         ${frame.routes[0]?.shapes ?? ''}`);
  return 0;
}

const unknown = (seq: number): CliError =>
  new CliError(`there is no dead letter ${seq}`, ['See: ./spillway dlq list   They are kept for 14 days.']);

async function replayAll(context: Context, seqs: readonly number[], { all, code }: Chosen): Promise<number> {
  if (all === seqs.length > 0) throw usageError('dlq replay: expected the SEQ of dead letters, or --all', 'dlq');
  if (code !== undefined && !all) throw usageError('dlq replay: --code belongs to --all', 'dlq');
  const left = await onMeshBus(context, async (bus) => {
    let failures = 0;
    for await (const letter of all ? lettersOf(bus, code) : named(bus, seqs)) {
      if (!(await replayOne(context, bus, letter))) failures += 1;
    }
    return failures;
  });
  return left === 0 ? 0 : 1;
}

async function* named(bus: Bus, seqs: readonly number[]): AsyncGenerator<Letter> {
  for (const seq of seqs) {
    const letter = await readLetter(bus, seq);
    if (letter === undefined) throw unknown(seq);
    yield letter;
  }
}

const FULL = 'as many messages as may wait for its model are there: try again when some have been worked off';

/** @returns False: it stays where it is. */
async function replayOne(context: Context, bus: Bus, letter: Letter): Promise<boolean> {
  const { seq, job, tenant, model, code, originSubject } = letter;
  const why = hindrance(letter);
  if (why !== undefined) {
    context.say(`${seq}: not replayed: ${why}`);
    return false;
  }
  await audit(bus, 'dlq', 'replay', { letter: { seq, job, tenant, model, code, originSubject } });
  const outcome = await replay(bus, letter);
  if (outcome !== 'replayed') {
    const text = outcome === 'full' ? FULL : `job ${job} of tenant ${tenant} has an answer`;
    context.say(`${seq}: not replayed: ${text}`);
    return false;
  }
  context.print(`${seq}: job ${job} of tenant ${tenant} runs again`);
  return true;
}
