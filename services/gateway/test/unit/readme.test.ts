import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isReadmeTableCurrent } from '@spillway/config/print-table';
import { gatewayConfig } from '../../src/config.ts';

it('the table of variables in the README is the schema’s', () => {
  assert.ok(isReadmeTableCurrent(new URL('../../README.md', import.meta.url).pathname, gatewayConfig));
});
