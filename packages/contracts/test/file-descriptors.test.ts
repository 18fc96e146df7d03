import assert from 'node:assert/strict';
import { test } from 'node:test';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { type FileDescriptor, fileDescriptors } from '../src/file-descriptors.ts';
import { PROTO_DIR } from '../src/protos.ts';

const files = fileDescriptors(['grpc_service.proto'], [`${PROTO_DIR}/inference`]);
const byName = (name: string): FileDescriptor => files.find((file) => file.name === name) as FileDescriptor;

type Field = { name: string; number: number; label: number; type: number; typeName: string; oneofIndex?: number };
type Message = {
  name: string;
  field: Field[];
  nestedType: Message[];
  enumType: { name: string; value: { name: string; number: number }[] }[];
  oneofDecl: { name: string }[];
  reservedRange: { start: number; end: number }[];
  options?: { mapEntry: boolean };
};
type File = {
  name: string;
  package: string;
  syntax: string;
  dependency: string[];
  messageType: Message[];
  service: { name: string; method: Record<string, unknown>[] }[];
};
const decoded = (name: string): File =>
  descriptor.FileDescriptorProto.toObject(descriptor.FileDescriptorProto.decode(byName(name).bytes), {
    arrays: true,
  }) as File;
const messageOf = (file: string, name: string): Message =>
  decoded(file).messageType.find((message) => message.name === name) as Message;
const fieldsOf = ({ field }: Message) => Object.fromEntries(field.map((one) => [one.name, one]));

test('a file comes with what it imports, by the name that imports give it', () => {
  assert.deepEqual(
    files.map(({ name, imports, services }) => [name, imports, services]),
    [
      ['grpc_service.proto', ['model_config.proto'], ['inference.GRPCInferenceService']],
      ['model_config.proto', [], []],
    ],
  );
  const { name, package: scope, syntax, dependency } = decoded('grpc_service.proto');
  assert.deepEqual(
    [name, scope, syntax, dependency],
    ['grpc_service.proto', 'inference', 'proto3', ['model_config.proto']],
  );
});

test('each file declares its own symbols, of every kind, at every depth', () => {
  const service = new Set(byName('grpc_service.proto').symbols);
  for (const name of [
    'inference.GRPCInferenceService',
    'inference.GRPCInferenceService.ModelInfer',
    'inference.ModelInferRequest',
    'inference.ModelInferRequest.InferInputTensor',
    'inference.ModelInferRequest.InferInputTensor.datatype',
  ]) {
    assert.ok(service.has(name), name);
  }
  const config = new Set(byName('model_config.proto').symbols);
  for (const name of ['inference.DataType', 'inference.TYPE_FP32', 'inference.ModelInput.FORMAT_NHWC']) {
    assert.ok(config.has(name), name);
  }
  assert.ok(!config.has('inference.ModelInferRequest'));
});

test('fields keep their names, numbers and types; names of types are full', () => {
  const fields = fieldsOf(messageOf('grpc_service.proto', 'ModelInferRequest'));
  assert.deepEqual(fields['inputs'], {
    name: 'inputs',
    number: 5,
    label: 3,
    type: 11,
    typeName: '.inference.ModelInferRequest.InferInputTensor',
    jsonName: 'inputs',
  });
  assert.deepEqual(fields['raw_input_contents'], {
    name: 'raw_input_contents',
    number: 7,
    label: 3,
    type: 12,
    jsonName: 'rawInputContents',
  });
  const input = fieldsOf(messageOf('model_config.proto', 'ModelInput'));
  assert.deepEqual(input['data_type'], {
    name: 'data_type',
    number: 2,
    label: 1,
    type: 14,
    typeName: '.inference.DataType',
    jsonName: 'dataType',
  });
});

test('a map is a list of entries named after it, and a oneof knows its arms', () => {
  const batching = messageOf('model_config.proto', 'ModelDynamicBatching');
  const [entry] = batching.nestedType;
  assert.deepEqual([entry?.name, entry?.options?.mapEntry], ['PriorityQueuePolicyEntry', true]);
  assert.deepEqual(
    entry?.field.map(({ name, number, type, typeName }) => [name, number, type, typeName]),
    [
      ['key', 1, 4, undefined],
      ['value', 2, 11, '.inference.ModelQueuePolicy'],
    ],
  );
  assert.equal(
    fieldsOf(batching)['priority_queue_policy']?.typeName,
    '.inference.ModelDynamicBatching.PriorityQueuePolicyEntry',
  );
  const parameter = messageOf('grpc_service.proto', 'InferParameter');
  assert.deepEqual(parameter.oneofDecl, [{ name: 'parameter_choice' }]);
  assert.ok(parameter.field.every(({ oneofIndex }) => oneofIndex === 0));
});

test('the end of a reserved range is behind its last number', () => {
  const { reservedRange } = messageOf('model_config.proto', 'ModelConfig');
  assert.deepEqual(
    reservedRange.map(({ start, end }) => [start, end]),
    [
      [9, 10],
      [10, 11],
      [12, 13],
      [13, 14],
      [15, 16],
      [16, 17],
      [18, 19],
      [20, 24],
      [25, 26],
      [26, 27],
    ],
  );
});

test('methods say which sides stream', () => {
  const methods = Object.fromEntries(
    (decoded('grpc_service.proto').service[0]?.method ?? []).map((method) => [method['name'], method]),
  );
  assert.deepEqual(methods['ModelStreamInfer'], {
    name: 'ModelStreamInfer',
    inputType: '.inference.ModelInferRequest',
    outputType: '.inference.ModelStreamInferResponse',
    clientStreaming: true,
    serverStreaming: true,
  });
  assert.equal(methods['ModelInfer']?.['clientStreaming'], false);
});

test('a file that is nowhere is an error that names it', () => {
  assert.throws(() => fileDescriptors(['nope.proto'], [PROTO_DIR]), /nope\.proto: in none of/);
});
