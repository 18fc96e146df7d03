import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelCommand } from '@spillway/contracts/buckets';
import { CommandLedger } from '../../src/core/command-ledger.ts';

const command = (id: string, wanted: ModelCommand['wanted'] = 'loaded', model = 'm'): ModelCommand => ({
  ...{ id, model, wanted, createdAt: 0, by: 't/k' },
});

test('a command is followed once, however often it is heard', () => {
  const ledger = new CommandLedger();
  ledger.hear(command('1'));
  assert.equal(ledger.next('m')?.id, '1');
  ledger.settle(command('1'));
  ledger.hear(command('1'));
  assert.equal(ledger.next('m'), undefined);
  assert.deepEqual(ledger.outcomes(), [{ id: '1', model: 'm' }]);
});

test('of several commands for a model only the last is followed, others are left alone', () => {
  const ledger = new CommandLedger();
  ledger.hear(command('1'));
  ledger.hear(command('2', 'unloaded'));
  ledger.hear(command('3', 'loaded', 'n'));
  assert.deepEqual([ledger.next('m')?.id, ledger.next('n')?.id], ['2', '3']);
  ledger.settle(command('1'), { text: 'late', missing: false }); // it was under way when the next one came
  assert.equal(ledger.next('m')?.id, '2');
});

test('a worker that starts serves what its folder holds but for what was unloaded', () => {
  const ledger = new CommandLedger();
  ledger.hear(command('1', 'unloaded'));
  ledger.hear(command('2', 'loaded', 'n'));
  assert.deepEqual(
    ['m', 'n', 'o'].filter((model) => ledger.isWanted(model)),
    ['n', 'o'],
  );
});

test('a command that was taken back leaves no outcome, and a long reason is cut', () => {
  const ledger = new CommandLedger();
  ledger.hear(command('1'));
  ledger.settle(command('1'), { text: 'x'.repeat(9_000), missing: false });
  assert.equal(ledger.outcomes()[0]?.error?.text.length, 500);
  ledger.forget('m');
  assert.deepEqual([ledger.outcomes(), ledger.next('m')], [[], undefined]);
  ledger.settle(command('1'));
  assert.deepEqual(ledger.outcomes(), []);
});
