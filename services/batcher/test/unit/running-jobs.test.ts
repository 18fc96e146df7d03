import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dispatch, InFlightBatches } from '../../src/core/in-flight.ts';

const batch = (batchId: string, instance: object, over: Partial<Dispatch> = {}): Dispatch =>
  ({ batchId, instance, withdrawn: false, slot: { worker: 'w' }, ...over }) as Dispatch;

test('of the batches at an instance the oldest runs; what was withdrawn does not count', () => {
  const inFlight = new InFlightBatches();
  const [one, other] = [{}, {}];
  const hung = batch('hung', one);
  for (const sent of [hung, batch('first', one), batch('staged', one), batch('else', other)]) inFlight.add(sent);
  const running = () => inFlight.running().map(({ batchId }) => batchId);
  assert.deepEqual(running(), ['hung', 'else']);
  hung.withdrawn = true;
  assert.deepEqual(running(), ['first', 'else']);
  inFlight.take('w', 'first');
  assert.deepEqual(running(), ['staged', 'else']);
});
