import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { EXPIRE_EVERY_MS, PubAcks, refusalOf } from '../src/pub-acks.ts';
import { parseAckSubject } from '../src/pull.ts';

test('both forms of an acknowledgement subject are read', () => {
  const place = { deliveries: 2, streamSeq: 30, storedAtMs: 1_700_000_000_000, pending: 7 };
  assert.deepEqual(parseAckSubject('$JS.ACK.S.C.2.30.4.1700000000000000000.7'), place);
  assert.deepEqual(parseAckSubject('$JS.ACK.D.ACC.S.C.2.30.4.1700000000000000000.7.rnd'), place);
});

test('a refusal of JetStream becomes the error that says what fired', () => {
  assert.equal(refusalOf({ err_code: 10_077, description: 'maximum bytes exceeded' }).code, 'OVERLOADED');
  assert.equal(refusalOf({ err_code: 10_077, description: 'maximum messages per subject exceeded' }).code, 'CONFLICT');
  assert.equal(refusalOf({ err_code: 10_003, description: 'x' }).code, 'UNAVAILABLE');
});

const ackOf = (token: string, body: object) => ({
  subject: `inbox.${token}`,
  payload: Buffer.from(JSON.stringify(body)),
  reply: '',
  code: 0,
  header: () => undefined,
  headerNames: () => [],
});

test('an acknowledgement settles its own publish; what is not acknowledged in time is UNAVAILABLE', async () => {
  const clock = new ManualClock();
  const acks = new PubAcks(clock);
  const first = acks.expect(100);
  const second = acks.expect(100);
  acks.settle(ackOf(first.token, { stream: 'S', seq: 5 }));
  assert.deepEqual(await first.ack, { stream: 'S', seq: 5, duplicate: false });
  clock.advance(100);
  acks.expire();
  await assert.rejects(second.ack, { code: 'UNAVAILABLE' });
  acks.settle(ackOf(second.token, { stream: 'S', seq: 6 })); // late: ignored
  assert.equal(acks.inFlight, 0);
});

test('while nobody looked the machine stood still, the server perhaps with it: that is no waiting', async () => {
  const clock = new ManualClock();
  const acks = new PubAcks(clock);
  const { ack } = acks.expect(EXPIRE_EVERY_MS);
  clock.advance(60_000);
  acks.expire();
  assert.equal(acks.inFlight, 1);
  clock.advance(EXPIRE_EVERY_MS);
  acks.expire();
  await assert.rejects(ack, { code: 'UNAVAILABLE' });
});
