import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@spillway/lifecycle/manual-clock';
import { formerVersions, mayLeave, planGeneration } from '../../src/core/generation.ts';
import { derivedDeclaration, type ModelDeclaration } from '../../src/core/model-declaration.ts';
import { Traffic } from '../../src/core/traffic.ts';

const RULES = {
  ...{ shared: 3, runLimitMs: 2_000, worker: 'w', providers: ['cpu'], intraOpThreads: 1, maxFileBytes: 1 },
};
const plan = (over: Partial<ModelDeclaration>) =>
  planGeneration(
    {
      name: 'm',
      declaration: { ...derivedDeclaration('m'), ...over },
      derived: true,
      versions: [{ version: '2', file: 'm/2/model.onnx' }],
    },
    7,
    RULES,
  );
const names = (over: Partial<ModelDeclaration>) => plan(over).executors.map(({ name }) => name);

test('a generation has executors of its own, as many as the model has instances', () => {
  assert.deepEqual(names({}), ['m-g7-0', 'm-g7-1', 'm-g7-2']);
  assert.deepEqual(names({ instances: 2 }), ['m-g7-0', 'm-g7-1']);
  assert.deepEqual(names({ instances: 9 }).length, 3, 'as among the shared ones');
  assert.deepEqual(names({ instances: 5, ownExecutor: true }).length, 5);
  assert.deepEqual(names({ ownExecutor: true }).length, 1);
});

test('they load the versions that the folder has now, within the limits of the worker', () => {
  const { loads, runLimitMs, executors } = plan({ runLimitMs: 300 });
  assert.deepEqual(executors[0]?.models, ['m']);
  assert.deepEqual([...loads.keys()], ['m']);
  const [load] = loads.get('m') ?? [];
  assert.deepEqual([load?.version, load?.file, load?.declaration], ['2', 'm/2/model.onnx', '']);
  assert.equal(runLimitMs('m'), 300);
});

test('versions that only the former generation has stay for those that were accepted for them', () => {
  assert.deepEqual(formerVersions(['1', '2'], ['2', '3']), ['1']);
  assert.deepEqual(formerVersions(['2'], ['2']), []);
});

test('an unloaded model leaves when nothing has come for a second, at the latest with its longest deadline', () => {
  const clock = new ManualClock();
  const traffic = new Traffic(clock);
  assert.equal(mayLeave(traffic.quietMs('m'), 999, 60_000), false, 'gateways may not have heard of it');
  assert.equal(mayLeave(traffic.quietMs('m'), 1_000, 60_000), true, 'nobody ever asked');
  traffic.came('m');
  clock.advance(5_000);
  assert.equal(mayLeave(traffic.quietMs('m'), 5_000, 60_000), false, 'a batch is under way');
  traffic.ended('m');
  clock.advance(999);
  assert.equal(mayLeave(traffic.quietMs('m'), 5_999, 60_000), false);
  clock.advance(1);
  assert.equal(mayLeave(traffic.quietMs('m'), 6_000, 60_000), true);
  assert.equal(mayLeave(0, 60_000, 60_000), true);
});
