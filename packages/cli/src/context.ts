import { join, resolve } from 'node:path';

/** What a command may know of the process it runs in; `main.ts` fills it, nothing else reads `process`. */
export type Context = {
  env: NodeJS.ProcessEnv;
  /** Where the user typed the command: relative paths count from here. */
  cwd: string;
  /** The checkout. */
  root: string;
  /** What the launcher installed: Node, NATS, Redis. Always `<root>/.spillway`. */
  toolsDir: string;
  /** State, logs, keys and data of the mesh. `SPILLWAY_HOME`, or the same folder. */
  dataDir: string;
  /** Node's own binary: every service runs on the one that runs this. */
  node: string;
  version: string;
  /** A line for the reader or a program: standard output. */
  print: (line: string) => void;
  /** A line on what is going on: standard error. */
  say: (line: string) => void;
};

export const repositoryRoot = resolve(import.meta.dirname, '../../..');

export function dataDirOf(env: NodeJS.ProcessEnv, root: string): string {
  const chosen = env['SPILLWAY_HOME'];
  return chosen ? resolve(chosen) : join(root, '.spillway');
}

/** A failure that is the user's to mend: printed without a stack, what failed first, then how to mend it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly advice: string[];
  readonly exitCode: number;

  constructor(message: string, advice: string[] = [], exitCode = 1) {
    super(message);
    this.advice = advice;
    this.exitCode = exitCode;
  }
}

/** Wrong arguments: exit code 2, as getopt programs do. */
export const usageError = (message: string, command: string): CliError =>
  new CliError(message, [`See: ./spillway ${command} --help`], 2);
