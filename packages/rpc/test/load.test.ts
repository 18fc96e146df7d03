import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadServices } from '../src/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'spillway-proto-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(
  join(folder, 'probe.proto'),
  `syntax = "proto3"; package probe;
   service Probe { rpc Ask(Question) returns (Question); }
   enum Kind { NONE = 0; BIG = 1; }
   message Question {
     int64 max_size = 1; Kind kind = 2; bytes raw_data = 3; string unset = 4;
     oneof choice { bool bool_param = 5; uint64 uint64_param = 6; }
   }`,
);

test('services are found by full name; messages keep field names, all 64 bits, enum names and which arm was set', () => {
  const services = loadServices(['probe.proto'], [folder]);
  assert.deepEqual(Object.keys(services), ['probe.Probe']);
  const ask = services['probe.Probe']!['Ask']!;
  assert.equal(ask.path, '/probe.Probe/Ask');
  const bytes = ask.requestSerialize({
    max_size: '9007199254740993',
    kind: 'BIG',
    raw_data: Buffer.from([1]),
    uint64_param: '18446744073709551615',
  });
  assert.deepEqual(ask.requestDeserialize(bytes), {
    max_size: '9007199254740993',
    kind: 'BIG',
    raw_data: Buffer.from([1]),
    uint64_param: '18446744073709551615',
    choice: 'uint64_param',
  });
});
