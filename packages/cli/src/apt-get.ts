import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './context.ts';

/**
 * apt-get with the system's sources and keys, but, once they are needed, with package lists of its own. Dispose removes those: they
 * are large and soon old.
 */
export class PrivateApt implements Disposable {
  readonly #say: (line: string) => void;
  readonly #folder: string;
  #ownLists = false;

  constructor({ toolsDir, say }: Pick<Context, 'toolsDir' | 'say'>) {
    this.#say = say;
    this.#folder = join(toolsDir, `apt.${process.pid}`); // two launchers at once do not meet
  }

  /** @returns What went wrong, or undefined. */
  async download(packages: string[], into: string): Promise<string | undefined> {
    const first = await runApt(this.#arguments(['download', ...packages]), into);
    if (first === undefined || this.#ownLists) return first;
    // No lists (a bare machine), or old ones that name versions which are gone.
    this.#say('  fetching package lists (the system has none that fit)');
    this.#ownLists = true;
    for (const folder of ['lists/partial', 'cache/archives/partial']) {
      mkdirSync(join(this.#folder, folder), { recursive: true });
    }
    const updated = await runApt(this.#arguments(['update']), this.#folder);
    const second = await runApt(this.#arguments(['download', ...packages]), into);
    return second === undefined ? undefined : (updated ?? second);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #arguments(command: string[]): string[] {
    // As root apt would drop to the user _apt, who may not write into this folder.
    const options = ['-q', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=2'];
    if (!this.#ownLists) return [...options, ...command];
    mkdirSync(this.#folder, { recursive: true });
    const config = join(this.#folder, 'apt.conf');
    // Hooks of the system after an update need root. `-c` is read last, so that it wins.
    const lines = [
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      `Dir::State::Lists "${join(this.#folder, 'lists')}";`,
      `Dir::Cache "${join(this.#folder, 'cache')}";`,
      'Acquire::Languages "none";',
      'APT::Update::Error-Mode "any";', // else a machine without a network updates "well"
      'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    return [...options, '-c', config, ...command];
  }
}

/** @returns The last error lines, or undefined when it went well. */
export function runApt(args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('apt-get', args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...env },
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => resolve(code === 0 ? undefined : lastErrors(output, code)));
  });
}

function lastErrors(output: string, code: number | null): string {
  const errors = output.split('\n').filter((line) => /^(E|Err:|W): ?/.test(line));
  return errors.slice(-3).join('; ') || `apt-get ended with ${code}`;
}
