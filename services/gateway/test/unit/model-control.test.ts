import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseModelControl } from '../../src/core/model-control.ts';

const CASES: [what: string, parameters: unknown, code: string, message: RegExp][] = [
  ['nothing can be loaded now', undefined, 'UNSUPPORTED', /when they start/],
  ['parameters may be null', null, 'UNSUPPORTED', /when they start/],
  ['other parameters change nothing', { unload_dependents: true }, 'UNSUPPORTED', /when they start/],
  ['a config is never taken', { config: '{}' }, 'UNSUPPORTED', /^parameters\.config: expected none/],
  ['nor is a file', { 'file:1/model.onnx': '' }, 'UNSUPPORTED', /^parameters\.file:…: expected none/],
  ['parameters must be an object', 'all', 'INVALID_REQUEST', /^parameters: expected an object/],
  ['and no list', [], 'INVALID_REQUEST', /^parameters: expected an object/],
];
for (const [what, parameters, code, message] of CASES) {
  test(`load and unload: ${what}`, () => {
    const error = refuseModelControl(parameters);
    assert.equal(error.code, code);
    assert.match(error.message, message);
  });
}
