import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { CrashPoint } from '@spillway/lifecycle/crash-point';
import type { Mesh } from '@spillway/testing/mesh';
import { connect, type NatsConnection } from 'nats';
import { call } from './infer.ts';
import { JobKiller } from './job-killer.ts';

/** What the client's own history and the stream of results say together. */
export type ChaosFigures = {
  /** As many as were to be, and those that it took beyond until a process had died at every crash point. */
  jobs: number;
  /** Answered with 202. */
  accepted: number;
  /** Accepted without a result within the patience. */
  lost: string[];
  /** Results of one job in the stream beyond the first. */
  surfacedTwice: string[];
  /** Results that are not what was asked for. */
  wrong: string[];
  /** 202 for which the mesh had no job when asked. */
  unknown: string[];
  attempts: number;
  kills: Record<string, number>;
  /** Processes that killed themselves, by the place. */
  crashes: Partial<Record<CrashPoint, number>>;
  submitMs: number;
  endMs: number;
};

export type ChaosOptions = {
  jobs: number;
  /** Time between two kills. */
  killEveryMs: number;
  /** A process dies when it comes to its crash point for this time. */
  crashAfter: number;
  /** And at the place behind that in the life after, and so on; else it then lives until it is killed. */
  crashAgain: boolean;
  seed: number;
  inFlight?: number;
  /** How long results may take after the last job was accepted. */
  patienceMs: number;
  onProgress?: (text: string) => void;
};

const MODEL = 'simple';
const COLUMNS = 16;
const TRY_AGAIN_MS = 100;
const MOST_TIMES = 20;
const KNOWN_WITHIN_MS = 60_000;

const jobBody = (n: number): string => {
  const tensor = (name: string, value: number) => ({
    name,
    datatype: 'INT32',
    shape: [1, COLUMNS],
    data: Array.from({ length: COLUMNS }, () => value),
  });
  return JSON.stringify({ inputs: [tensor('INPUT0', n), tensor('INPUT1', 1)] });
};

/**
 * Jobs over HTTP, each under a key of its own and repeated until it is accepted, while processes are killed with SIGKILL at random
 * moments, NATS among them, and kill themselves at crash points. Results are read from the stream itself.
 */
export async function jobChaos(mesh: Mesh, options: ChaosOptions): Promise<ChaosFigures> {
  const { jobs, inFlight = 32, patienceMs, onProgress = () => undefined } = options;
  const accepted = new Map<string, number>();
  const gateways = mesh.of('gateway').map(({ http }) => http);
  const agent = new Agent({ keepAlive: true });
  const figures: ChaosFigures = {
    jobs,
    accepted: 0,
    lost: [],
    surfacedTwice: [],
    wrong: [],
    unknown: [],
    attempts: 0,
    kills: {},
    crashes: {},
    submitMs: 0,
    endMs: 0,
  };
  await using killer = new JobKiller(mesh, options, figures);
  const startMs = performance.now();
  let next = 0;
  const submit = async (more: () => boolean): Promise<void> => {
    while (more()) {
      const n = next;
      next += 1;
      for (let tried = 0; ; tried += 1) {
        figures.attempts += 1;
        const reply = await call({
          address: gateways[(n + tried) % gateways.length] as string,
          path: `/v2/models/${MODEL}/infer`,
          headers: {
            authorization: `Bearer ${mesh.keys.bulk}`,
            prefer: 'respond-async',
            'idempotency-key': `chaos-${options.seed}-${n}`,
          },
          body: jobBody(n),
          agent,
        });
        if (reply.status === 202) {
          accepted.set((JSON.parse(reply.text) as { job: string }).job, n);
          break;
        }
        if (reply.status >= 400 && reply.status < 500) throw new Error(`job ${n}: ${reply.status} ${reply.text}`);
        await delay(TRY_AGAIN_MS);
      }
      if (accepted.size % 1_000 === 0) onProgress(`${accepted.size} of ${jobs} accepted, ${figures.attempts} attempts`);
    }
  };
  const submitWhile = (more: () => boolean) => Promise.all(Array.from({ length: inFlight }, () => submit(more)));
  await submitWhile(() => next < jobs);
  figures.submitMs = performance.now() - startMs;
  await killer.calm();
  // How many pass a crash point before its process is killed depends on the machine: further jobs come to those that are left.
  if (!options.crashAgain) await submitWhile(() => next < MOST_TIMES * jobs && !killer.crashedEverywhere);
  figures.jobs = next;
  agent.destroy();
  figures.accepted = accepted.size;
  await readResults(mesh, accepted, figures, { patienceMs, onProgress });
  figures.endMs = performance.now() - startMs;
  return figures;
}

type Found = { values: number[]; count: number };

/** Follows the stream of results from its beginning until each accepted job has one, or the patience is over. */
async function readResults(
  mesh: Mesh,
  accepted: ReadonlyMap<string, number>,
  figures: ChaosFigures,
  { patienceMs, onProgress }: { patienceMs: number; onProgress: (text: string) => void },
): Promise<void> {
  const nc = await connect({ servers: mesh.nats.url });
  const found = new Map<string, Found>();
  const reading = follow(nc, found);
  const missing = () => [...accepted.keys()].filter((job) => !found.has(job));
  const endMs = performance.now() + patienceMs;
  for (let left = missing(); left.length > 0 && performance.now() < endMs; left = missing()) {
    onProgress(`${left.length} of ${accepted.size} results to come`);
    await delay(500);
  }
  await nc.close();
  await reading;
  for (const [job, n] of accepted) {
    const result = found.get(job);
    if (result === undefined) figures.lost.push(job);
    else if (result.values.some((value) => value !== n + 1) || result.values.length !== COLUMNS)
      figures.wrong.push(job);
    if ((result?.count ?? 0) > 1) figures.surfacedTwice.push(job);
  }
  const known = await Promise.all([...accepted.keys()].slice(0, 200).map((job) => isKnown(mesh, job)));
  figures.unknown.push(...[...accepted.keys()].slice(0, 200).filter((_, n) => !known[n]));
}

async function follow(nc: NatsConnection, found: Map<string, Found>): Promise<void> {
  const consumer = await nc.jetstream().consumers.get('SPILLWAY_RESULTS');
  const messages = await consumer.consume();
  void nc.closed().then(() => messages.stop());
  for await (const message of messages) {
    const job = message.subject.split('.').at(-1) as string;
    const { outputs = [] } = message.json<{ outputs?: { name: string; data: number[] }[] }>();
    const values = outputs.find(({ name }) => name === 'OUTPUT0')?.data ?? [];
    found.set(job, { values, count: (found.get(job)?.count ?? 0) + 1 });
  }
}

async function isKnown(mesh: Mesh, job: string): Promise<boolean> {
  const address = mesh.of('gateway')[0]?.http as string;
  const headers = { authorization: `Bearer ${mesh.keys.bulk}` };
  const endMs = performance.now() + KNOWN_WITHIN_MS;
  for (;;) {
    const reply = await call({ address, method: 'GET', path: `/v1/jobs/${job}`, headers });
    if (reply.status === 200) return (JSON.parse(reply.text) as { state: string }).state === 'succeeded';
    if ((reply.status > 0 && reply.status < 500) || performance.now() > endMs) return false;
    await delay(TRY_AGAIN_MS); // the gateway is just coming back
  }
}
