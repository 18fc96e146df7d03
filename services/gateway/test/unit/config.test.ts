import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayConfig } from '../../src/config.ts';

const beyond = { GATEWAY_HOST: '0.0.0.0', GATEWAY_ALLOW_ANONYMOUS: 'false' };
const tls = { GATEWAY_TLS_CERT: 'tls.crt', GATEWAY_TLS_KEY: 'tls.key' };
const refuses = (env: Record<string, string>, message: RegExp) =>
  assert.throws(() => gatewayConfig.load(env), message, JSON.stringify(env));

test('on loopback neither keys nor TLS are needed', () => {
  for (const host of ['127.0.0.1', '127.8.0.1', '::1', 'localhost'])
    assert.equal(gatewayConfig.load({ GATEWAY_HOST: host }).allowAnonymous, true);
});

test('beyond loopback keys and TLS are needed; one switch says that a proxy speaks TLS, none does without keys', () => {
  assert.equal(gatewayConfig.load({ ...beyond, ...tls }).tlsCert, 'tls.crt');
  assert.equal(gatewayConfig.load({ ...beyond, GATEWAY_INSECURE: 'true' }).insecure, true);
  refuses(beyond, /GATEWAY_HOST is not loopback: expected GATEWAY_TLS_CERT .* or GATEWAY_INSECURE=true/);
  const open = { ...beyond, GATEWAY_ALLOW_ANONYMOUS: 'true' };
  for (const env of [open, { ...open, ...tls }, { ...open, GATEWAY_INSECURE: 'true' }])
    refuses(env, /GATEWAY_ALLOW_ANONYMOUS must be false/);
  refuses({ ...beyond, GATEWAY_HOST: '127.0.0.1.example.org' }, /is not loopback/);
});

test('a certificate needs its key, and an authority of clients needs both', () => {
  refuses({ GATEWAY_TLS_CERT: 'tls.crt' }, /GATEWAY_TLS_CERT and GATEWAY_TLS_KEY: expected both or neither/);
  refuses({ GATEWAY_TLS_KEY: 'tls.key' }, /expected both or neither/);
  refuses({ GATEWAY_TLS_CLIENT_CA: 'ca.crt' }, /GATEWAY_TLS_CLIENT_CA: expected GATEWAY_TLS_CERT and GATEWAY_TLS_KEY/);
});
