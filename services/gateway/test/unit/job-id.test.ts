import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isName } from '@spillway/contracts/names';
import { jobIdOf } from '../../src/core/job-id.ts';

const event = { tenant: 'acme', asked: undefined, msgId: undefined, streamSeq: 7 };

test('an id that the publisher asks for is taken if it passes the allowlist', () => {
  assert.equal(jobIdOf({ ...event, asked: 'order-1', msgId: 'm' }).id, 'order-1');
  for (const asked of ['', 'a.b', 'a>', 'x'.repeat(65)]) assert.equal(jobIdOf({ ...event, asked }).id, 'e-7', asked);
});

test('without one a repeated message id gives the same job, and another tenant or id another', () => {
  const id = jobIdOf({ ...event, msgId: 'order 1 / α' }).id;
  assert.equal(jobIdOf({ ...event, msgId: 'order 1 / α', streamSeq: 8 }).id, id);
  assert.notEqual(jobIdOf({ ...event, msgId: 'order 2' }).id, id);
  assert.notEqual(jobIdOf({ ...event, tenant: 'other', msgId: 'order 1 / α' }).id, id);
  assert.ok(isName(id), id);
});

test('the hash is base32 of 20 bytes of SHA-256 over tenant, line feed, message id', () => {
  // printf 'acme\norder-1' | sha256sum | cut -c1-40 | xxd -r -p | base32 | tr A-Z a-z
  assert.equal(jobIdOf({ ...event, msgId: 'order-1' }).id, '5vhxtzrlsh6cmdbq4ywj4klk5n4c33at');
});

test('else the place in the stream names it', () => {
  assert.deepEqual(jobIdOf(event), { id: 'e-7', isNamed: false });
});
