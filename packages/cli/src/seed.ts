import { spawn } from 'node:child_process';
import { closeSync, existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Context } from './context.ts';
import { openLog, tailOf } from './log-file.ts';
import { logPath } from './mesh-plan.ts';

const TIMEOUT_MS = 30_000;

/**
 * Puts the sample entities of the model repository (`<model>/sample/*.csv`) into Redis and SQLite, so that a first call by
 * entity finds features. Running it again changes nothing. Without it the mesh works, with default values: a failure is told,
 * not fatal.
 */
export async function seedSample(
  context: Pick<Context, 'root' | 'dataDir' | 'node' | 'say'>,
  models: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const program = join(context.root, 'services', 'feature-service', 'src', 'seed.ts');
  const samples = samplesIn(models);
  if (samples.length === 0) return context.say(`no sample entities in ${models}: nothing is seeded`);
  const log = logPath(context.dataDir, 'seed');
  for (const sample of samples) {
    const code = await runToEnd(context.node, [program, sample], { ...env, SPILLWAY_INSTANCE: 'seed' }, log);
    const name = relative(models, sample);
    if (code === 0) context.say(`sample entities are written (${name})`);
    else context.say(`sample entities of ${name} were not written: ${tailOf(log, 1).join('')} (whole log: ${log})`);
  }
}

export function samplesIn(models: string): string[] {
  const folders = readdirSync(models).map((name) => join(models, name, 'sample'));
  return folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.csv'))
    .sort();
}

function runToEnd(node: string, args: string[], env: NodeJS.ProcessEnv, log: string): Promise<number | null> {
  return new Promise((resolve) => {
    const file = openLog(log);
    const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...args], {
      env,
      stdio: ['ignore', file, file],
      timeout: TIMEOUT_MS,
    });
    closeSync(file);
    child.once('error', () => resolve(null));
    child.once('exit', (code) => resolve(code));
  });
}
