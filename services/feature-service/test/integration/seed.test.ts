import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dialFeatures, readRows } from '../support/fetch-client.ts';
import { startWorld, type World } from '../support/world.ts';

const SEED = fileURLToPath(new URL('../../src/seed.ts', import.meta.url));

describe('the seed script', () => {
  let world: World;
  let dir: string;

  before(async () => {
    world = await startWorld();
    dir = dirname(world.sqlitePath);
  });
  after(() => world?.[Symbol.asyncDispose]());

  const seed = (...args: string[]) =>
    spawnSync(process.execPath, [SEED, ...args], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...world.env, FEATURE_SERVICE_SQLITE_PATH: join(dir, 'new', 'seeded.sqlite') },
    });

  it('loads a table into both sources, again and again, and says what it did', async () => {
    const csv = join(dir, 'clients.csv');
    await writeFile(csv, 'ID,limit_bal,education,balance,late,other\r\n1,2.00E+04,2,3.5,1,x\r\n2,,3,,0,y\r\n');
    for (let time = 0; time < 2; time += 1) {
      const { status, stdout, stderr } = seed(csv);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, /^monthly: 2 hashes spw:f:\{<id>\}:monthly in Redis$/m);
      assert.match(stdout, /^profile: 2 rows in table profile of .*seeded\.sqlite$/m);
    }
    const hash = await world.redisClient.hgetall('spw:f:{1}:monthly');
    assert.deepEqual([hash['d'], hash['v']], ['{"balance":3.5,"late":true}', '1']);
    assert.ok(Math.abs(Date.now() - Number(hash['ts'])) < 600_000);

    const { featureServiceConfig } = await import('../../src/config.ts');
    const { startFeatureService } = await import('../../src/service.ts');
    const config = featureServiceConfig.load({
      ...world.env,
      SPILLWAY_INSTANCE: 'seeded',
      FEATURE_SERVICE_SQLITE_PATH: join(dir, 'new', 'seeded.sqlite'),
    });
    await using service = await startFeatureService(config);
    await using client = await dialFeatures(`127.0.0.1:${service.ports.grpc}`);
    const rows = await client.fetch({ entities: ['1', '2', '3'] });
    assert.deepEqual(readRows(rows, 'profile'), {
      values: [
        [20_000, 2],
        [100_000, 3],
        [100_000, 2],
      ],
      status: [
        ['present', 'present'],
        ['missing', 'present'],
        ['missing', 'missing'],
      ],
    });
    assert.deepEqual(readRows(rows, 'monthly'), {
      values: [
        [3.5, 1],
        [-1, 0],
        [-1, 0],
      ],
      status: [
        ['present', 'present'],
        ['missing', 'present'],
        ['missing', 'missing'],
      ],
    });
  });

  it('fails with the line and column of a bad value and writes no row of that table', async () => {
    const csv = join(dir, 'bad.csv');
    await writeFile(csv, 'ID,limit_bal,education,balance,late\n9,1,2,3,0\n10,1,2.5,3,0\n');
    const { status, stderr } = seed(csv, '--view', 'profile');
    assert.deepEqual([status, stderr], [1, 'seed: line 3, column "education": expected int, got "2.5"\n']);
  });

  it('tells how it is used', () => {
    assert.match(seed('--help').stdout, /^Usage: node src\/seed\.ts FILE\.csv/);
    assert.deepEqual([seed().status, seed().stderr], [1, 'seed: expected one CSV file; see --help\n']);
    assert.match(seed('x.csv', '--view', 'nope').stderr, /--view nope: expected one of monthly, profile/);
  });
});
