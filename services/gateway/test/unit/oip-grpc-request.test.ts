import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '@spillway/errors/catalogue';
import { isSpillwayError, type SpillwayError } from '@spillway/errors/spillway-error';
import { seededRandom } from '@spillway/testing/seeded-random';
import { emptyCall, readInferMessage } from '../../src/core/oip-grpc-request.ts';
import { encodeRequest, read, readBytes } from './oip-grpc-messages.ts';

const x = { name: 'x', datatype: 'FP32', shape: [1, 2] };
const raw = [Buffer.alloc(8)];
const refused = (message: object, expected: RegExp, code: ErrorCode = 'INVALID_REQUEST') =>
  assert.throws(
    () => read(message),
    (error: SpillwayError) => {
      assert.equal(error.code, code, error.stack);
      assert.match(error.message, expected);
      return true;
    },
  );

test('a request is read field by field', () => {
  const call = read({
    model_name: 'mlp',
    model_version: '3',
    id: 'größe-1',
    inputs: [x, { name: 't', datatype: 'BYTES', shape: [1] }],
    outputs: [{ name: 'y' }, { name: 'z' }],
    raw_input_contents: [Buffer.from('12345678'), Buffer.from('\x01\0\0\0a')],
  });
  assert.deepEqual([call.model, call.version, call.clientId], ['mlp', '3', 'größe-1']);
  assert.deepEqual(call.outputs.names, ['y', 'z']);
  assert.deepEqual(
    call.inputs.map(({ name, datatype, shape, data }) => [name, datatype, shape, Buffer.from(data).toString()]),
    [
      ['x', 'FP32', [1, 2], '12345678'],
      ['t', 'BYTES', [1], '\x01\0\0\0a'],
    ],
  );
  assert.deepEqual([call.priority, call.timeoutUs], [0, undefined]);
});

test('an empty message is a request without a model and inputs', () => {
  assert.deepEqual(readBytes(Buffer.alloc(0)), emptyCall());
});

test('raw and typed contents are never mixed', () => {
  const contents = { fp32_contents: [1, 2] };
  refused(
    { inputs: [{ ...x, contents }], raw_input_contents: raw },
    /input "x": contents: expected none beside raw_input/,
  );
  refused(
    {
      inputs: [
        { ...x, contents },
        { ...x, name: 'y' },
      ],
    },
    /input "y": expected contents.fp32_contents, or raw_input/,
  );
  assert.equal(read({ inputs: [{ ...x, contents: {} }], raw_input_contents: raw }).inputs.length, 1);
});

test('there is one raw entry for each input', () => {
  refused(
    { inputs: [x, x], raw_input_contents: raw },
    /raw_input_contents: expected 2 entries, one for each input, got 1/,
  );
  refused({ inputs: [], raw_input_contents: raw }, /expected 0 entries.*got 1/);
});

test('datatype and shape are held to what a tensor can have', () => {
  const one = (fields: object) => ({ inputs: [{ ...x, ...fields }], raw_input_contents: raw });
  refused(one({ datatype: 'FLOAT' }), /input "x": datatype: expected one of BOOL.*got "FLOAT"/);
  refused(one({ datatype: '' }), /input "x": datatype/);
  refused(one({ shape: [1, -1] }), /inputs\[0\].shape: expected integers ≥ 0, got -1/);
  refused(one({ shape: ['9007199254740993'] }), /inputs\[0\].shape: expected integers ≥ 0/);
  refused(one({ shape: new Array(33).fill(1) }), /inputs\[0\].shape: expected at most 32 dimensions/);
  assert.deepEqual(read(one({ shape: [] })).inputs[0]?.shape, []);
  assert.deepEqual(read(one({ shape: ['4294967297'] })).inputs[0]?.shape, [4_294_967_297]);
});

test('priority and timeout come in either integer arm, with all their bits', () => {
  const parameters = (priority: object, timeout: object) => read({ parameters: { priority, timeout } });
  const python = parameters({ uint64_param: '2' }, { int64_param: '1500' });
  assert.deepEqual([python.priority, python.timeoutUs], [2, 1_500]);
  const other = parameters({ int64_param: '1' }, { uint64_param: '18446744073709551615' });
  assert.deepEqual([other.priority, other.timeoutUs], [1, 2 ** 64]);
  assert.equal(parameters({ int64_param: '0' }, { int64_param: '0' }).timeoutUs, undefined, 'none, as at Triton');
});

test('a deadline or priority that cannot be read is refused, never ignored', () => {
  refused({ parameters: { timeout: { int64_param: '-1' } } }, /parameters.timeout: expected an integer ≥ 0.*got -1/);
  refused({ parameters: { timeout: { string_param: '5' } } }, /parameters.timeout.*got string_param/);
  refused({ parameters: { priority: { double_param: 1 } } }, /parameters.priority.*got double_param/);
  refused({ parameters: { priority: { bool_param: true } } }, /parameters.priority.*got bool_param/);
  refused({ parameters: { priority: {} } }, /parameters.priority.*got none/);
});

test('what is not served is refused with its name, and other parameters are let pass', () => {
  refused({ parameters: { sequence_id: { int64_param: '7' } } }, /parameters.sequence_id: sequences/, 'UNSUPPORTED');
  refused({ parameters: { sequence_start: { bool_param: true } } }, /sequence_start/, 'UNSUPPORTED');
  refused(
    { inputs: [{ ...x, parameters: { shared_memory_region: { string_param: 'r' } } }] },
    /inputs\[0\]: shared_memory_region: shared memory/,
    'UNSUPPORTED',
  );
  refused(
    { outputs: [{ name: 'y', parameters: { shared_memory_byte_size: { int64_param: '3' } } }] },
    /outputs\[0\]: shared_memory_byte_size/,
    'UNSUPPORTED',
  );
  refused({ parameters: { triton_own: { bool_param: true } } }, /parameters.triton_own.*reserved/);
  refused({ parameters: { triton_enable_empty_final_response: { int64_param: '1' } } }, /expected true or false/);
  refused({ parameters: { spillway_receipt: { string_param: 'all' } } }, /parameters.spillway_receipt/);
  refused({ outputs: [{ name: 'y', parameters: { classification: { string_param: '3' } } }] }, /classification/);
  refused({ outputs: [{ name: 'y' }, { name: 'y' }] }, /outputs: expected "y" once/);
  const passed = {
    sequence_id: { int64_param: '0' },
    sequence_end: { bool_param: false },
    mine: { string_param: 'a' },
  };
  assert.equal(read({ model_name: 'm', parameters: passed }).model, 'm');
});

test('tensors are bounded before they are built', () => {
  const many = (count: number) => new Array(count).fill(x);
  refused({ inputs: many(65) }, /inputs: expected at most 64/);
  const outputs = Array.from({ length: 65 }, (_, n) => ({ name: `y${n}` }));
  refused({ outputs }, /outputs: expected at most 64/);
  refused({ raw_input_contents: new Array(65).fill(Buffer.alloc(0)) }, /raw_input_contents: expected at most 64/);
});

test('the id is known even when what follows it is wrong', () => {
  const call = emptyCall();
  assert.throws(() => readInferMessage(encodeRequest({ id: 'mine', inputs: [{ ...x, datatype: 'NO' }] }), call));
  assert.equal(call.clientId, 'mine');
});

test('fields that we do not know are skipped, whatever their wire type', () => {
  const known = encodeRequest({ model_name: 'm' });
  const unknown = Buffer.from([0x78, 0x96, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 1, 0, 0x7d, 1, 2, 3, 4]);
  assert.equal(readBytes(Buffer.concat([unknown, known, unknown])).model, 'm');
});

test('a length that reaches past the end, a group and a field 0 are no message', () => {
  for (const bytes of [[0x0a, 5, 1], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x0b], [0x02, 0], [0x80], [0x79, 1]]) {
    assert.throws(() => readBytes(Buffer.from(bytes)), { code: 'INVALID_REQUEST' }, `${bytes}`);
  }
});

test('whatever an outsider writes is read as it was meant', () => {
  const random = seededRandom(11);
  const pick = (below: number) => Math.floor(random() * below);
  const text = () => 'aZ9-ß€'.repeat(pick(40));
  for (let round = 0; round < 300; round += 1) {
    const inputs = Array.from({ length: 1 + pick(5) }, (_, i) => {
      const shape = Array.from({ length: pick(4) }, () => pick(3) * 10 ** pick(9));
      return { name: `${text()}${i}`, datatype: 'UINT8', shape };
    });
    const contents = inputs.map(() => Buffer.alloc(pick(300), round));
    const message = { model_name: text(), model_version: text(), id: text(), inputs, raw_input_contents: contents };
    const call = read(message);
    assert.deepEqual(
      [call.model, call.version, call.clientId],
      [message.model_name, message.model_version, message.id],
    );
    assert.deepEqual(
      call.inputs.map(({ data, ...input }) => ({ ...input, data: Buffer.from(data) })),
      inputs.map((input, i) => ({ ...input, data: contents[i] })),
    );
  }
});

test('damaged bytes end in a typed refusal or in tensors of their own size, never in anything else', () => {
  const random = seededRandom(7);
  const pick = (below: number) => Math.floor(random() * below);
  const good = encodeRequest({
    model_name: 'mlp',
    id: 'abc',
    parameters: { priority: { uint64_param: '2' }, timeout: { int64_param: '100' } },
    inputs: [
      { ...x, contents: { fp32_contents: [1, 2] } },
      { name: 'n', datatype: 'INT64', shape: [2], contents: { int64_contents: [1, -1] } },
      { name: 'b', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('ab')] } },
    ],
    outputs: [{ name: 'y' }],
  });
  let accepted = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(good.subarray(0, pick(8) === 0 ? pick(good.length) : good.length));
    for (let damage = pick(4); damage >= 0; damage -= 1) if (bytes.length > 0) bytes[pick(bytes.length)] = pick(256);
    const call = emptyCall();
    try {
      readInferMessage(bytes, call);
    } catch (thrown) {
      assert.ok(isSpillwayError(thrown), String((thrown as Error).stack));
      assert.ok(thrown.code === 'INVALID_REQUEST' || thrown.code === 'UNSUPPORTED', thrown.code);
      continue;
    }
    accepted += 1;
    for (const { shape, data } of call.inputs) assert.ok(shape.length <= 32 && data.byteLength <= 2 * good.length);
  }
  assert.ok(accepted > 1_000, `${accepted}`);
});

test('classification and the place of the receipt are read, whatever the order of the fields', () => {
  const call = read({
    outputs: [{ name: 'y', parameters: { classification: { uint64_param: '3' } } }, { name: 'z' }],
    parameters: {
      spillway_receipt: { string_param: 'body' },
      triton_enable_empty_final_response: { bool_param: true },
    },
  });
  assert.deepEqual([...(call.outputs.classes ?? [])], [['y', 3]]);
  assert.equal(call.receipt, 'body');
});
