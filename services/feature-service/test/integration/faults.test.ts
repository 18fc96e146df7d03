import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { dialFeatures, type FetchClient, readRows } from '../support/fetch-client.ts';
import {
  createProfiles,
  PATIENT_MS,
  putMonthly,
  putProfiles,
  startWorld,
  type World,
  type WorldOptions,
} from '../support/world.ts';

/** Long enough for a source that is well on a busy machine, short enough for five of them to end within the breaker's second. */
const TIMEOUT_MS = 60;

type Timed = { ms: number; monthly: string; profile: string };

/** Without a budget the sources' own limits count. */
async function timed(client: FetchClient, budgetMs = 0): Promise<Timed> {
  const startMs = performance.now();
  const rows = await client.fetch({ entities: ['c1'], budgetMs });
  const status = (view: string) => readRows(rows, view).status[0]?.[0] ?? '';
  return { ms: performance.now() - startMs, monthly: status('monthly'), profile: status('profile') };
}

/** Asks every 50 ms until the view is present again. @returns After how many ms. */
async function untilPresent(client: FetchClient, view: 'monthly' | 'profile'): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const answer = await timed(client);
    const ms = performance.now() - startMs;
    if (answer[view] === 'present') return ms;
    assert.ok(ms < PATIENT_MS, `${view} was still ${answer[view]} after ${ms.toFixed(0)} ms`);
    await delay(50);
  }
}

/** A world in which both sources know `c1`. */
async function withWorld(
  options: WorldOptions,
  run: (world: World, client: FetchClient) => Promise<void>,
): Promise<void> {
  const world = await startWorld(options);
  const client = await dialFeatures(world.address);
  try {
    await putMonthly(world.redisClient, 'c1', { balance: 1, late: false });
    putProfiles(world.sqlitePath, [{ id: 'c1', limitBal: 1, education: 1, updatedMs: Date.now() }]);
    for (const view of ['monthly', 'profile'] as const) await untilPresent(client, view);
    await run(world, client);
  } finally {
    await client.stream.close();
    await world[Symbol.asyncDispose]();
  }
}

describe('a source that fails', () => {
  it('that hangs gives defaults within its timeout, at once when its breaker is open, and values soon after it goes on', () =>
    withWorld({ redisTimeoutMs: TIMEOUT_MS }, async ({ redis, metric }, client) => {
      const isOpen = async () => (await metric('spillway_features_source_open', 'source="redis"')) === 1;
      const defaults = async () => {
        const answer = await timed(client);
        assert.deepEqual([answer.monthly, answer.profile], ['default', 'present']);
        return answer.ms;
      };
      const timeouts = () => metric('spillway_features_fetch_seconds_count', 'source="redis"', 'outcome="timeout"');
      let failures = 0;
      for (const before = await timeouts(); before === (await timeouts()); ) {
        // Not at the first time: this process stood still until the command's own limit was over as well.
        if (failures > 0) await redis.kill('SIGCONT');
        if (failures > 0) await untilPresent(client, 'monthly');
        assert.ok(failures < 20, 'the timeout ended no round trip');
        await redis.kill('SIGSTOP');
        failures += 1;
        assert.ok((await defaults()) >= TIMEOUT_MS - 2);
      }
      for (; failures < 4; failures += 1) {
        assert.equal(await isOpen(), false, `open after ${failures} failures`);
        await defaults();
      }
      const startMs = performance.now();
      while (!(await isOpen())) {
        // Several at once, far enough apart to be round trips of their own: five must fail within a second, however slow this machine is.
        const answers: Promise<number>[] = [];
        for (let call = 0; call < 4; call += 1) {
          answers.push(defaults());
          await delay(12);
        }
        await Promise.all(answers);
        assert.ok(performance.now() - startMs < PATIENT_MS, 'the breaker did not open');
      }
      const trips = () => metric('spillway_features_round_trips_total', 'source="redis"');
      for (let before = Number.NaN; before !== (await trips()); ) {
        assert.ok(performance.now() - startMs < PATIENT_MS, 'Redis was asked all the time');
        before = await trips(); // another value afterwards: a second had passed, and this was the probe
        await defaults();
      }
      await redis.kill('SIGCONT');
      console.log(`Redis resumed: present again after ${(await untilPresent(client, 'monthly')).toFixed(0)} ms`);
      assert.equal(await isOpen(), false);
    }));

  it('that hangs for seconds piles nothing up and comes back', () =>
    withWorld({ redisTimeoutMs: TIMEOUT_MS }, async ({ redis }, client) => {
      await redis.kill('SIGSTOP');
      const endMs = performance.now() + 3_500; // longer than the patience with a silent connection
      let asked = 0;
      while (performance.now() < endMs || asked < 500) {
        const answers = await client.fetchAll(Array.from({ length: 50 }, () => ({ entities: ['c1'] })));
        asked += answers.length;
        assert.ok(answers.every((rows) => readRows(rows, 'monthly').status[0]?.[0] === 'default'));
        assert.ok(answers.every((rows) => readRows(rows, 'profile').status[0]?.[0] === 'present'));
      }
      await redis.kill('SIGCONT');
      await untilPresent(client, 'monthly');
    }));

  it('that is killed gives defaults at once, and values again after its return', () =>
    withWorld({}, async ({ redis, redisClient }, client) => {
      await redis.kill();
      for (let call = 0; call < 10; call += 1) {
        const answer = await timed(client);
        assert.deepEqual([answer.monthly, answer.profile], ['default', 'present']);
        assert.ok(answer.ms < PATIENT_MS, `${answer.ms} ms: it waited for an answer`);
      }
      await redis.restart();
      await redisClient.ping().catch(() => undefined);
      const refill = async () => {
        while (redisClient.status !== 'ready') await delay(10);
        await putMonthly(redisClient, 'c1', { balance: 1, late: false });
      };
      await refill();
      console.log(`Redis back: present again after ${(await untilPresent(client, 'monthly')).toFixed(0)} ms`);
    }));

  it('that is a locked SQLite file gives defaults within its timeout, and values again when it is free', () =>
    withWorld({ sqliteTimeoutMs: TIMEOUT_MS, journalMode: 'DELETE' }, async ({ sqlitePath }, client) => {
      using locker = new DatabaseSync(sqlitePath, { timeout: PATIENT_MS });
      locker.exec('BEGIN EXCLUSIVE'); // without WAL it keeps readers out
      for (let call = 0; call < 3; call += 1) {
        const answer = await timed(client); // comes while the file is locked, so not by waiting for its turn
        assert.deepEqual([answer.monthly, answer.profile], ['present', 'default']);
      }
      locker.exec('COMMIT');
      await untilPresent(client, 'profile');
    }));

  it('that is a slow statement gives defaults within its timeout and does not hold up the other source', () =>
    withWorld({ sqliteTimeoutMs: TIMEOUT_MS }, async ({ sqlitePath }, client) => {
      const database = new DatabaseSync(sqlitePath, { timeout: PATIENT_MS });
      database.exec('ALTER TABLE profile RENAME TO quick');
      // Counts to a number that takes a second or so before it gives the row.
      database.exec(`CREATE VIEW profile AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000000)
        SELECT client_id, updated_ms, limit_bal + (SELECT max(x) FROM n) AS limit_bal, education FROM quick`);
      for (let call = 0; call < 8; call += 1) {
        const answer = await timed(client); // comes before the row does: with the row it would be present
        assert.deepEqual([answer.monthly, answer.profile], ['present', 'default']);
      }
      database.exec('DROP VIEW profile');
      database.exec('ALTER TABLE quick RENAME TO profile');
      database.close();
      await untilPresent(client, 'profile');
    }));

  it('that lacks the table or a column gives defaults, not the name of the column as a text', () =>
    withWorld({}, async ({ sqlitePath }, client) => {
      const database = new DatabaseSync(sqlitePath, { timeout: PATIENT_MS });
      database.exec('ALTER TABLE profile RENAME COLUMN education TO schooling');
      assert.equal((await timed(client)).profile, 'default');
      database.exec('ALTER TABLE profile RENAME COLUMN schooling TO education');
      database.close();
      await untilPresent(client, 'profile');
    }));

  it('is answered for by defaults when the budget of the caller ends first', () =>
    withWorld({}, async ({ redis }, client) => {
      await redis.kill('SIGSTOP');
      for (let budgetMs = 100, profile = ''; profile !== 'present'; budgetMs *= 2) {
        const answer = await timed(client, budgetMs);
        assert.equal(answer.monthly, 'default');
        assert.ok(answer.ms >= budgetMs - 2 && answer.ms < PATIENT_MS, `${answer.ms} ms of ${budgetMs} ms`);
        profile = answer.profile; // the budget may have been too short for the source that is well, on a busy machine
      }
      await redis.kill('SIGCONT');
    }));
});

describe('a source that is not there at the start', () => {
  it('does not keep the service from being ready, and is used once it is there', async () => {
    await using world = await startWorld({
      env: { REDIS_URL: 'redis://127.0.0.1:1', FEATURE_SERVICE_SQLITE_PATH: '/nonexistent/f.sqlite' },
    });
    await using client = await dialFeatures(world.address);
    const answer = await timed(client);
    assert.deepEqual([answer.monthly, answer.profile], ['default', 'default']);
    const ready = await fetch(`http://127.0.0.1:${world.service.ports.health}/readyz`);
    assert.equal(ready.status, 200);
  });

  it('is used once it is there: a SQLite file that is made later', async () => {
    await using world = await startWorld();
    rmSync(world.sqlitePath); // before the second service starts
    const { featureServiceConfig } = await import('../../src/config.ts');
    const { startFeatureService } = await import('../../src/service.ts');
    const config = featureServiceConfig.load({ ...world.env, SPILLWAY_INSTANCE: 'second' });
    await using service = await startFeatureService(config);
    await using client = await dialFeatures(`127.0.0.1:${service.ports.grpc}`);
    assert.equal((await timed(client)).profile, 'default');
    createProfiles(world.sqlitePath);
    putProfiles(world.sqlitePath, [{ id: 'c1', limitBal: 1, education: 1, updatedMs: Date.now() }]);
    await untilPresent(client, 'profile');
  });
});
