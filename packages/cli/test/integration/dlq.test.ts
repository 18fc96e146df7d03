import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Bus } from '@spillway/bus/bus';
import { connectBus } from '@spillway/bus/connect';
import { bury, storeResult } from '@spillway/bus/job-end';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { type DeadLetter, deadJob, errorMessage } from '@spillway/contracts/job-messages';
import { type Job, type WorkFrame, workFrameCodec } from '@spillway/contracts/messages';
import {
  AUDIT_STREAM,
  EVENTS_STREAM,
  JOBS_STREAM,
  MAX_EVENTS_PER_MODEL,
  RESULTS_STREAM,
} from '@spillway/contracts/streams';
import { auditSubject, eventsSubject, jobsSubject, resultSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import { startNatsServer, type TestServer } from '@spillway/testing/nats-server';
import { run } from '../../src/commands/dlq.ts';
import { CliError, type Context } from '../../src/context.ts';

const home = mkdtempSync(join(tmpdir(), 'spillway-dlq-'));
let nats: TestServer;
let bus: Bus;

before(async () => {
  nats = await startNatsServer();
  bus = await connectBus({ url: nats.url, service: 'batcher', instance: 'batcher-1' });
});
after(async () => {
  await bus.drain();
  await nats.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Runs the command in this process; resolves with its exit code and what it printed and said, line by line. */
async function dlq(line: string): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const print = (text: string) => lines.push(text);
  const context = { env: { NATS_URL: nats.url }, dataDir: home, print, say: print } as unknown as Context;
  return { code: await run(context, line.split(' ')), lines };
}
const lettersNow = async () =>
  JSON.parse((await dlq('list --json')).lines.join('\n')) as {
    seq: number;
    job: string;
    form: string;
    tenant: string;
  }[];
const seqOf = async (job: string) => String((await lettersNow()).find((letter) => letter.job === job)?.seq);
const at = (stream: string, subject: string) => readMessage(bus, stream, { last: subject });

const error = new SpillwayError('BACKEND_FAILED', 'it broke', { reason: 'run_failed' });
const origin = eventsSubject('acme', 'mlp');
const made = { model: 'mlp', madeAtMs: 0 };
const jobOf = (job: string): Job => ({
  tenant: 'acme',
  job,
  ackSubject: '',
  originSubject: origin,
  originSeq: 4,
  traceparent: '',
});

async function failJob(job: string): Promise<void> {
  const item = { seq: 1, requestId: 'r', budgetMs: 0, rows: 1, cost: 1, route: 0, traceparent: '', tenant: 'acme' };
  const items = [{ ...item, tensors: Uint8Array.of(1, 2), job: jobOf(job) }];
  const routes = [{ version: '1', variant: '', shapes: 'x:FP32[2]' }];
  const frame: WorkFrame = { gateway: 'g', replyTo: '', sentMs: 0, model: 'mlp', trafficClass: 'bulk', routes, items };
  await storeResult(bus, errorMessage(jobOf(job), made, error));
  await bury(bus, deadJob(jobOf(job), error, workFrameCodec.encode(frame), 5));
}

async function refuseEvent(job: string, over: Partial<DeadLetter> = {}): Promise<void> {
  const letter = { ...deadJob(jobOf(job), error, Buffer.from('{"inputs":[]}'), 1), form: 'event' as const, ...over };
  const refusal = new SpillwayError('INVALID_REQUEST', 'inputs: expected …');
  await storeResult(bus, errorMessage(jobOf(job), made, refusal));
  await bury(bus, { ...letter, error: refusal, headers: { 'ce-id': '7%208', 'spillway-class': 'bulk' } });
}

const failsWith = (running: Promise<unknown>, message: RegExp) =>
  assert.rejects(running, (thrown) => {
    assert.ok(thrown instanceof CliError, String(thrown));
    assert.match(thrown.message, message);
    return true;
  });

test('dead letters are listed with what they are and whether they can be replayed, by code if asked', async () => {
  await failJob('listed');
  await refuseEvent('no-event');
  const { lines } = await dlq('list');
  assert.match(lines[0] ?? '', /^seq +at +code +reason +tenant +model +job/);
  assert.match(
    lines.find((line) => line.includes('listed')) ?? '',
    /BACKEND_FAILED +run_failed +acme +mlp +listed +5 +yes/,
  );
  assert.deepEqual(
    (await dlq('list --code INVALID_REQUEST')).lines.map((line) => /listed|no-event/.exec(line)?.[0]),
    [undefined, 'no-event'],
  );
  assert.equal((await dlq('list --limit 1')).lines.length, 2);
});

test('show tells of a job its inputs, of an event what was published', async () => {
  const job = (await dlq(`show ${await seqOf('listed')}`)).lines.join('\n');
  assert.match(job, /message +it broke/);
  assert.match(job, /inputs +x:FP32\[2\]/);
  const event = (await dlq(`show ${await seqOf('no-event')}`)).lines.join('\n');
  assert.match(event, /header +ce-id: 7%208/);
  assert.match(event, /\n\{"inputs":\[\]\}$/);
  await failsWith(dlq('show 999999'), /there is no dead letter 999999/);
});

test('a job that is replayed runs again under its name: its error is gone, its frame is in the stream, it is on record', async () => {
  await failJob('again');
  const seq = await seqOf('again');
  const { code, lines } = await dlq(`replay ${seq}`);
  assert.deepEqual([code, lines], [0, [`${seq}: job again of tenant acme runs again`]]);
  assert.equal(await at(RESULTS_STREAM, resultSubject('acme', 'again')), undefined);
  const published = await at(JOBS_STREAM, jobsSubject('bulk', 'mlp'));
  const item = workFrameCodec.decode(published?.payload as Uint8Array).items[0];
  assert.deepEqual([item?.job?.job, item?.job?.replay, [...(item?.tensors ?? [])]], ['again', Number(seq), [1, 2]]);
  assert.equal(await seqOf('again'), 'undefined', 'it is a dead letter no more');
  const record = JSON.parse(String((await at(AUDIT_STREAM, auditSubject('dlq')))?.payload));
  assert.deepEqual([record.action, record.letter.job, record.letter.seq], ['replay', 'again', Number(seq)]);
  assert.match(record.by, /^[^@]+@.+$/);
  const { first } = await storeResult(bus, {
    ...errorMessage({ ...jobOf('again'), replay: Number(seq) }, made, error),
  });
  assert.ok(first, 'the result of the replay is stored, however soon it comes');
});

test('an event that is replayed is published as it was', async () => {
  await refuseEvent('event-again');
  const seq = await seqOf('event-again');
  await dlq(`replay ${seq}`);
  const published = await at(EVENTS_STREAM, origin);
  assert.equal(String(published?.payload), '{"inputs":[]}');
  assert.deepEqual(published?.headers, {
    'ce-id': '7%208',
    'spillway-class': 'bulk',
    'spillway-job': 'event-again',
    'spillway-replay': seq,
  });
});

test('what has an answer, is cut or is no dead letter stays as it is, and says why', async () => {
  await failJob('answered');
  await refuseEvent('cut', { payload: Buffer.alloc(bus.maxPayload - 1_000) });
  const stored = await at(RESULTS_STREAM, resultSubject('acme', 'answered'));
  assert.ok(stored !== undefined);
  await deleteMessage(bus, RESULTS_STREAM, stored.seq);
  await bus.publishToStream(resultSubject('acme', 'answered'), Buffer.from('{"outputs":[]}'));
  const answered = await dlq(`replay ${await seqOf('answered')}`);
  assert.match(answered.lines[0] ?? '', /not replayed: job answered of tenant acme has an answer/);
  const cut = await dlq(`replay ${await seqOf('cut')}`);
  assert.match(cut.lines[0] ?? '', /not replayed: only a part of it was kept/);
  assert.deepEqual([answered.code, cut.code], [1, 1]);
  await failsWith(dlq('replay 999999'), /there is no dead letter/);
});

test('--all takes those that are there, of one code if asked', async () => {
  await failJob('all-1');
  await failJob('all-2');
  await refuseEvent('all-3');
  const { lines } = await dlq('replay --all --code BACKEND_FAILED');
  assert.deepEqual(
    lines.map((line) => /all-\d/.exec(line)?.[0]).filter((job) => job !== undefined),
    ['all-1', 'all-2'],
  );
  assert.ok((await lettersNow()).some(({ job }) => job === 'all-3'));
});

test('wrong words are refused, naming them', async () => {
  await failsWith(dlq('bury'), /expected list, show or replay, got "bury"/);
  await failsWith(dlq('replay'), /expected the SEQ of dead letters, or --all/);
  await failsWith(dlq('replay 1 --all'), /expected the SEQ/);
  await failsWith(dlq('replay x'), /expected the number of a dead letter.*got "x"/);
  await failsWith(dlq('list --code SAD'), /--code: expected one of INVALID_REQUEST/);
});

test('where no more may wait a dead letter stays, with its error', async () => {
  const subject = eventsSubject('acme', 'full');
  await refuseEvent('no-room', { originSubject: subject });
  for (let n = 0; n < MAX_EVENTS_PER_MODEL; n += 1) bus.publish(subject, Buffer.from('{}'));
  await assert.rejects(bus.publishToStream(subject, Buffer.from('{}'), { timeoutMs: 60_000 }), { code: 'CONFLICT' });
  const seq = await seqOf('no-room');
  const { code, lines } = await dlq(`replay ${seq}`);
  assert.equal(code, 1);
  assert.match(lines.join('\n'), /not replayed: as many messages as may wait for its model are there/);
  assert.equal(await seqOf('no-room'), seq);
  const stored = await at(RESULTS_STREAM, resultSubject('acme', 'no-room'));
  assert.match(String(stored?.payload), /expected …/);
});
