import { appendFile, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const SEGMENT = /^(\d{8})\.jsonl$/;
/** A segment is closed above this; small enough to be read at once. */
const SEGMENT_BYTES = 1_048_576;
/** Compaction waits until there is this much, and twice what the last one left: so each byte is rewritten about once. */
const MIN_COMPACT_BYTES = 8 * SEGMENT_BYTES;
/** Many short runs leave many short segments. */
const MAX_SEGMENTS = 16;
/** Lines written at once by a compaction. */
const PIECE = 500;

/**
 * JSON lines in numbered files that are only appended to. A process never appends to a file of an earlier one, whose last
 * line may be torn; opening writes nothing, so that a second process can read while the first writes.
 */
export class SegmentFiles {
  readonly #dir: string;
  #next: number;
  #current: string | undefined;
  #currentBytes = 0;
  #bytes: number;
  #segments: number;
  #keptBytes = 0;

  private constructor(dir: string, next: number, segments: number, bytes: number) {
    this.#dir = dir;
    this.#next = next;
    this.#segments = segments;
    this.#bytes = bytes;
  }

  /** Reads what is there. Torn or foreign lines are left out; a folder that does not exist is empty. */
  static async open(dir: string, onLine: (value: unknown) => void): Promise<SegmentFiles> {
    const names = await segmentNames(dir);
    let bytes = 0;
    for (const name of names) {
      const text = await readFile(join(dir, name), 'utf8').catch(ignoreMissing);
      bytes += Buffer.byteLength(text);
      for (const line of text.split('\n')) {
        const value = parseLine(line);
        if (value !== undefined) onLine(value);
      }
    }
    const next = Number(SEGMENT.exec(names.at(-1) ?? '')?.[1] ?? 0) + 1;
    return new SegmentFiles(dir, next, names.length, bytes);
  }

  /** @throws the file system's error; what was not written is lost. */
  async append(values: readonly unknown[]): Promise<void> {
    const text = toLines(values);
    if (this.#current === undefined || this.#currentBytes >= SEGMENT_BYTES) await this.#begin();
    await appendFile(this.#current as string, text, { mode: 0o600 });
    this.#currentBytes += Buffer.byteLength(text);
    this.#bytes += Buffer.byteLength(text);
  }

  get shouldCompact(): boolean {
    const tooMany = this.#segments > MAX_SEGMENTS + this.#keptBytes / SEGMENT_BYTES;
    return tooMany || this.#bytes >= Math.max(MIN_COMPACT_BYTES, 2 * this.#keptBytes);
  }

  /**
   * Writes `values` to a new segment and removes all others. A crash in between leaves duplicates, not holes.
   * Piece by piece, so that a large folder does not hold up whatever else the process does.
   */
  async compact(values: Iterable<unknown>): Promise<void> {
    const old = await segmentNames(this.#dir);
    await this.#begin();
    const target = this.#current as string;
    let bytes = 0;
    const file = await open(`${target}.tmp`, 'w', 0o600);
    try {
      for (const piece of pieces(values, PIECE)) bytes += (await file.write(toLines(piece))).bytesWritten;
    } finally {
      await file.close();
    }
    await rename(`${target}.tmp`, target);
    for (const name of old) await unlink(join(this.#dir, name)).catch(ignoreMissing);
    this.#current = undefined;
    this.#segments = 1;
    this.#bytes = bytes;
    this.#keptBytes = bytes;
  }

  async #begin(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    this.#current = join(this.#dir, `${String(this.#next).padStart(8, '0')}.jsonl`);
    this.#currentBytes = 0;
    this.#next += 1;
    this.#segments += 1;
  }
}

async function segmentNames(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  return names.filter((name) => SEGMENT.test(name)).sort();
}

/** Another process compacted meanwhile: what stood there stands in a later segment. */
function ignoreMissing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}

function* pieces(values: Iterable<unknown>, size: number): Generator<unknown[]> {
  let piece: unknown[] = [];
  for (const value of values) {
    piece.push(value);
    if (piece.length < size) continue;
    yield piece;
    piece = [];
  }
  yield piece;
}

const toLines = (values: readonly unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join('');

function parseLine(line: string): unknown {
  if (line === '') return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
