import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientDuplexStream, credentials, makeClientConstructor } from '@grpc/grpc-js';
import { fileDescriptors } from '@spillway/contracts/file-descriptors';
import { PROTO_DIR } from '@spillway/contracts/protos';
import { loadServices } from '../src/load.ts';
import { serveReflection } from '../src/reflection.ts';
import { ReflectionIndex, type ReflectionRequest } from '../src/reflection-index.ts';
import { Heard, serve } from './support.ts';

type Answer = {
  valid_host?: string;
  original_request: object;
  message_response: string;
  file_descriptor_response?: { file_descriptor_proto: Buffer[] };
  list_services_response?: { service: { name: string }[] };
  error_response?: { error_code: number; error_message: string };
};

const INFERENCE = [`${PROTO_DIR}/inference`];
const files = fileDescriptors(['grpc_service.proto'], INFERENCE);
const bytesOf = (...names: string[]) => names.map((name) => files.find((file) => file.name === name)?.bytes);

/** As grpcurl speaks: the plain protocol, without any code of ours. */
function reflect(port: number, version: string) {
  const definition = loadServices([`grpc/reflection/${version}/reflection.proto`], [PROTO_DIR]);
  const Client = makeClientConstructor(definition[`grpc.reflection.${version}.ServerReflection`]!, 'ServerReflection');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = client['ServerReflectionInfo']!() as ClientDuplexStream<object, Answer>;
  const answers = new Heard<Answer>();
  const ended = new Heard<string>();
  call.on('data', answers.hear);
  call.on('error', () => ended.hear('error'));
  call.on('end', () => ended.hear('end'));
  return {
    call,
    ended,
    ask: (request: object) => {
      call.write(request);
      return answers.next();
    },
    [Symbol.dispose]: () => client.close(),
  };
}

for (const version of ['v1', 'v1alpha']) {
  test(`${version} lists the services, gives files with their imports, and goes on after an unknown name`, async () => {
    const reflection = serveReflection(['grpc_service.proto'], INFERENCE);
    await using server = await serve(reflection.services);
    using client = reflect(server.port, version);
    const listed = await client.ask({ list_services: '' });
    assert.deepEqual(
      listed.list_services_response?.service.map(({ name }) => name),
      [
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
        'inference.GRPCInferenceService',
      ],
    );
    const unknown = await client.ask({ host: 'here', file_containing_symbol: 'inference.Nope' });
    assert.deepEqual([unknown.message_response, unknown.error_response?.error_code], ['error_response', 5]);
    assert.deepEqual(
      [unknown.valid_host, unknown.original_request],
      ['here', { host: 'here', file_containing_symbol: 'inference.Nope', message_request: 'file_containing_symbol' }],
    );
    const file = await client.ask({ file_containing_symbol: 'inference.GRPCInferenceService.ModelInfer' });
    assert.deepEqual(
      file.file_descriptor_response?.file_descriptor_proto.map((bytes) => new Uint8Array(bytes)),
      bytesOf('grpc_service.proto', 'model_config.proto')?.map((bytes) => new Uint8Array(bytes!)),
    );
    client.call.end();
    assert.equal(await client.ended.next(), 'end');
  });
}

test('the details of an error are described to who asks, with what they import', async () => {
  const details = fileDescriptors(['google/rpc/error_details.proto'], [PROTO_DIR]);
  const reflection = serveReflection(['grpc_service.proto'], INFERENCE);
  await using server = await serve(reflection.services);
  using client = reflect(server.port, 'v1');
  for (const type of ['google.rpc.ErrorInfo', 'google.rpc.RetryInfo']) {
    const { file_descriptor_response } = await client.ask({ file_containing_symbol: type });
    assert.deepEqual(
      file_descriptor_response?.file_descriptor_proto.map((bytes) => new Uint8Array(bytes)),
      details.map(({ bytes }) => new Uint8Array(bytes)),
    );
  }
});

test('close ends the open streams, so that a drain does not wait for them', async () => {
  const reflection = serveReflection(['grpc_service.proto'], INFERENCE);
  await using server = await serve(reflection.services);
  using client = reflect(server.port, 'v1');
  await client.ask({ list_services: '' });
  const drained = server.drain(60_000);
  reflection.close();
  assert.equal(await client.ended.next(), 'end');
  assert.equal(await drained, true);
});

test('each question has its answer, and what is not there is NOT_FOUND', () => {
  const index = new ReflectionIndex(files);
  const ask = (message_request: ReflectionRequest['message_request'], value: unknown) =>
    index.answer({ message_request, [message_request as string]: value } as ReflectionRequest);
  const codeOf = (answer: object) =>
    (answer as { error_response?: { error_code: number } }).error_response?.error_code ?? 0;
  const named = ask('file_by_filename', 'model_config.proto');
  assert.deepEqual(
    'file_descriptor_response' in named && named.file_descriptor_response.file_descriptor_proto,
    bytesOf('model_config.proto'),
  );
  const numbers = ask('all_extension_numbers_of_type', 'inference.ModelConfig');
  assert.deepEqual('all_extension_numbers_response' in numbers && numbers.all_extension_numbers_response, {
    base_type_name: 'inference.ModelConfig',
    extension_number: [],
  });
  assert.equal(codeOf(ask('file_containing_symbol', 'inference.DataType')), 0);
  assert.equal(codeOf(ask('file_by_filename', 'nope.proto')), 5);
  assert.equal(codeOf(ask('file_containing_symbol', '')), 5);
  assert.equal(codeOf(ask('all_extension_numbers_of_type', 'inference.Nope')), 5);
  const extension = { containing_type: 'inference.ModelConfig', extension_number: 1 };
  assert.equal(codeOf(ask('file_containing_extension', extension)), 5);
  assert.equal(codeOf(index.answer({})), 3);
});
