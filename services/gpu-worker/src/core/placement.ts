/** Instances of a model that its declaration asks for; `count` 0: one in every shared executor. */
export type Wish = { model: string; count: number; own: boolean };
/** `models` are loaded in this executor, in this order. */
export type ExecutorPlan = { name: string; models: string[] };

/**
 * Which executor hosts which models. Static models share the `shared` executors, one for each execution slot; a model with
 * fewer instances than that is placed where the fewest models are. Models with executors of their own get `count` of them.
 * More instances than shared executors would only wait for each other: they are cut.
 */
export function placeModels(wishes: readonly Wish[], shared: number): ExecutorPlan[] {
  const common: ExecutorPlan[] = Array.from({ length: shared }, (_, i) => ({ name: `shared-${i}`, models: [] }));
  const own: ExecutorPlan[] = [];
  for (const { model, count, own: alone } of wishes) {
    if (alone) {
      for (let i = 0; i < Math.max(1, count); i += 1) own.push({ name: `${model}-${i}`, models: [model] });
      continue;
    }
    const wanted = count === 0 ? shared : Math.min(count, shared);
    const chosen = [...common].sort((a, b) => a.models.length - b.models.length).slice(0, wanted);
    for (const plan of chosen) plan.models.push(model);
  }
  return [...common.filter((plan) => plan.models.length > 0), ...own];
}
