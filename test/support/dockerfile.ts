import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Dockerfile = {
  copies: { from: string[]; to: string }[];
  runs: string[];
  env: Record<string, string>;
  command: string[];
};

/** The few instructions that our Dockerfiles use. @throws Error on another one: then this reader must learn it. */
export function readDockerfile(text: string): Dockerfile {
  const file: Dockerfile = { copies: [], runs: [], env: {}, command: [] };
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  for (const line of lines.map((raw) => raw.trim()).filter((raw) => raw !== '' && !raw.startsWith('#'))) {
    const [instruction, ...words] = line.split(/\s+/) as [string, ...string[]];
    const rest = line.slice(instruction.length).trim();
    if (instruction === 'COPY') file.copies.push({ from: words.slice(0, -1), to: words.at(-1) as string });
    else if (instruction === 'RUN') file.runs.push(rest);
    else if (instruction === 'CMD') file.command = JSON.parse(rest) as string[];
    else if (instruction === 'ENV') {
      for (const pair of words) file.env[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
    } else if (!['FROM', 'WORKDIR', 'USER', 'EXPOSE'].includes(instruction)) {
      throw new Error(`expected an instruction that this reader knows, got ${instruction}`);
    }
  }
  return file;
}

/** What .dockerignore keeps out of the context. */
const ignored = (path: string): boolean => /(^|\/)(node_modules|\.git|\.spillway|\.turbo)(\/|$)/.test(path);

/** COPY and RUN in `folder`, with this Node as the image's and no Docker. */
export async function buildIn(folder: string, context: string, { copies, runs }: Dockerfile): Promise<void> {
  for (const { from, to } of copies) {
    for (const source of from) {
      const target = to.endsWith('/') ? join(folder, to, basename(source)) : join(folder, to);
      await cp(join(context, source), target, {
        recursive: true,
        filter: (path) => !ignored(path.slice(context.length)),
      });
    }
  }
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` };
  for (const command of runs) await run('sh', ['-c', command], { cwd: folder, env, maxBuffer: 16 * 1024 * 1024 });
}
