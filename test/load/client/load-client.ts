import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ClientAnswer, ClientJob, LoadJob } from './main.ts';
import type { LoadResult } from './tally.ts';

export type LoadClient = AsyncDisposable & {
  run(job: LoadJob): Promise<LoadResult>;
};

/** Starts the client's process with `inputs` distinct rows, whose answers it takes from plain ONNX Runtime. */
export async function startLoadClient(inputs: number, model: string): Promise<LoadClient> {
  const child = fork(fileURLToPath(new URL('./main.ts', import.meta.url)), { execArgv: [] });
  const ask = async (job: ClientJob): Promise<ClientAnswer> => {
    child.send(job);
    const [answer] = (await once(child, 'message')) as [ClientAnswer];
    if (answer.error !== undefined) throw new Error(`load client: ${answer.error}`);
    return answer;
  };
  await ask({ kind: 'prepare', inputs, model });
  return {
    run: async (job) => {
      const { result } = await ask(job);
      if (result === undefined) throw new Error('load client: no result');
      return result;
    },
    [Symbol.asyncDispose]: async () => {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}
