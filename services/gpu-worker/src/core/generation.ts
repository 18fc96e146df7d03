import { type ModelPlan, type PlanRules, planModels, type StoredModel } from './plan-models.ts';

/**
 * The executors of one load of a model on command. They are its own, also where the model shared them before: so it can be warmed
 * beside what serves, take over at once, and give its memory back by ending. There are as many as it has instances among the
 * shared ones.
 * @param generation Above 0; counts the loads of this worker.
 */
export function planGeneration(stored: StoredModel, generation: number, rules: PlanRules): ModelPlan {
  const { instances, ownExecutor } = stored.declaration;
  const shared = instances === 0 ? rules.shared : Math.min(instances, rules.shared);
  const declaration = { ...stored.declaration, instances: ownExecutor ? instances : shared, ownExecutor: true };
  const plan = planModels([{ ...stored, declaration }], rules);
  const executors = plan.executors.map((executor, index) => ({
    ...executor,
    name: `${stored.name}-g${generation}-${index}`,
  }));
  return { ...plan, executors };
}

/** Versions that requests may still name that were accepted before the shift, and that only the former generation has. */
export const formerVersions = (before: readonly string[], after: readonly string[]): string[] =>
  before.filter((version) => !after.includes(version));

/** An unloaded model goes when nothing has come for this long: batchers send what waits as soon as there is a place for it. */
const QUIET_MS = 1_000;

/** @param sinceMs How long nothing further is accepted. @param mostMs By then every request that was is past its deadline. */
export const mayLeave = (quietMs: number, sinceMs: number, mostMs: number): boolean =>
  sinceMs >= mostMs || (quietMs >= QUIET_MS && sinceMs >= QUIET_MS);
