import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseModelControl } from '../../src/core/model-control.ts';

const CASES: [what: string, allowed: boolean, parameters: unknown, code: string, message: RegExp][] = [
  ['without the scope nothing more is said', false, { config: '{}' }, 'FORBIDDEN', /scope "admin"/],
  ['with it, that nothing can be loaded now', true, undefined, 'UNSUPPORTED', /when they start/],
  ['parameters may be null', true, null, 'UNSUPPORTED', /when they start/],
  ['other parameters change nothing', true, { unload_dependents: true }, 'UNSUPPORTED', /when they start/],
  ['a config is never taken', true, { config: '{}' }, 'UNSUPPORTED', /^parameters\.config: expected none/],
  ['nor is a file', true, { 'file:1/model.onnx': '' }, 'UNSUPPORTED', /^parameters\.file:…: expected none/],
  ['parameters must be an object', true, 'all', 'INVALID_REQUEST', /^parameters: expected an object/],
  ['and no list', true, [], 'INVALID_REQUEST', /^parameters: expected an object/],
];
for (const [what, allowed, parameters, code, message] of CASES) {
  test(`load and unload: ${what}`, () => {
    const error = refuseModelControl({ allowed, parameters });
    assert.equal(error.code, code);
    assert.match(error.message, message);
  });
}
