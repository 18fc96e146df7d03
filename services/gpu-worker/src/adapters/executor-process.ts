import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import {
  type BatchResult,
  batchResultCodec,
  type LoadedModel,
  type LoadModel,
  loadedModelCodec,
  loadModelCodec,
} from '../core/executor-messages.ts';
import { FRAME, type FrameKind, FrameReader, frameHeader } from '../core/pipe-frames.ts';

const MAIN = fileURLToPath(new URL('./executor-main.ts', import.meta.url));
const MAX_NOTE_CHARACTERS = 2_000;

/** A young generation of 2 MB: batches die young, and 16 MB of it would be resident in every idle executor. */
const NODE_OPTIONS = ['--max-semi-space-size=2'];

export type ExecutorEvents = {
  onLoaded: (loaded: LoadedModel) => void;
  onDone: (result: BatchResult) => void;
  /** Once, when the process is gone. `note` is the end of what it wrote to standard error: for the log. */
  onExit: (exit: { how: string; note: string }) => void;
};

/** One executor child, seen from the worker: a pipe of frames and an end. It ends when this process does. */
export class ExecutorProcess {
  readonly pid: number;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  #note = '';

  /** @param env The child's whole environment: it needs no address and no secret of the worker's. */
  constructor(events: ExecutorEvents, env: NodeJS.ProcessEnv) {
    this.#child = spawn(process.execPath, [...NODE_OPTIONS, MAIN], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      env,
    });
    this.pid = this.#child.pid ?? -1;
    this.#pipe = this.#child.stdio[3] as Duplex;
    const reader = new FrameReader((kind, payload) => {
      if (kind === FRAME.done) events.onDone(batchResultCodec.decode(payload));
      else if (kind === FRAME.loaded) events.onLoaded(loadedModelCodec.decode(payload));
    });
    this.#pipe.on('data', (chunk: Buffer) => reader.push(chunk));
    this.#pipe.on('error', () => undefined); // its exit says it all
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#note = (this.#note + text).slice(-MAX_NOTE_CHARACTERS);
    });
    const gone = Promise.withResolvers<string>();
    this.#child.once('error', (error) => gone.resolve(error.message)); // it could not be started
    this.#child.once('close', (code, signal) => gone.resolve(signal ?? `code ${code}`)); // after all it wrote was read
    this.exited = gone.promise.then((how) => {
      this.#pipe.destroy();
      events.onExit({ how, note: this.#note });
    });
  }

  load(model: LoadModel): void {
    this.#write(FRAME.load, loadModelCodec.encode(model), 0);
  }

  /** It needs this version no more; no batch of it follows. */
  release(model: LoadModel): void {
    this.#write(FRAME.release, loadModelCodec.encode(model), 0);
  }

  /** @param message A serialized BatcherMessage, passed on as it is. @param arrivedMs On the host's clock. */
  run(message: Uint8Array, arrivedMs: number): void {
    this.#write(FRAME.run, message, arrivedMs);
  }

  #write(kind: FrameKind, payload: Uint8Array, stampMs: number): void {
    this.#pipe.cork();
    this.#pipe.write(frameHeader(kind, payload.length, stampMs));
    this.#pipe.write(payload);
    this.#pipe.uncork();
  }

  /** At once, wherever it is: a run in native code hears nothing else. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** It ends by itself after the run it is in. */
  end(): void {
    this.#pipe.end();
  }
}
