import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import type { Mesh } from '@spillway/testing/mesh';
import { Balancer } from '../support/balancer.ts';
import { trafficBeside } from '../support/beside.ts';
import { casesOf } from '../support/cases.ts';
import { checkAlways, tellSlow, wasCrowdedOut } from '../support/checker.ts';
import { startSeededMesh } from '../support/mesh-fixture.ts';
import { type CallOptions, grpcRequest, type ModelInferRequest, OipGrpcClient } from '../support/oip-grpc.ts';
import { isGood, type SteadyLoad, tell } from '../support/steady-load.ts';

/** How long those beside may be kept waiting by a caller who does something wrong. */
const DISTURBED_MS = 2_000;

/** Nothing that one caller does wrong may disturb another: good traffic runs beside every test of this file. */
let mesh: Mesh;
let client: OipGrpcClient;
let balancer: Balancer;
let beside: SteadyLoad;
before(async () => {
  mesh = await startSeededMesh({ serves: ['mlp', 'simple'] });
  client = new OipGrpcClient(mesh.grpc);
  balancer = await Balancer.start(mesh.of('gateway'));
  beside = trafficBeside(mesh, balancer);
});
after(async () => {
  await beside?.stop();
  await balancer?.[Symbol.asyncDispose]();
  client?.[Symbol.dispose]();
  await mesh?.[Symbol.asyncDispose]();
});

const good = grpcRequest('mlp', casesOf('mlp')[0]!);
const input = (changes: object) => ({ inputs: [{ ...good.inputs![0]!, ...changes }] });

type Rule = {
  what: string;
  request: Partial<ModelInferRequest>;
  options?: CallOptions;
  code: grpc.status;
  names: RegExp;
};
const rules: Rule[] = [
  {
    what: 'a wrong datatype',
    request: input({ datatype: 'INT32' }),
    code: grpc.status.INVALID_ARGUMENT,
    names: /"x".*FP32.*INT32/,
  },
  {
    what: 'a wrong shape',
    request: { ...input({ shape: [1, 63] }), raw_input_contents: [new Uint8Array(63 * 4)] },
    code: grpc.status.INVALID_ARGUMENT,
    names: /"x".*shape/,
  },
  {
    what: 'fewer bytes than the shape says',
    request: { raw_input_contents: [new Uint8Array(12)] },
    code: grpc.status.INVALID_ARGUMENT,
    names: /"x".*256 bytes/,
  },
  {
    what: 'typed and raw contents together',
    request: input({ contents: { fp32_contents: Array(64).fill(0) } }),
    code: grpc.status.INVALID_ARGUMENT,
    names: /contents/,
  },
  {
    what: 'fewer raw tensors than inputs',
    request: { raw_input_contents: [] },
    code: grpc.status.INVALID_ARGUMENT,
    names: /"x"|raw_input_contents|contents/,
  },
  {
    what: 'a negative dimension',
    request: input({ shape: [-1, 64] }),
    code: grpc.status.INVALID_ARGUMENT,
    names: /shape/,
  },
  {
    what: 'more rows than a batch may have',
    request: { ...input({ shape: [65, 64] }), raw_input_contents: [new Uint8Array(65 * 256)] },
    code: grpc.status.INVALID_ARGUMENT,
    names: /64 rows.*65/,
  },
  { what: 'an unknown model', request: { model_name: 'nothing' }, code: grpc.status.NOT_FOUND, names: /model/ },
  {
    what: 'a model name that is a wildcard of NATS',
    request: { model_name: '>' },
    code: grpc.status.NOT_FOUND,
    names: /model/,
  },
  { what: 'an unknown version', request: { model_version: '99' }, code: grpc.status.NOT_FOUND, names: /99|version/ },
  {
    what: 'a bad key',
    request: {},
    options: { metadata: { authorization: `Bearer sk_vip_${'x'.repeat(43)}` } },
    code: grpc.status.UNAUTHENTICATED,
    names: /authorization/,
  },
  {
    what: 'a deadline that has passed',
    request: {},
    options: { metadata: { 'spillway-timeout-ms': '0' } },
    code: grpc.status.DEADLINE_EXCEEDED,
    names: /deadline|time/i,
  },
  {
    what: 'a deadline that is no number',
    request: {},
    options: { metadata: { 'spillway-timeout-ms': 'soon' } },
    code: grpc.status.INVALID_ARGUMENT,
    names: /spillway-timeout-ms/,
  },
  {
    what: 'a message above the limit',
    request: { raw_input_contents: [new Uint8Array(5 * 1024 * 1024)] },
    code: grpc.status.RESOURCE_EXHAUSTED,
    names: /larger|4194304|max/i,
  },
];

for (const { what, request, options, code, names } of rules) {
  test(`${what} is answered ${grpc.status[code]}, naming what is wrong`, async () => {
    const reply = await client.infer({ ...good, ...request }, options);
    assert.equal(reply.code, code, reply.details);
    assert.match(reply.details, names);
    assert.doesNotMatch(reply.details, /\.ts|node_modules|\n\s+at |127\.0\.0\.1/, 'neither stack, path nor peer');
  });
}

test('bytes that are no message are answered INVALID_ARGUMENT', async () => {
  const raw = new grpc.Client(mesh.grpc, grpc.credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  const code = await new Promise((resolve) => {
    const path = '/inference.GRPCInferenceService/ModelInfer';
    raw.makeUnaryRequest(path, same, same, Buffer.from([0xff, 0xff, 0xff, 0xff]), (error) => resolve(error?.code));
  });
  raw.close();
  assert.equal(code, grpc.status.INVALID_ARGUMENT);
});

test('nothing of all this disturbed the callers beside it', async () => {
  const history = await beside.stop();
  checkAlways(history);
  assert.equal(tell(history.filter((op) => !isGood(op) && !wasCrowdedOut(op))), '');
  assert.equal(tellSlow(history, DISTURBED_MS), '');
});
