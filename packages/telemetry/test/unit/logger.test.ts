import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createLogger, type LogLevel } from '../../src/logger.ts';

function capture(level: LogLevel = 'info') {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'gateway', instance: 'gateway-1', level, destination });
  const last = () => JSON.parse(lines.at(-1) ?? '{}');
  return { logger, lines, last };
}

test('a line is JSON with level, service, instance, process, fields and a constant message', () => {
  const { logger, last } = capture();
  logger.info({ model: 'mlp', rows: 3 }, 'request ended');
  const { time, ...rest } = last();
  assert.equal(typeof time, 'number');
  assert.deepEqual(rest, {
    level: 'info',
    service: 'gateway',
    instance: 'gateway-1',
    pid: process.pid,
    model: 'mlp',
    rows: 3,
    msg: 'request ended',
  });
});

test('secrets are replaced by the name of their field, at any depth and in children', () => {
  const { logger, last } = capture();
  logger
    .child({ api_key: 'a' })
    .child({ 'X-Api-Key': 'b' })
    .info({ headers: { Authorization: 'Bearer c', accept: 'json' }, list: [{ secret: 'd' }], key: 'e', keys: 2 }, 'x');
  const line = last();
  assert.deepEqual(line.headers, { Authorization: '[redacted]', accept: 'json' });
  assert.deepEqual(line.list, [{ secret: '[redacted]' }]);
  assert.deepEqual(
    [line.key, line.api_key, line['X-Api-Key'], line.keys],
    ['[redacted]', '[redacted]', '[redacted]', 2],
  );
});

test('an API key or a password inside a text is cut out, the public id stays', () => {
  const { logger, lines } = capture();
  const secret = 'A'.repeat(43);
  const err = new Error(`refused sk_dev1_${secret}`, { cause: new Error('at nats://user:hunter2@host:4222') });
  logger.error({ err, url: 'redis://:hunter2@host' }, 'x');
  assert.doesNotMatch(lines[0]!, new RegExp(`${secret}|hunter2`));
  assert.match(lines[0]!, /refused sk_dev1_\[redacted\]/);
});

test('long text is cut at 1 KB, tensors and bodies are named by size, depth and lists are bounded', () => {
  const { logger, lines, last } = capture();
  let deep: Record<string, unknown> = {};
  for (let level = 0; level < 50; level += 1) deep = { deep };
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  logger.info(
    {
      long: 'x'.repeat(9_000),
      tensor: new Float32Array(64),
      deep,
      circular,
      list: Array.from({ length: 99 }, () => 1),
    },
    'x',
  );
  assert.equal(last().long.length < 1_060, true);
  assert.match(last().long, /… \(9000 characters\)$/);
  assert.equal(last().tensor, '[Float32Array of 256 bytes]');
  assert.equal(last().list.length, 17);
  assert.ok(lines[0]!.length < 4_000);
});

test('an error is written with type, code, message, stack and its causes', () => {
  const { logger, last } = capture();
  const err = Object.assign(new Error('no worker', { cause: new TypeError('socket closed') }), { code: 'UNAVAILABLE' });
  logger.warn({ err }, 'call failed');
  assert.equal(last().err.code, 'UNAVAILABLE');
  assert.equal(last().err.message, 'no worker');
  assert.match(last().err.stack, /logger\.test/);
  assert.equal(last().err.cause.type, 'TypeError');
});

test('a level that is off writes nothing and says so', () => {
  const { logger, lines } = capture('warn');
  logger.info({ a: 1 }, 'x');
  assert.equal(lines.length, 0);
  assert.equal(logger.isLevelEnabled('info'), false);
});

test('lines in the background are written out when the process exits at once', async () => {
  const script = `
    import { createLogger } from '${new URL('../../src/logger.ts', import.meta.url).href}';
    const logger = createLogger({ service: 's', instance: 'i', level: 'info' });
    for (let line = 0; line < 2000; line += 1) logger.info({ line }, 'x');
    process.exit(0);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = (await text(child.stdout)).trimEnd().split('\n');
  assert.equal(lines.length, 2_000);
  assert.equal(JSON.parse(lines.at(-1)!).line, 1_999);
});
