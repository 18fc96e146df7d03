import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { isReadmeTableCurrent } from '@spillway/config/print-table';
import { batcherConfig, SERVICE_DIR } from '../../src/config.ts';

test('every variable has a default that works on a laptop', () => {
  const config = batcherConfig.load({});
  assert.deepEqual([config.host, config.grpcPort, config.windowBatches], ['127.0.0.1', 8040, 2]);
});

test('listening on every address needs one that workers can dial', () => {
  assert.throws(() => batcherConfig.load({ BATCHER_HOST: '0.0.0.0' }), /BATCHER_ADVERTISE_HOST/);
  assert.equal(
    batcherConfig.load({ BATCHER_HOST: '0.0.0.0', BATCHER_ADVERTISE_HOST: 'batcher' }).advertiseHost,
    'batcher',
  );
});

test('the table of variables in the README is the one of the schema', () => {
  assert.ok(isReadmeTableCurrent(join(SERVICE_DIR, 'README.md'), batcherConfig), 'run: node test/print-readme.ts');
});
