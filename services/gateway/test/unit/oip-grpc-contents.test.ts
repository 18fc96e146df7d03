import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, type DataTypeName, type NumericType, numericView, unpackBytes } from '@spillway/contracts/tensor';
import type { SpillwayError } from '@spillway/errors/spillway-error';
import { encodeRequest, read, readBytes } from './oip-grpc-messages.ts';

const typed = (datatype: DataTypeName, shape: number[], contents: object) =>
  read({ model_name: 'm', inputs: [{ name: 'x', datatype, shape, contents }] });
const dataOf = (datatype: DataTypeName, shape: number[], contents: object): Uint8Array =>
  typed(datatype, shape, contents).inputs[0]?.data as Uint8Array;
const refused = (act: () => unknown, message: RegExp) =>
  assert.throws(act, (error: SpillwayError) => {
    assert.equal(error.code, 'INVALID_REQUEST', error.stack);
    assert.match(error.message, message);
    return true;
  });

const NUMERIC: [datatype: NumericType, field: string, sent: unknown[], elements: unknown[]][] = [
  ['BOOL', 'bool_contents', [true, false, true], [1, 0, 1]],
  ['UINT8', 'uint_contents', [0, 1, 255], [0, 1, 255]],
  ['UINT16', 'uint_contents', [0, 1, 65_535], [0, 1, 65_535]],
  ['UINT32', 'uint_contents', [0, 1, 4_294_967_295], [0, 1, 4_294_967_295]],
  ['INT8', 'int_contents', [-128, -1, 127], [-128, -1, 127]],
  ['INT16', 'int_contents', [-32_768, -1, 32_767], [-32_768, -1, 32_767]],
  ['INT32', 'int_contents', [-2_147_483_648, -1, 2_147_483_647], [-2_147_483_648, -1, 2_147_483_647]],
  [
    'INT64',
    'int64_contents',
    ['-9223372036854775808', '9007199254740993', '-1'],
    [-9223372036854775808n, 9007199254740993n, -1n],
  ],
  [
    'UINT64',
    'uint64_contents',
    ['18446744073709551615', '9007199254740993', '300'],
    [18446744073709551615n, 9007199254740993n, 300n],
  ],
  ['FP32', 'fp32_contents', [1.5, -0, Number.NaN], [1.5, -0, Number.NaN]],
  ['FP64', 'fp64_contents', [1e300, -0.1, Number.NEGATIVE_INFINITY], [1e300, -0.1, Number.NEGATIVE_INFINITY]],
];

for (const [datatype, field, sent, elements] of NUMERIC) {
  test(`${field} become the bytes of a ${datatype} tensor, without loss`, () => {
    const data = dataOf(datatype, [3], { [field]: sent });
    assert.deepEqual([...(numericView(datatype, data) as Iterable<unknown>)], elements);
  });

  test(`raw ${datatype} bytes are taken as they are`, () => {
    const raw = Buffer.from(dataOf(datatype, [3], { [field]: sent }));
    const call = read({ inputs: [{ name: 'x', datatype, shape: [3] }], raw_input_contents: [raw] });
    assert.deepEqual(Buffer.from(call.inputs[0]?.data as Uint8Array), raw);
  });
}

test('bytes_contents become elements with their length before them, empty ones too', () => {
  const sent = [Buffer.from('one'), Buffer.alloc(0), Buffer.from([0xff, 0])];
  const data = dataOf('BYTES', [3, 1], { bytes_contents: sent });
  assert.deepEqual(
    unpackBytes(data, 3, 'x').map((element) => Buffer.from(element)),
    sent,
  );
});

test('a tensor without elements needs no contents', () => {
  assert.equal(dataOf('FP32', [0, 4], {}).byteLength, 0);
  assert.equal(read({ inputs: [{ name: 'x', datatype: 'BYTES', shape: [0] }] }).inputs[0]?.data.byteLength, 0);
});

test('half-precision numbers exist only raw', () => {
  for (const datatype of ['FP16', 'BF16'] as const) {
    refused(
      () => typed(datatype, [1], { fp32_contents: [1] }),
      new RegExp(`input "x": contents: ${datatype}.*raw_input`),
    );
    const raw = Buffer.from(bytesOf(Uint16Array.of(0x3c00)));
    const call = read({ inputs: [{ name: 'x', datatype, shape: [1] }], raw_input_contents: [raw] });
    assert.deepEqual([...(call.inputs[0]?.data ?? [])], [...raw]);
  }
});

test('the field of another datatype is refused, naming both', () => {
  refused(
    () => typed('INT32', [1], { fp32_contents: [1] }),
    /input "x": contents: expected int_contents.*got fp32_contents/,
  );
  refused(
    () => typed('FP32', [1], { bytes_contents: [Buffer.from('a')] }),
    /expected fp32_contents.*got bytes_contents/,
  );
  refused(() => typed('BYTES', [1], { int_contents: [1] }), /expected bytes_contents.*got int_contents/);
});

test('a wrong number of elements is refused, naming the field and the shape', () => {
  refused(
    () => typed('INT32', [1, 4], { int_contents: [1, 2, 3] }),
    /int_contents: expected 4 elements for shape \[1,4\], got 3/,
  );
  refused(
    () => typed('FP64', [1], { fp64_contents: [1, 2] }),
    /fp64_contents: expected 1 elements for shape \[1\], got 2/,
  );
  refused(() => typed('BYTES', [2], { bytes_contents: [Buffer.from('a')] }), /bytes_contents: expected 2 elements/);
  refused(() => typed('INT64', [2 ** 40], { int64_contents: [1] }), /expected 1099511627776 elements/);
  refused(() => typed('BOOL', [2], {}), /bool_contents/);
});

test('a value that does not fit its datatype is refused, never wrapped', () => {
  refused(
    () => typed('INT8', [2], { int_contents: [1, 128] }),
    /int_contents\[1\]: expected an integer that fits INT8, got 128/,
  );
  refused(() => typed('UINT8', [1], { uint_contents: [256] }), /uint_contents\[0\].*UINT8, got 256/);
  refused(() => typed('UINT16', [1], { uint_contents: [4_294_967_295] }), /UINT16, got 4294967295/);
  refused(() => typed('INT16', [1], { int_contents: [-32_769] }), /INT16, got -32769/);
});

/** An input's bytes by hand: `contents` (field 5) as given. */
const withContents = (datatype: string, shape: number, contents: Buffer): Buffer => {
  const field = (number: number, bytes: Buffer) => Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
  const input = Buffer.concat([
    field(1, Buffer.from('x')),
    field(5, contents),
    field(2, Buffer.from(datatype)), // the order of fields on the wire is free
    Buffer.from([0x18, shape]), // and a repeated number may come unpacked
  ]);
  return field(5, input);
};

test('elements may come one by one or in several runs, as protobuf allows', () => {
  const unpacked = Buffer.from([0x10, 1, 0x10, 0x96, 0x01, 0x12, 2, 3, 4]); // 1, 150, then a run of 3 and 4
  const { inputs } = readBytes(withContents('INT32', 4, unpacked));
  assert.deepEqual([...(numericView('INT32', inputs[0]?.data as Uint8Array) as Int32Array)], [1, 150, 3, 4]);
  const floats = Buffer.concat([
    Buffer.from([0x35]),
    Buffer.from(bytesOf(Float32Array.of(2.5))),
    Buffer.from([0x32, 0]),
  ]);
  const float = readBytes(withContents('FP32', 1, floats)).inputs[0];
  assert.deepEqual([...(numericView('FP32', float?.data as Uint8Array) as Float32Array)], [2.5]);
});

test('a broken run of elements is a broken message', () => {
  for (const [datatype, contents] of [
    ['INT32', [0x12, 1, 0x80]], // a varint without its end
    ['INT64', [0x1a, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]], // a varint of 11 bytes
    ['FP32', [0x32, 3, 0, 0, 0]], // three quarters of a float
    ['INT32', [0x15, 0, 0, 0, 0]], // a fixed32 where a varint belongs
  ] as [string, number[]][]) {
    refused(() => readBytes(withContents(datatype, 1, Buffer.from(contents))), /expected a protobuf message/);
  }
});

test('a million small integers cost no object each', () => {
  const count = 1_000_000;
  const message = encodeRequest({
    inputs: [{ name: 'x', datatype: 'INT64', shape: [count], contents: { int64_contents: new Array(count).fill(7) } }],
  });
  const before = process.memoryUsage();
  const [input] = readBytes(message).inputs;
  const after = process.memoryUsage();
  assert.equal(input?.data.byteLength, 8 * count);
  const grown = after.heapUsed - before.heapUsed;
  assert.ok(grown < 8 * 1024 * 1024, `the heap grew by ${grown} bytes`);
});
