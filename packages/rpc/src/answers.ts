import type { Duplex } from './message-stream.ts';

/** Bytes of results in one message; a bigger result travels alone. Far below the largest message of the mesh. */
const MESSAGE_BYTES = 1024 * 1024;

export type AnswersOptions<T, Out> = {
  stream: Pick<Duplex<never, Out>, 'send' | 'onDrain' | 'pause' | 'resume'>;
  message: (results: T[]) => Out;
  /** About how many bytes a result takes in a message. */
  sizeOf: (result: T) => number;
  /** Questions unanswered at once; beyond it none is read until half of them are answered. */
  maxOpen: number;
};

/**
 * The answers of one stream: those of one turn of the event loop leave in one message. Stops reading from a peer that has
 * too many questions open, or that does not read what it asked for, so that neither can fill the memory.
 */
export class Answers<T, Out> {
  readonly #options: AnswersOptions<T, Out>;
  #results: T[] = [];
  #refused: Out[] = []; // in order, waiting for the stream to drain; bounded by what was open when reading stopped
  #scheduled = false;
  #open = 0;
  #paused = false;

  constructor(options: AnswersOptions<T, Out>) {
    this.#options = options;
    options.stream.onDrain(() => this.#retry());
  }

  /** So many questions were read; an answer for each of them follows. */
  asked(count: number): void {
    this.#open += count;
    this.#balance();
  }

  add(result: T): void {
    this.#open -= 1;
    this.#results.push(result);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const results = this.#results;
    this.#results = [];
    let from = 0;
    let bytes = 0;
    for (const [index, result] of results.entries()) {
      const size = this.#options.sizeOf(result);
      if (index > from && bytes + size > MESSAGE_BYTES) {
        this.#send(this.#options.message(results.slice(from, index)));
        from = index;
        bytes = 0;
      }
      bytes += size;
    }
    this.#send(this.#options.message(from === 0 ? results : results.slice(from)));
    this.#balance();
  }

  #send(message: Out): void {
    if (this.#refused.length > 0 || !this.#options.stream.send(message)) this.#refused.push(message);
  }

  #retry(): void {
    while (this.#refused.length > 0 && this.#options.stream.send(this.#refused[0]!)) this.#refused.shift();
    this.#balance();
  }

  #balance(): void {
    const { stream, maxOpen } = this.#options;
    const stop = this.#refused.length > 0 || this.#open > (this.#paused ? maxOpen / 2 : maxOpen);
    if (stop === this.#paused) return;
    this.#paused = stop;
    if (stop) stream.pause();
    else stream.resume();
  }
}
