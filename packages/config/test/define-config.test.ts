import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../src/config-error.ts';
import { defineConfig } from '../src/define-config.ts';
import { env } from '../src/env.ts';

const schema = defineConfig({
  service: 'batcher',
  prefix: 'BATCHER_',
  fields: {
    delayMs: env.int('BATCHER_DELAY_MS', { default: 20, min: 0, max: 1_000, doc: 'Too long costs latency.' }),
    share: env.number('BATCHER_SHARE', { default: 0.5, min: 0, max: 1, doc: 'x' }),
    strict: env.bool('BATCHER_STRICT', { default: false, doc: 'x' }),
    mode: env.oneOf('BATCHER_MODE', ['fast', 'fair'], { default: 'fair', doc: 'x' }),
    token: env.string('BATCHER_TOKEN', { default: '', secret: true, pattern: /^[a-z]*$/, doc: 'x' }),
    upstream: env.url('BATCHER_UPSTREAM', { schemes: ['http'], doc: 'x' }),
    port: env.port('BATCHER_PORT', { default: 0, doc: 'x' }),
  },
  check: (config) => (config.mode === 'fast' && config.strict ? ['BATCHER_MODE: fast cannot be strict'] : []),
});
const NEEDED = { BATCHER_UPSTREAM: 'http://127.0.0.1:1' };

const faultsOf = (variables: Record<string, string>): string[] => {
  try {
    schema.load({ ...NEEDED, ...variables });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.exitCode, 78);
    return error.message.split('\n');
  }
  return [];
};

test('every variable has its default, and the result is typed and frozen', () => {
  const config = schema.load(NEEDED);
  const mode: 'fast' | 'fair' = config.mode;
  const port: number = config.port;
  assert.deepEqual(
    { ...config },
    { delayMs: 20, share: 0.5, strict: false, mode, token: '', upstream: 'http://127.0.0.1:1', port },
  );
  assert.throws(() => Object.assign(config, { delayMs: 1 }), TypeError);
});

test('values are read by type, with white space around them', () => {
  const config = schema.load({
    BATCHER_DELAY_MS: ' 7\n',
    BATCHER_SHARE: '1e-1',
    BATCHER_STRICT: 'TRUE',
    BATCHER_UPSTREAM: 'http://a:1,http://b:2',
    BATCHER_TOKEN: 'abc',
  });
  assert.deepEqual(
    [config.delayMs, config.share, config.strict, config.upstream, config.token],
    [7, 0.1, true, 'http://a:1,http://b:2', 'abc'],
  );
});

test('all faults come in one report: variable, expected, got; secrets and credentials masked', () => {
  const faults = faultsOf({
    BATCHER_DELAY_MS: '1001',
    BATCHER_SHARE: 'half',
    BATCHER_STRICT: 'maybe',
    BATCHER_MODE: 'quick',
    BATCHER_TOKEN: 'HUNTER2',
    BATCHER_UPSTREAM: 'ftp://me:pw@host',
    BATCHER_PORT: '70000',
    BATCHER_DELAY: '5',
  });
  assert.deepEqual(faults, [
    'batcher: BATCHER_DELAY_MS: expected an integer from 0 to 1000, got "1001"',
    'batcher: BATCHER_SHARE: expected a number from 0 to 1, got "half"',
    'batcher: BATCHER_STRICT: expected true, false, 1 or 0, got "maybe"',
    'batcher: BATCHER_MODE: expected one of fast, fair, got "quick"',
    'batcher: BATCHER_TOKEN: expected a text like ^[a-z]*$, got ***',
    'batcher: BATCHER_UPSTREAM: expected a URL with http://, got "ftp://***@host"',
    'batcher: BATCHER_PORT: expected a port from 0 to 65535, got "70000"',
    'batcher: BATCHER_DELAY: unknown variable; did you mean BATCHER_DELAY_MS?',
  ]);
});

test('a required variable that is absent is a fault', () => {
  assert.throws(() => schema.load({}), /BATCHER_UPSTREAM: expected a URL with http:\/\/, got nothing/);
});

test('numbers that only begin well, or are not exact, are refused', () => {
  for (const text of ['', '1.5', '0x10', '5ms', '1_000', 'Infinity', '9007199254740993']) {
    assert.equal(faultsOf({ BATCHER_DELAY_MS: text }).length, 1, text);
  }
  for (const text of ['', ' ', 'NaN', 'Infinity', '0.5x'])
    assert.equal(faultsOf({ BATCHER_SHARE: text }).length, 1, text);
});

test('a misspelt variable is a fault and its value stays unseen; other prefixes are not ours to judge', () => {
  assert.deepEqual(faultsOf({ BATCHER_TOKNE: 'hunter2', GATEWAY_TOKNE: 'x' }), [
    'batcher: BATCHER_TOKNE: unknown variable; did you mean BATCHER_TOKEN?',
  ]);
  assert.deepEqual(faultsOf({ BATCHER_COMPLETELY_ELSE: '1' }), ['batcher: BATCHER_COMPLETELY_ELSE: unknown variable']);
});

test('the variables that Kubernetes sets for a Service of this name are no faults', () => {
  const links = {
    BATCHER_SERVICE_HOST: '10.0.0.1',
    BATCHER_SERVICE_PORT: '8040',
    BATCHER_SERVICE_PORT_GRPC: '8040',
    BATCHER_METRICS_PORT: 'tcp://10.0.0.1:8041',
    BATCHER_PORT_8040_TCP: 'tcp://10.0.0.1:8040',
    BATCHER_PORT_8040_TCP_ADDR: '10.0.0.1',
  };
  assert.deepEqual(faultsOf(links), []);
});

test('what does not fit together is told once every variable is good', () => {
  assert.deepEqual(faultsOf({ BATCHER_MODE: 'fast', BATCHER_STRICT: '1' }), [
    'batcher: BATCHER_MODE: fast cannot be strict',
  ]);
});

test('two fields of one variable, and names that are none, are bugs', () => {
  const twice = { a: env.int('A_B', { doc: '' }), b: env.int('A_B', { doc: '' }) };
  assert.throws(() => defineConfig({ service: 'x', prefix: 'X_', fields: twice }), /bug: two fields read A_B/);
  const low = { a: env.int('a', { doc: '' }) };
  assert.throws(() => defineConfig({ service: 'x', prefix: 'X_', fields: low }), /bug/);
});
