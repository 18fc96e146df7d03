/** Places at which a process can be made to die, by service. Each is between two steps of which a crash may keep only the first. */
export const CRASH_POINTS = {
  /** JetStream has the job; its record is not written. The caller is about to be told. */
  gateway: ['gateway.after-store', 'gateway.before-202'],
  /** A job was delivered; nobody has begun it. */
  batcher: ['batcher.after-pull'],
  /** The model has run, its result is not stored. It is stored, the job is not acknowledged. */
  'gpu-worker': ['worker.after-run-before-result', 'worker.after-result-before-ack'],
} as const;

export type CrashPoint = (typeof CRASH_POINTS)[keyof typeof CRASH_POINTS][number];

const NAMES: readonly string[] = Object.values(CRASH_POINTS).flat();

/**
 * `name[:count]`, with commas between. @returns How often each place may still be passed. Undefined: no place is named.
 * @throws Error for what names no place: a test that kills nothing proves nothing.
 */
export function readCrashPoints(text: string | undefined): Map<string, number> | undefined {
  if (text === undefined || text === '') return undefined;
  const left = new Map<string, number>();
  for (const part of text.split(',')) {
    const [name = '', count = '1'] = part.split(':');
    if (!NAMES.includes(name) || !/^[1-9]\d{0,8}$/.test(count)) {
      throw new Error(`SPILLWAY_CRASH_AT: expected name[:count] with a name of ${NAMES.join(', ')}, got "${part}"`);
    }
    left.set(name, Number(count));
  }
  return left;
}

let armed: Map<string, number> | undefined;

/**
 * For tests: with `<name>:<count>` the process kills itself (SIGKILL) when it comes to that place for the `count`th time.
 * @param text `SPILLWAY_CRASH_AT` of the environment. @throws Error for what names no place.
 */
export function armCrashPoints(text: string | undefined): void {
  armed = readCrashPoints(text);
}

/** A place at which the process may have been told to die; else nothing happens here. */
export function crashPoint(name: CrashPoint): void {
  if (armed === undefined) return;
  const left = armed.get(name);
  if (left === undefined) return;
  armed.set(name, left - 1);
  if (left <= 1) process.kill(process.pid, 'SIGKILL');
}
