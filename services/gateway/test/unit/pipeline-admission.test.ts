import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { Answer, Prepared } from '../../src/core/request.ts';
import { encodeTensors } from '../../src/core/tensor-codec.ts';
import { fp32, request } from './fixtures.ts';
import { byId, cached, codes, joined, reply, rows, setUp } from './pipeline-world.ts';

test('what admission refuses is answered at once with its knob and hint, and nothing of it is sent', () => {
  const { pipeline, ends, submit, outside } = setUp();
  outside.decision = { rung: 'refused', code: 'OVERLOADED', reason: 'fair_rate', retryAfterMs: 340 };
  submit({ trafficClass: 'standard' });
  const [error] = ends as [SpillwayError];
  assert.deepEqual(
    [error.code, error.reason, error.retryAfterMs, error.autoRetry],
    ['OVERLOADED', 'fair_rate', 340, false],
  );
  assert.deepEqual([pipeline.flush(), pipeline.inFlight, outside.ended], [[], 0, 0]);
});

test('a hit is answered whatever admission would say, and features are fetched only for what is admitted', () => {
  const { ends, submit, outside } = setUp(joined);
  Object.assign(outside, { congested: true });
  outside.decision = { rung: 'refused', code: 'OVERLOADED', reason: 'predicted_finish', retryAfterMs: 200 };
  submit(byId);
  assert.equal(outside.featureAnswers.length, 0, 'the cache is asked first');
  outside.cacheAnswers[0]?.(encodeTensors([fp32('y', [1, 1], [0.25])]));
  submit(byId);
  outside.cacheAnswers[1]?.(undefined);
  assert.deepEqual([codes(ends), outside.featureAnswers.length], [['OK', 'OVERLOADED'], 0]);
});

test('a lighter variant is asked for by its route, marked in the answer, and not kept under the full one', () => {
  const { pipeline, ends, submit, outside } = setUp(cached);
  outside.decision = { rung: 'degraded', variant: 'lite' };
  submit();
  outside.cacheAnswers[0]?.(undefined);
  const frame = pipeline.flush()[0];
  assert.equal(frame?.routes[0]?.variant, 'lite');
  pipeline.onReply({ ...reply(frame?.items[0]?.seq as number), variant: 'lite' });
  const { receipt } = ends[0] as Answer;
  assert.deepEqual([receipt.rung, receipt.variant, receipt.degraded], ['degraded', 'lite', 'variant']);
  assert.equal(outside.puts.length, 0);
});

test('a request whose class admission lowers goes on in the lower one', () => {
  const { pipeline, submit, outside } = setUp();
  outside.decision = { rank: 1 };
  submit({ trafficClass: 'vip' });
  assert.equal(pipeline.flush()[0]?.trafficClass, 'standard');
});

test('what was admitted is counted until it ends, whatever way', () => {
  const { pipeline, submit, outside, clock } = setUp();
  submit();
  pipeline.onReply(reply(pipeline.flush()[0]?.items[0]?.seq as number));
  submit()();
  submit({ budgetMs: 10 });
  clock.advance(10);
  pipeline.expire();
  submit();
  pipeline.failAll(new SpillwayError('UNAVAILABLE', 'away'));
  assert.equal(outside.ended, 4);
});

test('under brown-out a stale answer will do for who accepts it, and slow features are not waited for', () => {
  const { ends, submit, outside, admission } = setUp(joined);
  Object.assign(admission.effects, { staleAllowed: true, hurryFeatures: true });
  submit(byId);
  submit({ ...byId, accept: { wait: true, degraded: false, ticket: false } });
  submit({ ...byId, trafficClass: 'vip' });
  assert.deepEqual(
    outside.lookups.map(({ allowStale }) => allowStale),
    [true, false, true],
  );
  assert.deepEqual(
    outside.wants.map(({ budgetMs }) => budgetMs),
    [20, 20, 5_000],
  );
  outside.cacheAnswers[0]?.(encodeTensors([fp32('y', [1, 1], [0.25])]), true);
  const { receipt } = ends[0] as Answer;
  assert.deepEqual([receipt.cache, receipt.degraded], ['stale', 'stale']);
});

test('what has no answer in time is sent again once, under the same number, and answered once', () => {
  const { pipeline, ends, submit, outside, clock } = setUp();
  outside.resubmitAfterMs = 30;
  submit({ budgetMs: 100 });
  const seq = pipeline.flush()[0]?.items[0]?.seq as number;
  clock.advance(29);
  pipeline.expire();
  assert.deepEqual(pipeline.flush(), []);
  clock.advance(1);
  pipeline.expire();
  pipeline.expire();
  const again = pipeline.flush().flatMap(({ items }) => items);
  assert.deepEqual(
    again.map((item) => [item.seq, item.budgetMs]),
    [[seq, 70]],
  );
  pipeline.onReply(reply(seq));
  pipeline.onReply(reply(seq));
  assert.deepEqual(
    ends.map((end) => (end as Answer).receipt.attempts),
    [2],
  );
});

test('what the ladder has a ticket for is handed over ready, with its features, and is pending no more', () => {
  const { pipeline, outside, clock } = setUp(joined);
  Object.assign(outside, { congested: true, decision: { rung: 'ticket' } });
  const tickets: Prepared[] = [];
  const ended = () => assert.fail('it was answered');
  const accept = { wait: true, degraded: true, ticket: true };
  pipeline.submit(request({ receivedAtMs: clock.now(), ...byId, accept }), {
    answered: ended,
    failed: ended,
    ticket: (prepared) => tickets.push(prepared),
  });
  outside.cacheAnswers[0]?.(undefined);
  assert.equal(tickets.length, 0, 'its features are not there yet');
  outside.featureAnswers[0]?.(rows(0));
  assert.deepEqual([tickets.length, pipeline.inFlight, pipeline.flush(), outside.ended], [1, 0, [], 0]);
});

test('what was let in and is too late all the same becomes a ticket, if its caller takes one', () => {
  const { pipeline, clock, outside } = setUp();
  const tickets: Prepared[] = [];
  const ended = () => assert.fail('it was answered');
  const accept = { wait: true, degraded: false, ticket: true };
  pipeline.submit(request({ receivedAtMs: clock.now(), accept }), {
    answered: ended,
    failed: ended,
    ticket: (prepared) => tickets.push(prepared),
  });
  const [sent] = pipeline.flush()[0]?.items ?? [];
  pipeline.onReply(reply(sent?.seq as number, { errorCode: 'OVERLOADED', errorReason: 'expired' }));
  assert.deepEqual([tickets.length, pipeline.inFlight, pipeline.flush()], [1, 0, []]);
  assert.deepEqual(tickets[0]?.item.tensors, sent?.tensors);

  pipeline.submit(request({ receivedAtMs: clock.now(), budgetMs: 10, accept }), {
    answered: ended,
    failed: ended,
    ticket: (prepared) => tickets.push(prepared),
  });
  pipeline.flush();
  clock.advance(10);
  pipeline.expire();
  assert.deepEqual([tickets.length, pipeline.inFlight, outside.cancelled.length], [2, 0, 1]);
});
