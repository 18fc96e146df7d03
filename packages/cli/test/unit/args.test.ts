import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choiceOption, integerOption, parseCommand, scaleOption } from '../../src/args.ts';
import { CliError } from '../../src/context.ts';

const refuses = (run: () => unknown, message: RegExp) =>
  assert.throws(run, (error) => {
    assert.ok(error instanceof CliError);
    assert.equal(error.exitCode, 2);
    assert.match(error.message, message);
    assert.match(error.advice.join(), /--help/);
    return true;
  });

test('an unknown option is refused by its name', () => {
  refuses(() => parseCommand('up', ['--prot-base', '1'], { 'port-base': { type: 'string' } }), /--prot-base/);
});

test('a word that is missing, and a word too many, are named', () => {
  refuses(() => parseCommand('infer', [], {}, { required: ['MODEL'] }), /expected MODEL/);
  refuses(() => parseCommand('logs', ['gateway', 'cache'], {}, { optional: ['NAME'] }), /"cache" is one word too many/);
  assert.deepEqual(parseCommand('logs', ['gateway'], {}, { optional: ['NAME'] }).positionals, ['gateway']);
});

test('a number is read within its range, and refused with the range beyond it', () => {
  const range = { min: 1, max: 10, fallback: 7 };
  assert.equal(integerOption('up', 'n', undefined, range), 7);
  assert.equal(integerOption('up', 'n', '10', range), 10);
  for (const text of ['0', '11', '-1', '1.5', 'x', '', '1e1']) {
    refuses(() => integerOption('up', 'n', text, range), /--n: expected a number from 1 to 10/);
  }
});

test('an option with a few values takes these and no others', () => {
  assert.equal(choiceOption('up', 'mode', 'b', ['a', 'b']), 'b');
  refuses(() => choiceOption('up', 'mode', 'c', ['a', 'b']), /--mode: expected one of a, b, got "c"/);
});

test('--scale names services with a count, by commas or again; what is not named runs once', () => {
  const scale = scaleOption('up', ['gateway=2,batcher=3', 'gpu-worker=2']);
  assert.deepEqual(scale, { gateway: 2, cache: 1, 'feature-service': 1, batcher: 3, 'gpu-worker': 2 });
});

test('--scale refuses an unknown service, a missing count and more than the ports allow', () => {
  refuses(() => scaleOption('up', ['worker=2']), /"worker"/);
  refuses(() => scaleOption('up', ['gateway']), /--scale gateway: expected a number/);
  refuses(() => scaleOption('up', ['gateway=4']), /from 1 to 3, got "4"/);
});
