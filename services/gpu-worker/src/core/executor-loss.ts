export type LossReason = 'run_limit' | 'load_limit' | 'executor_died';
/** An executor that was killed or died. `note` is the end of what it wrote to standard error. */
export type Loss = {
  executor: string;
  pid: number;
  reason: LossReason;
  how: string;
  note: string;
  model: string;
  ranMs: number;
};

/** What is said of the model that was being loaded when its executor was lost. */
export function loadLossText({ reason, how, note }: Loss, loadLimitMs: number): string {
  const what =
    reason === 'load_limit'
      ? `it took longer than ${loadLimitMs} ms to load`
      : `its executor died while loading it (${how})`;
  return [what, note.trim().split('\n').at(-1) ?? ''].filter((text) => text !== '').join(': ');
}
