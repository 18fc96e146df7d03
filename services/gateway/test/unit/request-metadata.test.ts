import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lowerByPriority, readMetadata, smallerBudget } from '../../src/core/request-metadata.ts';

const read = (headers: Record<string, string>) => readMetadata((name) => headers[name], 'standard');

test('a request may lower its class and never raise it', () => {
  assert.equal(read({}).trafficClass, 'standard');
  assert.equal(read({ 'spillway-class': 'bulk' }).trafficClass, 'bulk');
  assert.equal(read({ 'spillway-class': 'vip' }).trafficClass, 'standard');
  assert.equal(lowerByPriority('standard', 1), 'standard');
  assert.equal(lowerByPriority('vip', 2), 'standard');
  assert.equal(lowerByPriority('vip', 7), 'bulk');
});

test('an unreadable value is refused, naming the header', () => {
  assert.throws(() => read({ 'spillway-class': 'gold' }), /spillway-class: expected vip, standard or bulk/);
  for (const bad of ['', '-1', 'soon', '1e9', '99999999999']) {
    assert.throws(() => read({ 'spillway-timeout-ms': bad }), /spillway-timeout-ms: expected milliseconds/, bad);
  }
});

test('budgets, cache control and a clean request id are read; an unclean id is replaced', () => {
  const metadata = read({
    'spillway-timeout-ms': '250.5',
    'cache-control': 'no-store, max-age=0',
    'x-request-id': 'abc-1',
  });
  assert.deepEqual(
    [metadata.budgetMs, metadata.noCache, metadata.noStore, metadata.requestId],
    [250.5, false, true, 'abc-1'],
  );
  assert.equal(read({ 'x-request-id': 'a b' }).requestId, undefined);
});

test("the list of a trace's vendors is carried, and a malformed one dropped", () => {
  assert.equal(read({ tracestate: 'rojo=1' }).tracestate, 'rojo=1');
  assert.deepEqual([read({}).tracestate, read({ tracestate: 'rojo' }).tracestate], ['', '']);
});

test('the smaller of two budgets counts', () => {
  assert.equal(smallerBudget(undefined, 5), 5);
  assert.equal(smallerBudget(3, undefined), 3);
  assert.equal(smallerBudget(3, 5), 3);
});
