import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testAuthority } from '@spillway/testing/certificates';
import { choiceOption, integerOption, parseCommand, scaleOption } from '../../src/args.ts';
import { CliError, type Context } from '../../src/context.ts';
import { Door } from '../../src/door.ts';
import { readTls, type TlsValues } from '../../src/tls-files.ts';

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

test('files for TLS are read, and refused by their option where they are of no use', async () => {
  const authority = testAuthority();
  const [own, other] = [authority.issue('own'), authority.issue('other')];
  const folder = await mkdtemp(join(tmpdir(), 'spillway-args-'));
  const files = {
    'ca.crt': authority.cert,
    'own.crt': own.cert,
    'own.key': own.key,
    'other.key': other.key,
    text: 'no',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const context = { cwd: folder } as Context;
  const over = (values: TlsValues, url = 'https://mesh.example') => readTls(context, values, [url]);
  const both = { ca: 'ca.crt', cert: 'own.crt', 'cert-key': 'own.key' };
  assert.deepEqual(over(both), { ca: authority.cert, cert: own.cert, key: own.key });
  assert.deepEqual(over({}, 'http://127.0.0.1:8000'), undefined);
  const wrong: [TlsValues, RegExp, string?][] = [
    [both, /for https:\/\/ and grpcs:\/\/ only/, 'http://127.0.0.1:8000'],
    [{ cert: 'own.crt' }, /--cert and --cert-key: expected both or neither/],
    [{ ca: 'none' }, /--ca: cannot read none/],
    [{ ca: 'text' }, /--ca: expected certificates of authorities in PEM/],
    [{ cert: 'text', 'cert-key': 'own.key' }, /--cert: expected a certificate in PEM/],
    [{ cert: 'own.crt', 'cert-key': 'other.key' }, /--cert-key: expected the private key of --cert in PEM/],
  ];
  for (const [values, message, url] of wrong) {
    assert.throws(() => over(values, url), { name: 'CliError', exitCode: 2, message });
  }
  await rm(folder, { recursive: true });
});

test('a door has a URL of HTTP', () => {
  for (const url of ['mesh.example', 'grpcs://mesh.example:8001']) {
    assert.throws(() => new Door(url, undefined), { name: 'CliError', exitCode: 2, message: /^--url: expected a URL/ });
  }
  new Door('https://mesh.example', undefined)[Symbol.dispose]();
});
