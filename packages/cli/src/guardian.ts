import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/**
 * The process that outlives the launcher to end its children; see `guardian.sh`. It needs no code in the services and holds
 * for programs that are not ours. Costs 1 MB.
 */
export class Guardian {
  readonly #pids = new Set<number>();
  #process: ChildProcess;
  #closed = false;

  constructor() {
    this.#process = this.#start();
  }

  add(pid: number): void {
    this.#pids.add(pid);
    this.#tell(`+ ${pid}\n`);
  }

  remove(pid: number): void {
    if (this.#pids.delete(pid)) this.#tell(`- ${pid}\n`);
  }

  /** Call when all children have ended. */
  close(): void {
    this.#closed = true;
    this.#process.stdin?.end();
  }

  #start(): ChildProcess {
    // Its own session: Ctrl-C in the terminal is for the launcher only.
    const child = spawn('/bin/sh', [join(import.meta.dirname, 'guardian.sh')], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin?.on('error', () => {}); // it died: `exit` below starts another
    child.on('exit', () => {
      if (this.#closed) return;
      this.#process = this.#start();
      for (const pid of this.#pids) this.#tell(`+ ${pid}\n`);
    });
    child.on('error', () => {}); // no /bin/sh: children then only end with an orderly launcher
    child.unref();
    return child;
  }

  #tell(line: string): void {
    this.#process.stdin?.write(line);
  }
}
