import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { REPO } from '@spillway/testing/find-binary';
import { DevTools } from './devtools.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** What `CHROMIUM` names, else a browser of this family on the path, else what the launcher installed. */
export const findChromium = (): string | undefined =>
  process.env['CHROMIUM'] ||
  [...(process.env['PATH'] ?? '').split(delimiter), join(REPO, '.spillway', 'bin')]
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((file) => existsSync(file));

export type Page = {
  evaluate<Value>(expression: string): Promise<Value>;
  /** PNG of the window. */
  screenshot(): Promise<Buffer>;
};

export type Browser = AsyncDisposable & { open(url: string): Promise<Page> };

/** A browser without a window, with a profile of its own that goes with it. */
export async function startChromium(file: string): Promise<Browser> {
  await using opening = new AsyncDisposableStack();
  const profile = await mkdtemp(join(tmpdir(), 'spillway-chromium-'));
  opening.defer(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }));
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-extensions'];
  const memory = '--disable-dev-shm-usage'; // a container's /dev/shm is too small, or not for everybody
  const size = '--window-size=1000,1200';
  const child = spawn(file, [...flags, memory, size, '--remote-debugging-port=0', `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  opening.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, 'exit');
  });
  const browser = opening.use(await DevTools.connect(await addressOf(child)));
  const open = opening.move();
  return {
    open: async (url) => {
      const { targetId } = await browser.call<{ targetId: string }>('Target.createTarget', { url });
      const attach = { targetId, flatten: true };
      const { sessionId } = await browser.call<{ sessionId: string }>('Target.attachToTarget', attach);
      return {
        evaluate: (expression) => browser.evaluate(expression, sessionId),
        screenshot: async () => {
          const { data } = await browser.call<{ data: string }>('Page.captureScreenshot', {}, sessionId);
          return Buffer.from(data, 'base64');
        },
      };
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** It says on standard error where it listens. */
async function addressOf(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  const said: string[] = [];
  for await (const line of lines) {
    const url = /^DevTools listening on (ws:\S+)/.exec(line)?.[1];
    if (url === undefined) {
      said.push(line);
      continue;
    }
    child.stderr?.resume();
    return url;
  }
  throw new Error(`the browser ended before it listened:\n${said.slice(-10).join('\n')}`);
}
