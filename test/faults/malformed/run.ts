import * as grpc from '@grpc/grpc-js';
import { freePort } from '@spillway/testing/free-port';
import type { Mesh } from '@spillway/testing/mesh';
import { DevTools } from '../../support/devtools.ts';
import { keepAliveAgent } from '../../support/infer.ts';
import { ALL_ADMITTED, startSeededMesh } from '../../support/mesh-fixture.ts';
import { type Case, caseOf } from './cases.ts';
import { Choices } from './random.ts';
import { describe, type Outcome, sendGrpc, sendHttp } from './send.ts';

const AT_ONCE = 16;
/** Sent before memory is first looked at: code is compiled, buffers and connections have their size. */
const WARM_UP = 1_000;
const MAX_FAULTS = 20;

export type CorpusResult = {
  sent: number;
  seconds: number;
  /** Answers by code. */
  codes: Record<string, number>;
  /** Faults, each with the number of its case. */
  faults: string[];
  /** Of the gateway, after a collection, in bytes: after the warm-up, and at the end. */
  heap: { before: number; after: number };
  rss: { before: number; after: number };
};

/** Sends so many malformed requests to a mesh of its own, and looks at the gateway's memory before and after. */
export async function runCorpus({ count, seed }: { count: number; seed: number }): Promise<CorpusResult> {
  const inspector = await freePort();
  await using mesh = await startSeededMesh({
    serves: ['mlp', 'simple', 'identity', 'intent'],
    serviceEnv: { gateway: { ...ALL_ADMITTED, NODE_OPTIONS: `--inspect=127.0.0.1:${inspector}` } },
  });
  await using process = await inspected(inspector);
  const codes: Record<string, number> = {};
  const faults: string[] = [];
  const send = async (from: number, to: number) => {
    await sendAll(mesh, { from, to, seed }, (number, wrong, { code, fault }) => {
      codes[code || 'none'] = (codes[code || 'none'] ?? 0) + 1;
      if (fault !== undefined && faults.length < MAX_FAULTS)
        faults.push(`#${number} ${wrong.what}: ${fault}\n  ${describe(wrong)}`);
    });
  };
  const warmUp = Math.min(WARM_UP, Math.floor(count / 2));
  await send(0, warmUp);
  const before = await memoryOf(process);
  const startMs = performance.now();
  await send(warmUp, count);
  const seconds = (performance.now() - startMs) / 1_000;
  const after = await memoryOf(process);
  const [gateway] = mesh.of('gateway');
  if (gateway === undefined || !gateway.running) faults.push('the gateway is not running any more');
  return {
    sent: count,
    seconds,
    codes,
    faults,
    heap: { before: before.heapUsed, after: after.heapUsed },
    rss: { before: before.rss, after: after.rss },
  };
}

type Part = { from: number; to: number; seed: number };

async function sendAll(
  mesh: Mesh,
  { from, to, seed }: Part,
  done: (number: number, wrong: Case, outcome: Outcome) => void,
) {
  const address = mesh.url.slice('http://'.length);
  const agent = keepAliveAgent();
  using stack = new DisposableStack();
  stack.defer(() => agent.destroy());
  const client = stack.adopt(new grpc.Client(mesh.grpc, grpc.credentials.createInsecure()), (one) => one.close());
  let next = from;
  const sender = async (): Promise<void> => {
    while (next < to) {
      const number = next;
      next += 1;
      const wrong = caseOf(new Choices(seed + number));
      done(
        number,
        wrong,
        wrong.door === 'grpc' ? await sendGrpc(wrong, client) : await sendHttp(wrong, address, agent),
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
}

async function inspected(port: number): Promise<DevTools> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  return DevTools.connect(targets[0]?.webSocketDebuggerUrl ?? '');
}

/** What is left after a collection. */
async function memoryOf(process: DevTools): Promise<{ heapUsed: number; rss: number }> {
  await process.call('HeapProfiler.collectGarbage');
  await process.call('HeapProfiler.collectGarbage');
  return process.evaluate('process.memoryUsage()');
}
