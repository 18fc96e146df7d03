import type { LoadModel } from './executor-messages.ts';
import type { ModelDeclaration } from './model-declaration.ts';
import { type ExecutorPlan, placeModels } from './placement.ts';

/** `file` is the ONNX graph; empty for a simulated model. */
export type StoredVersion = { version: string; file: string };
/** A model of the repository whose declaration is good; whether its graph is, an executor finds out. */
export type StoredModel = { name: string; declaration: ModelDeclaration; derived: boolean; versions: StoredVersion[] };

export type PlanRules = {
  /** Shared executors. */
  shared: number;
  /** For models that do not say. */
  runLimitMs: number;
} & Pick<LoadModel, 'worker' | 'providers' | 'intraOpThreads' | 'maxFileBytes'>;

export type ModelPlan = {
  executors: ExecutorPlan[];
  loads: Map<string, LoadModel[]>;
  instances: (model: string) => number;
  runLimitMs: (model: string) => number;
};

/** Which executors there are, what each loads, and how long a run of each model may take. */
export function planModels(models: readonly StoredModel[], rules: PlanRules): ModelPlan {
  const { shared, runLimitMs, ...common } = rules;
  const wishes = models.map(({ name, declaration }) => ({
    model: name,
    count: declaration.instances,
    own: declaration.ownExecutor,
  }));
  const executors = placeModels(wishes, shared);
  const loads = new Map(
    models.map(({ name, declaration, derived, versions }) => [
      name,
      versions.map(({ version, file }) => ({
        ...common,
        model: name,
        version,
        file,
        declaration: derived ? '' : JSON.stringify(declaration),
      })),
    ]),
  );
  const limits = new Map(models.map(({ name, declaration }) => [name, declaration.runLimitMs || runLimitMs]));
  return {
    executors,
    loads,
    instances: (model) => executors.filter((plan) => plan.models.includes(model)).length,
    runLimitMs: (model) => limits.get(model) ?? runLimitMs,
  };
}
