import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import { SpillwayClient } from '@spillway/client';

/** A door that answers each call of `POST /v1/jobs` as the test says. */
type Door = (lines: { model: string; job: string }[], res: ServerResponse, req: IncomingMessage) => void;
let doors: Door[] = [];
const asked: string[][] = [];
const server = createServer(async (req, res) => {
  const lines = (await text(req))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  asked.push(lines.map(({ job }) => job));
  (doors.shift() ?? takeAll)(lines, res, req);
});
const say = (res: ServerResponse, told: object): void => void res.write(`${JSON.stringify(told)}\n`);
const takeAll: Door = (lines, res) => {
  for (const [n, { job }] of lines.entries()) say(res, { line: n + 1, job, state: 'queued' });
  res.end(`{"accepted":${lines.length},"refused":0}\n`);
};

let client: SpillwayClient;
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new SpillwayClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
beforeEach(() => {
  asked.length = 0;
});
after(async () => {
  await client.close();
  server.close();
});

const requests = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    model: 'm',
    inputs: { x: { data: new Float32Array([n]), shape: [1, 1] } },
  }));

test('what a broken connection left open is sent again under the same names, and nothing is told twice', async () => {
  const broken = Promise.withResolvers<ServerResponse>();
  doors = [
    (lines, res) => {
      say(res, { line: 2, job: lines[1]?.job, state: 'queued' });
      broken.resolve(res);
    },
  ];
  const told: number[] = [];
  for await (const { index } of client.jobs.submitAll(requests(3))) {
    told.push(index);
    if (told.length === 1) (await broken.promise).destroy();
  }
  assert.equal(told[0], 1);
  assert.deepEqual(told.toSorted(), [0, 1, 2]);
  const [first, second] = asked as [string[], string[]];
  assert.equal(new Set(first).size, 3);
  assert.deepEqual(second, [first[0], first[2]]);
});

test('a line that is refused for capacity is tried again, one that is wrong is not', async () => {
  doors = [
    (_lines, res) => {
      say(res, { line: 1, error: { code: 'OVERLOADED', message: 'full', reason: 'queue_bound', retry_after_ms: 1 } });
      say(res, { line: 2, error: { code: 'CONFLICT', message: 'another', reason: 'idempotency_key' } });
      res.end('{"accepted":0,"refused":2}\n');
    },
  ];
  const told = await Array.fromAsync(client.jobs.submitAll(requests(2)));
  assert.deepEqual(told.map(({ index, error }) => [index, error?.code]).sort(), [
    [0, undefined],
    [1, 'CONFLICT'],
  ]);
  assert.deepEqual(
    asked.map((jobs) => jobs.length),
    [2, 1],
  );
});

test('a call that may not be made at all is told once, as such', async () => {
  doors = [(_lines, res) => void res.writeHead(403, { 'spillway-error': 'FORBIDDEN' }).end('{"error":"no"}')];
  await assert.rejects(Array.fromAsync(client.jobs.submitAll(requests(2))), { code: 'FORBIDDEN' });
});

test('many lines go in several calls; lines of a file keep the names that they have', async () => {
  const lines = Array.from({ length: 1_001 }, (_, n) => `{"model":"m","inputs":[]${n === 0 ? ',"job":"mine"' : ''}}`);
  const told = await Array.fromAsync(client.jobs.submitLines(lines));
  assert.equal(told.length, 1_001);
  assert.equal(told[0]?.id, 'mine');
  assert.deepEqual(
    asked.map((jobs) => jobs.length),
    [500, 500, 1],
  );
});

test('what JSON cannot hold is refused before anything is sent', async () => {
  const inputs = { x: { data: new Float32Array([Number.NaN]), shape: [1, 1] } };
  await assert.rejects(Array.fromAsync(client.jobs.submitAll([{ model: 'm', inputs }])), { code: 'INVALID_REQUEST' });
  assert.equal(asked.length, 0);
});
