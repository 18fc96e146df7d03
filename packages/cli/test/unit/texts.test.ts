import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDepends } from '../../src/apt.ts';
import { isUbuntu } from '../../src/browser.ts';
import { duration } from '../../src/commands/status.ts';
import { quantile } from '../../src/demo/drive.ts';
import { isAtLeast, readVersion } from '../../src/install.ts';
import { formatLine } from '../../src/log-line.ts';
import { receiptLines } from '../../src/receipt.ts';
import { table } from '../../src/table.ts';

test('versions are read from what the programs print', () => {
  assert.deepEqual(readVersion('nats-server: v2.9.10\n'), [2, 9]);
  assert.deepEqual(readVersion('Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0'), [7, 0]);
  assert.deepEqual(readVersion('Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)'), [156, 0]);
  assert.equal(
    readVersion("Command '/usr/bin/chromium-browser' requires the chromium snap to be installed."),
    undefined,
  );
  assert.equal(readVersion('segmentation fault'), undefined);
  assert.ok(isAtLeast([2, 10], [2, 9]) && isAtLeast([8, 0], [7, 0]) && !isAtLeast([6, 2], [7, 0]));
});

test('Ubuntu is told from what is derived from it, and from Debian', () => {
  assert.ok(isUbuntu('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n'));
  assert.ok(!isUbuntu('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n'));
  assert.ok(!isUbuntu('NAME="Debian GNU/Linux"\nID=debian\n'));
});

test('the names of dependencies are read, of alternatives the first', () => {
  assert.deepEqual(parseDepends('libc6 (>= 2.34), libssl3t64 | libssl3, lsb-base (>= 3.2-14)\nlibgcc-s1:any'), [
    ...['libc6', 'libssl3t64', 'lsb-base', 'libgcc-s1'],
  ]);
});

test('a pino line becomes time, level, message and fields; other lines stay', () => {
  const line = JSON.stringify({
    level: 40,
    time: 1_767_225_600_123,
    service: 'gateway',
    pid: 1,
    model: 'mlp',
    rows: 3,
    msg: 'slow',
  });
  assert.equal(formatLine(line), '00:00:00.123 WARN  slow model=mlp rows=3');
  assert.equal(formatLine('[1] Server is ready'), '[1] Server is ready');
  assert.equal(formatLine('{half'), '{half');
});

test('columns are as wide as their widest cell, numbers to the right', () => {
  assert.deepEqual(
    table(
      ['name', 'n'],
      [
        ['a', '1'],
        ['longer', '20'],
      ],
    ),
    ['name     n', 'a        1', 'longer  20'],
  );
});

test('a duration is told in the unit that fits', () => {
  assert.deepEqual([5, 119, 121, 7_200, undefined].map(duration), ['5 s', '119 s', '2 min', '2.0 h', '-']);
});

test('a quantile of few values is one of them', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([3, 1, 2], 0.99), 3);
});

test('a receipt names only what the mesh said', () => {
  const headers = { 'x-request-id': 'r1', 'spillway-rung': 'run', 'spillway-batch-size': '4' };
  assert.deepEqual(receiptLines({ status: 200, headers, body: {}, tookMs: 1.23 }), [
    '1.2 ms here, rung run, batch of 4',
    'request r1',
  ]);
});
