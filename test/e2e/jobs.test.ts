import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Mesh } from '@spillway/testing/mesh';
import { casesOf, differenceOf, type OipTensor, oipRequest } from '../support/cases.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { grpcRequest, type ModelInferResponse, OipGrpcClient } from '../support/oip-grpc.ts';

type Job = {
  job: string;
  state: string;
  href: string;
  subject: string;
  model: string;
  result?: { outputs: OipTensor[] };
  error?: { code: string };
};

let mesh: Mesh;
before(async () => {
  mesh = await startSeededMesh({
    serves: ['mlp', 'credit-risk', 'simulated'],
    tenants: [{ tenant: 'other', class: 'standard' }],
  });
});
after(() => mesh?.[Symbol.asyncDispose]());

const body = (model: string, n = 0): string => JSON.stringify(oipRequest(casesOf(model)[n]!));
const bearer = (key = mesh.keys.standard): Record<string, string> => ({ authorization: `Bearer ${key}` });
const call = (path: string, init: RequestInit = {}, key?: string): Promise<Response> =>
  fetch(`${mesh.url}${path}`, { ...init, headers: { ...bearer(key), ...(init.headers as Record<string, string>) } });
const ask = (model: string, headers: Record<string, string>, text = body(model)): Promise<Response> =>
  call(`/v2/models/${model}/infer`, { method: 'POST', body: text, headers });
const jobOf = async (response: Response): Promise<Job> => (await response.json()) as Job;
/** As it is when it has ended, or after a few minutes. */
async function whenEnded(href: string): Promise<Job> {
  let job = await jobOf(await call(`${href}?wait=60`));
  for (let looks = 1; looks < 4 && isOpen(job); looks += 1) job = await jobOf(await call(`${href}?wait=60`));
  return job;
}
const isOpen = ({ state }: Job): boolean => state === 'queued' || state === 'running';

for (const model of ['mlp', 'credit-risk']) {
  test(`respond-async gives a ticket for ${model}, and the job's result is what the model answers`, async () => {
    const response = await ask(model, { prefer: 'respond-async' });
    const ticket = await jobOf(response);
    assert.equal(response.status, 202);
    assert.equal(response.headers.get('preference-applied'), 'respond-async');
    assert.equal(response.headers.get('spillway-rung'), 'ticket');
    assert.equal(response.headers.get('location'), `/v1/jobs/${ticket.job}`);
    assert.ok(Number(response.headers.get('retry-after')) >= 1);
    assert.deepEqual([ticket.state, ticket.href, ticket.model], ['queued', `/v1/jobs/${ticket.job}`, model]);
    const ended = await whenEnded(ticket.href);
    assert.equal(ended.state, 'succeeded');
    assert.equal(differenceOf(casesOf(model)[0]!, ended.result!.outputs), undefined);
  });
}

test('over gRPC the ticket is an answer without outputs that names its job', async () => {
  using client = new OipGrpcClient(mesh.grpc);
  const metadata = { ...bearer(), prefer: 'respond-async', 'idempotency-key': 'over-grpc' };
  const request = grpcRequest('mlp', casesOf('mlp')[0]!);
  const reply = await client.call<ModelInferResponse>('ModelInfer', request, { metadata });
  assert.equal(reply.code, 0, reply.details);
  assert.deepEqual(reply.response?.outputs ?? [], []);
  const { spillway_job: told, spillway_rung: rung } = (reply.response?.parameters ?? {}) as Record<
    string,
    { string_param: string }
  >;
  assert.equal(rung?.string_param, 'ticket');
  const ended = await whenEnded(`/v1/jobs/${told?.string_param}`);
  assert.equal(ended.state, 'succeeded');
  assert.equal(differenceOf(casesOf('mlp')[0]!, ended.result!.outputs), undefined);
});

test('with wait the answer itself comes if it is there in time', async () => {
  const response = await ask('mlp', { prefer: 'respond-async, wait=60' });
  assert.equal(response.status, 200);
  const { outputs } = (await response.json()) as { outputs: OipTensor[] };
  assert.equal(differenceOf(casesOf('mlp')[0]!, outputs), undefined);
});

test('one idempotency key is one job; with another body it is a conflict; another tenant has its own', async () => {
  const headers = { prefer: 'respond-async', 'idempotency-key': '"order 18/ä"' };
  const first = await jobOf(await ask('mlp', headers));
  const again = await jobOf(await ask('mlp', { ...headers, 'idempotency-key': 'order 18/ä' }));
  assert.equal(again.job, first.job);
  const conflict = await ask('mlp', headers, body('mlp', 1));
  assert.deepEqual([conflict.status, conflict.headers.get('spillway-error')], [409, 'CONFLICT']);
  const foreign = await call(first.href, {}, mesh.keys['other']);
  assert.equal(foreign.status, 404);
  assert.equal((await call('/v1/jobs/nobody-has-this')).status, 404);
});

test('events tell when the job has ended, and then the stream ends', async () => {
  const { href } = await jobOf(await ask('mlp', { prefer: 'respond-async' }));
  const response = await call(href, { headers: { accept: 'text/event-stream' } });
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  const states = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(
    ([, data]) => (JSON.parse(data!) as Job).state,
  );
  assert.equal(states.at(-1), 'succeeded');
});

test('jobs are listed to their tenant, in pages', async () => {
  for (let n = 0; n < 3; n += 1) await ask('mlp', { prefer: 'respond-async', 'idempotency-key': `listed-${n}` });
  const seen = new Set<string>();
  let next: string | undefined = '0';
  while (next !== undefined) {
    const page = (await (await call(`/v1/jobs?limit=2&after=${next}`)).json()) as { jobs: Job[]; next?: string };
    assert.ok(page.jobs.length <= 2);
    for (const { job } of page.jobs) seen.add(job);
    next = page.next;
  }
  assert.ok(seen.size >= 3);
  const others = (await (await call('/v1/jobs', {}, mesh.keys['other'])).json()) as { jobs: Job[] };
  assert.deepEqual(others.jobs, []);
  assert.equal((await call('/v1/jobs?limit=none')).status, 400);
});

test('a batch of lines is taken line by line, and each line is told what is wrong with it', async () => {
  const line = (of: Record<string, unknown>) => JSON.stringify({ ...JSON.parse(body('mlp')), ...of });
  const lines = [
    line({ model: 'mlp', job: 'batch-1' }),
    '{',
    line({ model: 'nothing' }),
    line({ model: 'mlp', job: 'batch-2' }),
  ];
  const response = await call('/v1/jobs', {
    method: 'POST',
    body: `${lines.join('\n')}\n`,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const told = (await response.text())
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text));
  assert.deepEqual(told.pop(), { accepted: 2, refused: 2 });
  const codes = told.sort((a, b) => a.line - b.line).map(({ job, error }) => job ?? error.code);
  assert.deepEqual(codes, ['batch-1', 'INVALID_REQUEST', 'MODEL_NOT_FOUND', 'batch-2']);
  assert.equal((await whenEnded('/v1/jobs/batch-2')).state, 'succeeded');
});

test('a job that was cancelled before it ran is not run, and one that has ended stays as it is', async () => {
  const ended = await jobOf(await ask('mlp', { prefer: 'respond-async' }));
  assert.equal((await whenEnded(ended.href)).state, 'succeeded');
  assert.equal((await jobOf(await call(ended.href, { method: 'DELETE' }))).state, 'succeeded');
});

test('what cannot be read of the preference is refused, what is unknown of it is not', async () => {
  const wrong = await ask('mlp', { prefer: 'respond-async, wait=soon' });
  assert.equal(wrong.status, 400);
  assert.match(((await wrong.json()) as { error: string }).error, /prefer: wait/);
  assert.equal((await ask('mlp', { prefer: 'handling=lenient' })).status, 200);
});

test('a job that a worker has begun says that it is running', async () => {
  const x = { name: 'x', datatype: 'FP32', shape: [32, 1], data: Array(32).fill(0.25) }; // 104 ms of work
  const text = JSON.stringify({ inputs: [x] });
  const seen = new Set<string>();
  const look = async (): Promise<void> => {
    const jobs = await Promise.all(
      Array.from({ length: 12 }, async () => jobOf(await ask('simulated', { prefer: 'respond-async' }, text))),
    );
    for (let open = jobs; open.length > 0; ) {
      const now = await Promise.all(open.map(async ({ href }) => jobOf(await call(href))));
      for (const { state } of now) seen.add(state);
      open = now.filter(isOpen);
    }
  };
  await look();
  for (let tries = 1; tries < 20 && seen.size < 3; tries += 1) await look(); // who looks too seldom sees them ended only
  assert.deepEqual([...seen].sort(), ['queued', 'running', 'succeeded']);
});

test('an idempotency key gives the answer that it had; with another body it is a conflict', async () => {
  const headers = { 'idempotency-key': 'at once' };
  const [first, again] = [await ask('mlp', headers), await ask('mlp', headers)];
  assert.deepEqual([first.status, again.status, again.headers.get('spillway-cache')], [200, 200, 'hit']);
  assert.deepEqual(await again.json(), await first.json());
  assert.equal((await ask('mlp', headers, body('mlp', 1))).status, 409);
});

test('who takes tickets is not refused for want of time: what cannot be in time becomes a job, and every job ends', async () => {
  const row = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [0.25] }] });
  const headers = { 'spillway-accept': 'wait, ticket', 'spillway-timeout-ms': '1000' };
  assert.equal((await ask('simulated', {}, row)).status, 200);
  const responses: Response[] = [];
  const of = (status: number): Response[] => responses.filter((response) => response.status === status);
  // What was let in may be late on a crowded machine, all of it if that stands still: then once more.
  for (let tries = 0; tries < 10 && (of(200).length === 0 || of(202).length === 0); tries += 1) {
    responses.push(...(await Promise.all(Array.from({ length: 700 }, () => ask('simulated', headers, row))))); // more than 2 s of work
  }
  const [answers, tickets] = [of(200), of(202)];
  const others = responses.filter(({ status }) => status !== 200 && status !== 202);
  assert.deepEqual(
    others.map(({ headers: told }) => told.get('spillway-error')).filter((code) => code !== 'DEADLINE_EXCEEDED'),
    [],
  );
  assert.ok(answers.length > 0 && tickets.length > 0, `${answers.length} answers, ${tickets.length} tickets`);
  const jobs = await Promise.all(tickets.map(jobOf));
  const ended = await Promise.all(jobs.map(({ href }) => whenEnded(href)));
  assert.deepEqual([...new Set(ended.map(({ state }) => state))], ['succeeded']);
});
