import type { DataTypeName, NumericArray } from '@spillway/contracts/tensor';

/** A tensor on its way into or out of a model: elements of a numeric one, texts of a BYTES one. Row-major. */
export type RunTensor = { name: string; datatype: DataTypeName; shape: number[]; data: NumericArray | string[] };

/** One loaded model in an executor. */
export type Backend = {
  /** What really runs: cpu, cuda, …, or simulated. */
  readonly provider: string;
  /**
   * Runs once. Inputs belong to the caller again when this resolves.
   * @returns The fetches of the served graph, in its order; owned by the caller.
   * @throws Whatever the runtime says: for the log, never for a client.
   */
  run(inputs: readonly RunTensor[]): Promise<RunTensor[]>;
  /** Gives back what it can of its memory; no run follows. Absent: there is nothing to give back. */
  release?(): Promise<void>;
};
