import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/** Children that still live: they must not outlive the test that started them. */
const alive = new Set<ChildProcess>();
let watching = false;

function killAll(): void {
  for (const child of alive) child.kill('SIGKILL');
}

/** A test file that ends, is interrupted or timed out takes its children with it (SIGKILL of the test file cannot be seen). */
function watchOwnEnd(): void {
  if (watching) return;
  watching = true;
  process.once('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll();
      process.kill(process.pid, signal); // the listener is gone: the default action follows
    });
  }
}

const LOG_LINES_KEPT = 20_000;

export type ChildOptions = { name: string; file: string; args: string[]; env?: NodeJS.ProcessEnv; cwd?: string };

/** A running program whose output is kept line by line. */
export class Child {
  readonly name: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  readonly #onLine = new Set<(line: string) => void>();
  readonly #exited: Promise<void>;

  constructor(options: ChildOptions) {
    watchOwnEnd();
    this.name = options.name;
    this.#process = spawn(options.file, options.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.env && { env: options.env }),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
    this.pid = this.#process.pid ?? -1;
    alive.add(this.#process);
    this.#process.once('error', (error) => this.#keep(`${options.file}: ${error.message}`));
    this.#exited = new Promise((resolve) => {
      const ended = async () => {
        alive.delete(this.#process);
        // Its last words lie in the pipes, and the end can be seen before them: a whole turn of the loop reads them.
        for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
        resolve();
      };
      this.#process.once('exit', ended);
      this.#process.once('error', ended);
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) this.#read(stream);
  }

  get running(): boolean {
    return this.pid !== -1 && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** `0`, `SIGKILL`, … once it has ended. */
  get end(): number | string | null {
    return this.#process.exitCode ?? this.#process.signalCode;
  }

  get exited(): Promise<void> {
    return this.#exited;
  }

  /** All lines so far (the last 20 000), stdout and stderr as they came. */
  lines(): readonly string[] {
    return this.#lines;
  }

  tail(count = 30): string {
    return this.#lines.slice(-count).join('\n');
  }

  /** The first line, past or future, for which `found` says so. */
  async line(found: (line: string) => boolean, timeoutMs = 30_000): Promise<string> {
    const past = this.#lines.find(found);
    if (past !== undefined) return past;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#onLine.delete(look);
        reject(new Error(`${this.name}: no such line within ${timeoutMs} ms; the last were:\n${this.tail()}`));
      }, timeoutMs);
      const look = (line: string): void => {
        if (!found(line)) return;
        clearTimeout(timer);
        this.#onLine.delete(look);
        resolve(line);
      };
      this.#onLine.add(look);
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Sends the signal and, unless it only pauses or resumes, waits for the end. */
  async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.running) return this.#exited;
    this.signal(name);
    if (name === 'SIGSTOP' || name === 'SIGCONT') return;
    await this.#exited;
  }

  /** SIGTERM, and SIGKILL after `graceMs`; a stopped process is resumed first, else it could not obey. */
  async stop(graceMs = 5_000): Promise<void> {
    if (!this.running) return this.#exited;
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.#exited;
    clearTimeout(timer);
  }

  /** Polls `ready` until it says true. @throws Error with the log's end when the child ends or the time is over. */
  async until(ready: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!(await ready())) {
      if (!this.running) {
        await this.#exited;
        throw new Error(`${this.name} ended (${this.end}) before it was ready:\n${this.tail()}`);
      }
      if (performance.now() > endMs) {
        throw new Error(`${this.name} was not ready within ${timeoutMs} ms:\n${this.tail()}`);
      }
      await delay(20);
    }
  }

  #read(stream: NodeJS.ReadableStream | null): void {
    if (stream === null) return;
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#keep(line);
    });
    void once(stream, 'end').then(
      () => rest !== '' && this.#keep(rest),
      () => undefined,
    );
  }

  #keep(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LOG_LINES_KEPT) this.#lines.splice(0, LOG_LINES_KEPT / 10);
    for (const look of [...this.#onLine]) look(line);
  }
}
