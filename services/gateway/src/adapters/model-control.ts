import type { Bus } from '@spillway/bus/bus';
import { openBucket } from '@spillway/bus/kv';
import type { LeaseWatch } from '@spillway/bus/leases';
import { MODEL_COMMANDS, type ModelCommand } from '@spillway/contracts/buckets';
import { auditSubject } from '@spillway/contracts/subjects';
import { SpillwayError } from '@spillway/errors/spillway-error';
import type { WallClock } from '@spillway/lifecycle/clock';
import { RequestIds } from '@spillway/lifecycle/ids';
import {
  type ControlRequest,
  commandLate,
  refusedByWorkers,
  refusedRequest,
  verdictOf,
} from '../core/model-control.ts';
import { shuttingDown } from '../core/refusal.ts';
import type { Identity } from '../core/request.ts';
import type { ModelCatalogue } from './model-catalogue.ts';

export type ModelControl = Disposable & {
  /** The commands of before are known: until then one of them would be taken for that of another caller. */
  loaded: Promise<void>;
  /**
   * Resolves when every live worker is done.
   * @throws SpillwayError `UNSUPPORTED` (off, or something that is never taken), `MODEL_NOT_FOUND`, `BACKEND_FAILED` with what a
   * worker said, `CONFLICT` with a command of another caller, `DEADLINE_EXCEEDED` when the workers take too long, `UNAVAILABLE`.
   */
  command(wanted: ModelCommand['wanted'], model: string, request: ControlRequest, caller: Identity): Promise<void>;
};

export type ModelControlOptions = {
  bus: Bus;
  workers: Pick<LeaseWatch, 'list' | 'onChange'>;
  wallClock: WallClock;
  catalogue: ModelCatalogue;
  /** Longest wait for the workers. */
  limitMs: number;
  /** A command is on no record: the audit stream did not take it. */
  onFault: (error: unknown) => void;
};

/** Gives commands to the workers through the bucket of commands, and learns from their leases what became of them. */
export function modelControl({
  bus,
  workers,
  wallClock,
  catalogue,
  limitMs,
  onFault,
}: ModelControlOptions): ModelControl {
  const bucket = openBucket<ModelCommand>(bus, MODEL_COMMANDS);
  const latest = new Map<string, ModelCommand>();
  const looking = new Set<() => void>();
  const lookAgain = () => {
    for (const look of [...looking]) look();
  };
  const watch = bucket.watch((model, command) => {
    if (command === undefined) latest.delete(model);
    else latest.set(model, command);
    lookAgain();
  });
  const leave = workers.onChange(lookAgain);
  const ids = new RequestIds();
  let stop: ((error: SpillwayError) => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = reject;
  });
  stopped.catch(() => undefined); // whoever waits is told

  const outcomeOf = async (command: ModelCommand, before: ModelCommand | undefined): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      const verdict = verdictOf(command, workers.list(), { latest: latest.get(command.model), before });
      if (verdict === 'done') resolve();
      else if (verdict !== undefined) reject(verdict);
    };
    const late = setTimeout(() => reject(commandLate(limitMs)), limitMs);
    looking.add(look);
    look();
    try {
      await Promise.race([promise, stopped]);
    } finally {
      clearTimeout(late);
      looking.delete(look);
    }
  };

  return {
    loaded: watch.loaded,
    command: async (wanted, model, request, { tenant, keyId }) => {
      const refusal = refusedRequest(request) ?? refusedByWorkers(workers.list());
      if (refusal !== undefined) throw refusal;
      const known = catalogue.get(model) ?? catalogue.unloaded(model);
      if (wanted === 'unloaded' && known === undefined && !latest.has(model)) {
        throw new SpillwayError('MODEL_NOT_FOUND', 'no such model is served here');
      }
      const by = `${tenant}/${keyId}`;
      const createdAt = wallClock.epochMs();
      const command = { id: ids.next(), model, wanted, createdAt, by };
      const before = latest.get(model);
      await bucket.put(model, command);
      const record = { at: new Date(createdAt).toISOString(), by, action: wanted, model };
      bus.publishToStream(auditSubject('model'), Buffer.from(JSON.stringify(record))).catch(onFault);
      try {
        await outcomeOf(command, before);
      } catch (error) {
        const mistyped = SpillwayError.from(error).code === 'MODEL_NOT_FOUND';
        if (mistyped && latest.get(model)?.id === command.id) await bucket.delete(model).catch(onFault);
        throw error;
      }
      await catalogue.refresh(model); // the caller's next request comes here
    },
    [Symbol.dispose]: () => {
      watch.stop();
      leave();
      stop?.(shuttingDown());
    },
  };
}
