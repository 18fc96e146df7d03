import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPO } from '@spillway/testing/find-binary';
import { PEERS, type PeerName, peerName, requirementsOf, versionOf } from './catalogue.ts';
import { differs } from './check.ts';

const NAMES = Object.keys(PEERS) as PeerName[];
const linesOf = (name: PeerName): string[] =>
  readFileSync(requirementsOf(name), 'utf8')
    .split('\n')
    .filter((line) => line !== '');

test('every library of every peer is pinned to one version, the peer itself among them', () => {
  for (const name of NAMES) {
    for (const line of linesOf(name)) assert.match(line, /^[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*$/, name);
    assert.match(versionOf(name), /^\d+\.\d+/);
  }
});

test('all peers have the ONNX Runtime of the worker', () => {
  const manifest = readFileSync(join(REPO, 'services', 'gpu-worker', 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
  const version = dependencies['onnxruntime-node'];
  for (const name of NAMES) assert.ok(linesOf(name).includes(`onnxruntime==${version}`), `${name}: not ${version}`);
});

test('a name that is no peer is refused with the names that are', () => {
  assert.throws(() => peerName('torchserve'), /expected one of fastapi, .*got "torchserve"/);
});

const wanted = { y: { datatype: 'FP32', shape: [2, 1], data: [0.5, -1] } };
const answer = (y: object): unknown => ({ model_name: 'mlp', outputs: [{ name: 'y', ...y }] });

test('an answer is right when every number is within the tolerance', () => {
  assert.equal(differs(answer({ datatype: 'FP32', shape: [2, 1], data: [0.500001, -1] }), 'mlp', wanted), undefined);
});

test('an answer that differs is told apart: model, output, shape, number, count', () => {
  const right = { datatype: 'FP32', shape: [2, 1], data: [0.5, -1] };
  const cases: [unknown, RegExp][] = [
    [{ model_name: 'intent', outputs: [{ name: 'y', ...right }] }, /model_name: expected "mlp", got "intent"/],
    [{ model_name: 'mlp', outputs: [{ name: 'z', ...right }] }, /output "y" is missing/],
    [answer({ ...right, shape: [1, 2] }), /expected FP32 \[2,1\], got FP32 \[1,2\]/],
    [answer({ ...right, datatype: 'FP64' }), /got FP64/],
    [answer({ ...right, data: [0.5, -1.001] }), /y\[1\]: expected -1, got -1.001/],
    [answer({ ...right, data: [0.5] }), /y\[1\]: expected -1, got undefined/],
    [answer({ ...right, data: [0.5, -1, 3] }), /expected 2 numbers, got 3/],
    [answer({ ...right, data: [0.5, Number.NaN] }), /y\[1\]/],
  ];
  for (const [got, message] of cases) assert.match(differs(got, 'mlp', wanted) ?? 'right', message);
});
