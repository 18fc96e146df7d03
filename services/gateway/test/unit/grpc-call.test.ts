import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usableMs } from '../../src/adapters/grpc-call.ts';

test('the door keeps 2 % of the client’s time for the way back, and at least 5 ms', () => {
  assert.equal(usableMs(1_000), 980);
  assert.equal(usableMs(250), 245);
  assert.equal(usableMs(100), 95);
  assert.equal(usableMs(3), 0);
  assert.equal(usableMs(-20), 0);
});
