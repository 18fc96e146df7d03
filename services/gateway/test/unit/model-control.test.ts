import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandOutcome, Lease, ModelCommand } from '@spillway/contracts/buckets';
import { isSpillwayError } from '@spillway/errors/spillway-error';
import { commandLate, refusedByWorkers, refusedRequest, verdictOf } from '../../src/core/model-control.ts';

const REFUSED: [what: string, request: Parameters<typeof refusedRequest>[0], code: string, message: RegExp][] = [
  ['a config is never taken', { parameters: { config: '{}' } }, 'UNSUPPORTED', /^parameters\.config: expected none/],
  ['nor is a file', { parameters: { 'file:1/m.onnx': '' } }, 'UNSUPPORTED', /^parameters\.file:…: expected none/],
  ['parameters must be an object', { parameters: 'all' }, 'INVALID_REQUEST', /^parameters: expected an object/],
  ['and no list', { parameters: [] }, 'INVALID_REQUEST', /^parameters: expected an object/],
  ['no repository has a name', { repositoryName: 'other' }, 'UNSUPPORTED', /^repository_name: expected none/],
];
for (const [what, request, code, message] of REFUSED) {
  test(`load and unload: ${what}`, () => {
    const error = refusedRequest(request);
    assert.equal(error?.code, code);
    assert.match(error?.message ?? '', message);
  });
}

test('load and unload: parameters may be missing, null, or mean nothing here', () => {
  for (const parameters of [undefined, null, {}, { unload_dependents: true }]) {
    assert.equal(refusedRequest({ parameters, repositoryName: '' }), undefined);
  }
});

const lease = (instance: string, commands?: CommandOutcome[], state: Lease['state'] = 'ready'): Lease => ({
  ...{ service: 'gpu-worker', instance, address: '', state, models: [] },
  ...(commands && { commands }),
});

test('one worker that loads its folder once is enough to refuse every command', () => {
  assert.equal(refusedByWorkers([lease('a', []), lease('b')])?.code, 'UNSUPPORTED');
  assert.equal(refusedByWorkers([lease('a', []), lease('b', undefined, 'draining')]), undefined);
  assert.equal(refusedByWorkers([])?.code, 'UNAVAILABLE');
});

const command = (id: string, wanted: ModelCommand['wanted'] = 'loaded'): ModelCommand => ({
  ...{ id, model: 'm', wanted, createdAt: 0, by: 't/k' },
});
const done = (id: string): CommandOutcome[] => [{ id, model: 'm' }];
const failed = (id: string, text: string, missing = false): CommandOutcome[] => [
  { id, model: 'm', error: { text, missing } },
];

/** What became of the command `2`, given when `1` was the latest. */
const verdict = (workers: Lease[], latest = command('2')) => {
  const said = verdictOf(command('2'), workers, { latest, before: command('1') });
  return isSpillwayError(said) ? [said.code, said.reason, said.message] : said;
};

test('a command is done when every worker that follows commands says so', () => {
  assert.equal(verdict([lease('a', done('2')), lease('b', done('1'))]), undefined);
  assert.equal(verdict([lease('a', done('2')), lease('b', done('2'))]), 'done');
  assert.equal(verdict([lease('a', done('2')), lease('b', undefined, 'draining')]), 'done', 'one drains');
  assert.equal(verdict([]), undefined, 'a worker that was lost may come back');
});

test('one that could not be followed says why, and how many workers failed', () => {
  const workers = [lease('a', done('2')), lease('b', failed('2', 'version 2: bad'))];
  assert.deepEqual(verdict(workers), ['BACKEND_FAILED', 'load_failed', '1 of 2 workers: version 2: bad']);
  assert.deepEqual(verdict([lease('b', failed('2', 'bad'))]), ['BACKEND_FAILED', 'load_failed', 'bad']);
  assert.deepEqual(verdict([lease('b', failed('2', 'no folder', true))]), ['MODEL_NOT_FOUND', undefined, 'no folder']);
});

test('a later command that wants the same answers for this one, one that wants the opposite is a conflict', () => {
  assert.equal(verdict([lease('a', done('3'))], command('3')), 'done');
  assert.equal(verdict([lease('a', done('2'))], command('3')), undefined);
  assert.equal((verdict([lease('a', done('2'))], command('3', 'unloaded')) as string[])[0], 'CONFLICT');
  assert.equal(verdict([lease('a', done('2'))], command('1')), 'done', 'its own command has not come back yet');
});

test('workers that take too long are no reason to say that it failed', () => {
  assert.equal(commandLate(50).code, 'DEADLINE_EXCEEDED');
});
