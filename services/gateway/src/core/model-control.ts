import type { Lease, ModelCommand } from '@spillway/contracts/buckets';
import { SpillwayError } from '@spillway/errors/spillway-error';

/** What Triton's calls to load and unload a model carry beside its name, as it came. */
export type ControlRequest = { repositoryName?: unknown; parameters?: unknown };

const refused = (text: string): SpillwayError => new SpillwayError('UNSUPPORTED', text);

/**
 * What is never taken, whatever the workers may do: who sends a model along learns it. Other parameters, such as
 * `unload_dependents`, have no meaning here and do no harm.
 */
export function refusedRequest({ repositoryName, parameters }: ControlRequest): SpillwayError | undefined {
  if (typeof (parameters ?? {}) !== 'object' || Array.isArray(parameters)) {
    return new SpillwayError('INVALID_REQUEST', 'parameters: expected an object');
  }
  const inline = Object.keys(parameters ?? {}).find((name) => name === 'config' || name.startsWith('file:'));
  if (inline !== undefined) {
    const member = inline === 'config' ? 'config' : 'file:…';
    return refused(`parameters.${member}: expected none: models come from folders of the workers`);
  }
  if (typeof repositoryName === 'string' && repositoryName !== '') {
    return refused('repository_name: expected none: every worker has one folder of models');
  }
  return undefined;
}

const follows = ({ commands }: Lease): boolean => commands !== undefined;

/** Why no command can be given now. Those that start or drain follow none, and are not counted on. */
export function refusedByWorkers(workers: readonly Lease[]): SpillwayError | undefined {
  if (workers.some((lease) => lease.state === 'ready' && !follows(lease))) {
    return refused(
      'load and unload are not served: workers load the models of their folders when they start (model control mode "none")',
    );
  }
  if (workers.some(follows)) return undefined;
  return new SpillwayError('UNAVAILABLE', 'no live worker is there to follow the command', {
    reason: 'no_worker',
    retryAfterMs: 1_000,
  });
}

/**
 * What the leases of the workers say of a command.
 * @param latest Of this model, as far as is known. @param before The latest one when the command was given.
 * @returns `undefined` while a worker is not done with it.
 */
export function verdictOf(
  command: ModelCommand,
  workers: readonly Lease[],
  { latest, before }: { latest: ModelCommand | undefined; before: ModelCommand | undefined },
): 'done' | SpillwayError | undefined {
  let { id } = command;
  if (latest !== undefined && latest.id !== id && latest.id !== before?.id) {
    if (latest.wanted !== command.wanted) {
      const text = `another command came at the same time, and wants the model ${latest.wanted}`;
      return new SpillwayError('CONFLICT', text, { reason: 'model_control' });
    }
    id = latest.id; // it wants the same: the workers may do both at once
  }
  const outcomes = workers.filter(follows).map(({ commands = [] }) => commands.find((outcome) => outcome.id === id));
  if (outcomes.length === 0 || outcomes.includes(undefined)) return undefined;
  const errors = outcomes.flatMap((outcome) => outcome?.error ?? []);
  const [first] = errors;
  if (first === undefined) return 'done';
  if (errors.length === outcomes.length && errors.every(({ missing }) => missing)) {
    return new SpillwayError('MODEL_NOT_FOUND', first.text);
  }
  const many = outcomes.length === 1 ? '' : `${errors.length} of ${outcomes.length} workers: `;
  return new SpillwayError('BACKEND_FAILED', `${many}${first.text}`, { reason: 'load_failed' });
}

/** Not every worker has said what became of a command. */
export const commandLate = (limitMs: number): SpillwayError =>
  new SpillwayError('DEADLINE_EXCEEDED', `not every worker was done within ${limitMs} ms; they go on with it`, {
    reason: 'model_control',
  });
