import type { TensorSpec } from '@spillway/contracts/buckets';
import type { Backend, RunTensor } from './backend.ts';
import type { ModelDeclaration } from './model-declaration.ts';
import type { Graph } from './served-graph.ts';

/** Times in ms; `jitter` is the share by which a run may be longer or shorter. */
export type SimulatedRun = { baseMs: number; perRowMs: number; jitter: number; blocking: boolean };

export type Wait = { sleep: (ms: number) => Promise<void>; block: (ms: number) => void; random: () => number };

/** @throws Error naming the parameter that is no number in range. */
export function simulatedRun(parameters: ModelDeclaration['parameters']): SimulatedRun {
  const number = (name: string, fallback: number, max = Number.POSITIVE_INFINITY): number => {
    const value = parameters[name] ?? fallback;
    if (typeof value !== 'number' || !(value >= 0 && value <= max)) {
      throw new Error(
        `parameters.${name}: expected a number ${max === 1 ? 'from 0 to 1' : '≥ 0'}, got ${String(value)}`,
      );
    }
    return value;
  };
  return {
    baseMs: number('base_ms', 40),
    perRowMs: number('per_row_ms', 2),
    jitter: number('jitter', 0, 1),
    blocking: parameters['blocking'] === true,
  };
}

/** The graph that a declaration of a simulated model stands for: what it declares, with the batch dimension. */
export function simulatedGraph(declaration: ModelDeclaration): Graph {
  const { inputs, outputs, maxBatchSize = 0 } = declaration;
  if (inputs.length === 0 || outputs.length !== inputs.length) {
    throw new Error(
      `output: expected as many outputs as inputs, at least one, got ${outputs.length} and ${inputs.length}`,
    );
  }
  const whole = ({ name, datatype, dims }: TensorSpec) => ({
    name,
    datatype,
    dims: maxBatchSize > 0 ? [-1, ...dims] : dims,
  });
  return { inputs: inputs.map(whole), outputs: outputs.map(whole) };
}

/**
 * Waits as long as a model would run and returns its inputs, in order, under the outputs' names. `blocking` holds the
 * executor's thread as a native run does.
 */
export function simulatedBackend(run: SimulatedRun, fetches: readonly TensorSpec[], wait: Wait): Backend {
  return {
    provider: 'simulated',
    run: async (inputs) => {
      const rows = inputs[0]?.shape[0] ?? 1;
      const share = 1 + run.jitter * (2 * wait.random() - 1);
      const ms = (run.baseMs + run.perRowMs * rows) * share;
      if (run.blocking) wait.block(ms);
      else await wait.sleep(ms);
      return fetches.map((output, i): RunTensor => ({ ...(inputs[i] as RunTensor), name: output.name }));
    },
  };
}
