import { ALL_LOAD } from '@spillway/contracts/subjects';
import type { Filter } from '@spillway/testing/fault-proxy';

const LOAD = ALL_LOAD.slice(0, -1);
const LINE_END = Buffer.from('\r\n');

/** What becomes of what services hear of each other's load; may be changed at any time. */
export type LoadFaults = { delayMs: number; silent: boolean };

/** Splits what the server sends into messages of the NATS protocol: a line, and after MSG and HMSG a payload. */
class ServerMessages {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<{ subject: string; bytes: Buffer }> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const lineEnd = this.#rest.indexOf(LINE_END);
      if (lineEnd === -1) return;
      const words = this.#rest.toString('latin1', 0, lineEnd).split(' ');
      const hasPayload = words[0] === 'MSG' || words[0] === 'HMSG';
      const payload = hasPayload ? Number(words.at(-1)) + LINE_END.length : 0;
      const end = lineEnd + LINE_END.length + payload;
      if (this.#rest.length < end) return;
      const bytes = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
      yield { subject: hasPayload ? (words[1] ?? '') : '', bytes };
    }
  }
}

/** For a proxy before the bus: messages about load come late, or not at all; everything else passes at once. */
export const loadFilter =
  (faults: LoadFaults): Filter =>
  (pass) => {
    const messages = new ServerMessages();
    return (chunk) => {
      for (const { subject, bytes } of messages.push(chunk)) {
        if (!subject.startsWith(LOAD)) pass(bytes);
        else if (faults.silent) continue;
        else if (faults.delayMs > 0) setTimeout(pass, faults.delayMs, bytes);
        else pass(bytes);
      }
    };
  };
