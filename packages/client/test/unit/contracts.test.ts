import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJSON, loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { HEADERS } from '@spillway/contracts/headers';
import { STREAMS } from '@spillway/contracts/streams';
import * as contracts from '@spillway/contracts/subjects';
import { REPO } from '@spillway/testing/find-binary';
import { DESCRIPTOR, LOAD_OPTIONS, SERVICE } from '../../src/grpc-messages.ts';
import { eventsSubject, RESULTS_STREAM, resultSubject } from '../../src/nats-subjects.ts';
import { readReceipt } from '../../src/receipt.ts';

/** The client is published without the repository's other packages: what it says for itself is held to them here. */

const own: PackageDefinition = fromJSON(DESCRIPTOR as Parameters<typeof fromJSON>[0], LOAD_OPTIONS);
const protos = loadSync('grpc_service.proto', { ...LOAD_OPTIONS, includeDirs: [`${REPO}/protos/inference`] });

test('its gRPC methods and messages are those of the protocol file, by their bytes', () => {
  const ours = own[SERVICE] as ServiceDefinition;
  const theirs = protos[SERVICE] as ServiceDefinition;
  for (const [name, method] of Object.entries(ours)) {
    const { path, requestStream, responseStream } = theirs[name]!;
    assert.deepEqual([method.path, method.requestStream, method.responseStream], [path, requestStream, responseStream]);
  }
  const parameters = {
    a: { bool_param: true },
    b: { int64_param: '-5' },
    c: { string_param: 'é' },
    d: { uint64_param: '7' },
  };
  const request = {
    model_name: 'm',
    model_version: '2',
    id: 'i',
    parameters,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2, 300], parameters }],
    outputs: [{ name: 'y', parameters }],
    raw_input_contents: [Buffer.from([1, 2, 3])],
  };
  const response = {
    error_message: 'bad',
    infer_response: {
      model_name: 'm',
      outputs: [{ name: 'y', datatype: 'INT64', shape: [4, 0] }],
      raw_output_contents: [Buffer.from([9]), Buffer.alloc(0)],
      parameters,
    },
  };
  const metadata = {
    name: 'm',
    versions: ['1', '2'],
    platform: 'p',
    inputs: [{ name: 'x', datatype: 'BYTES', shape: [-1, 1] }],
  };
  const index = { models: [{ name: 'm', version: '1', state: 'READY', reason: '' }] };
  const same = (codec: 'requestSerialize' | 'responseSerialize', method: string, message: object) =>
    assert.deepEqual(ours[method]![codec](message), theirs[method]![codec](message), method);
  same('requestSerialize', 'ModelInfer', request);
  same('responseSerialize', 'ModelStreamInfer', response);
  same('requestSerialize', 'ModelMetadata', { name: 'm', version: '1' });
  same('responseSerialize', 'ModelMetadata', metadata);
  same('requestSerialize', 'RepositoryIndex', { ready: true });
  same('responseSerialize', 'RepositoryIndex', index);
  same('responseSerialize', 'ServerReady', { ready: true });
});

test('its subjects are those of the mesh, and text that is no name does not become part of one', () => {
  assert.equal(eventsSubject('acme', 'intent'), contracts.eventsSubject('acme', 'intent'));
  assert.equal(resultSubject('acme', 'j-1'), contracts.resultSubject('acme', 'j-1'));
  for (const text of ['', '*', '>', 'a.b', 'a b', 'x'.repeat(65)]) {
    assert.throws(() => eventsSubject('acme', text), { code: 'INVALID_REQUEST' });
    assert.throws(() => resultSubject(text, 'j'), { code: 'INVALID_REQUEST' });
  }
  assert.ok(STREAMS.some(({ name }) => name === RESULTS_STREAM));
});

test('its receipt reads only headers that the mesh writes', () => {
  const asked: string[] = [];
  readReceipt((name) => {
    asked.push(name);
    return undefined;
  });
  const known: readonly string[] = Object.values(HEADERS);
  for (const name of asked) assert.ok(known.includes(name), name);
});
