import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANONYMOUS } from '../../src/core/identity.ts';
import { requireScope } from '../../src/core/scopes.ts';

test('a key without the scope that is asked for is forbidden, and told which one that is', () => {
  requireScope({ scopes: ['jobs', 'infer'] }, 'infer');
  assert.throws(() => requireScope({ scopes: ['infer'] }, 'jobs'), {
    code: 'FORBIDDEN',
    reason: 'scope',
    message: 'authorization: expected a key with the scope "jobs"',
  });
  assert.throws(() => requireScope({ scopes: [] }, 'infer'), { code: 'FORBIDDEN' });
});

test('a caller without a key may do what a key may, and operate nothing', () => {
  for (const scope of ['infer', 'jobs', 'events'] as const) requireScope(ANONYMOUS, scope);
  assert.throws(() => requireScope(ANONYMOUS, 'admin'), /scope "admin"/);
});
