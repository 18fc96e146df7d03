import { fileURLToPath } from 'node:url';
import { connectBus } from '@spillway/bus/connect';
import { type ReplyFrame, replyFrameCodec } from '@spillway/contracts/messages';
import { freePort } from '@spillway/testing/free-port';
import { startProcess } from '@spillway/testing/process';
import { until } from '@spillway/testing/until';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** A gpu-worker as a process. */
export async function startWorker(
  natsUrl: string,
  models: string,
  env: Record<string, string> = {},
  waitFor: 'readyz' | 'livez' = 'readyz',
) {
  const [grpc, health] = [await freePort(), await freePort()];
  const worker = await startProcess({
    name: 'gpu-worker',
    file: MAIN,
    env: {
      NATS_URL: natsUrl,
      SPILLWAY_INSTANCE: 'gpu-worker-1',
      GPU_WORKER_GRPC_PORT: String(grpc),
      GPU_WORKER_HEALTH_PORT: String(health),
      GPU_WORKER_MODELS: models,
      GPU_WORKER_EXECUTORS: '1',
      GPU_WORKER_RUN_LIMIT_MS: '60000', // a crowded machine ends no run; a test that wants one ended says so in its model.yaml
      ...env,
    },
    readyUrl: `http://127.0.0.1:${health}/${waitFor}`,
    readyTimeoutMs: 60_000,
  });
  const own = { grpc, health, url: `http://127.0.0.1:${health}` };
  return Object.defineProperties(own, Object.getOwnPropertyDescriptors(worker)) as typeof own & typeof worker;
}

/** Stops a process until it is resumed or the test is over: one that stays stopped would outlive its parent. */
export function suspend(pid: number): Disposable & { resume(): void } {
  let isStopped: boolean = process.kill(pid, 'SIGSTOP');
  const resume = (): void => {
    if (isStopped) process.kill(pid, 'SIGCONT');
    isStopped = false;
  };
  return { resume, [Symbol.dispose]: resume };
}

/** A gateway's inbox: keeps the reply frames that come. */
export async function openInbox(natsUrl: string, instance = 'gateway-1') {
  const bus = await connectBus({ url: natsUrl, service: 'gateway', instance });
  const frames: ReplyFrame[] = [];
  const subject = bus.inbox();
  bus.subscribe(subject, ({ payload }) => frames.push(replyFrameCodec.decode(Uint8Array.from(payload))));
  return {
    bus,
    subject,
    frames,
    of: (batchId: string) => frames.filter((frame) => frame.batchId === batchId),
    /** The frames of a batch once there are so many. */
    wait: async (batchId: string, count = 1): Promise<ReplyFrame[]> => {
      await until(
        `${count} frames of ${batchId}`,
        () => frames.filter((frame) => frame.batchId === batchId).length >= count,
      );
      return frames.filter((frame) => frame.batchId === batchId);
    },
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
}
