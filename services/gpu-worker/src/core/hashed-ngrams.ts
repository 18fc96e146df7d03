/**
 * Text → ids of hashed n-grams: the `preprocess` kind `hashed_ngrams` of `model.yaml`. The same rules, byte for byte, as
 * `models/training/hashed_ngrams.py`; golden values in the unit test hold the two together.
 *
 * All on the UTF-8 bytes of the text (no Unicode normalisation, no locale):
 * 1. `lowercase` maps A–Z to a–z and nothing else.
 * 2. A word is a longest run of ASCII letters, ASCII digits and bytes ≥ 0x80; every other byte separates words.
 * 3. Word n-grams: n words joined by one space, for each n of the inclusive range `wordNgrams`.
 * 4. Character n-grams: n code points of ` word word … word `, for each n of the inclusive range `charNgrams`. A code point
 *    is a byte that is no continuation byte and the continuation bytes after it. No words, no n-grams.
 * 5. id = 1 + FNV-1a-32(prefix + n-gram) % buckets; the prefix is the byte `w` or `c`. Id 0 is padding.
 * 6. Order: word n-grams by first word, then by length; character n-grams likewise. What exceeds `maxIds` is cut off.
 * 7. With `maxWords`, n-grams stand with the word that they start in, a space counting to the word behind it; each of the first so
 *    many words has its ids in the order of rule 6, cut at `maxIds`: the ids of a text are [words, maxIds].
 */

/** Ranges are inclusive; a range such as [1, 0] is empty. `padTo` is `max_ids` unless it says otherwise. */
export type HashedNgramsSpec = {
  buckets: number;
  maxIds: number;
  wordNgrams: readonly [number, number];
  charNgrams: readonly [number, number];
  lowercase: boolean;
  padTo?: 'max_ids' | 'longest';
  maxWords?: number;
};

// FNV-1a, 32 bits (Fowler, Noll, Vo).
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const SPACE = 0x20;
const WORD_STATE = fnv1a(FNV_OFFSET, 'w'.charCodeAt(0));
const CHAR_STATE = fnv1a(FNV_OFFSET, 'c'.charCodeAt(0));

const utf8 = new TextEncoder();

/**
 * Ids of each text, INT32, row-major [texts, ids] or [texts, words, maxIds], padded with 0 behind the ids of a row and behind
 * the words of a text. O(bytes × longest n-gram).
 *
 * The width is `maxIds`, or `maxWords` words; with `padTo: 'longest'` it is that of the longest text, rounded up to a multiple of
 * 64 ids or 8 words (at least one multiple, at most the maximum), which spares a graph with a free width its work on padding.
 * @param texts UTF-8 bytes or strings; bytes that are no valid UTF-8 are hashed as they are.
 */
export function hashedNgrams(texts: readonly (Uint8Array | string)[], spec: HashedNgramsSpec): Int32Array {
  const { maxIds, maxWords } = spec;
  const rowIds = maxIds * (maxWords ?? 1);
  const step = widthStep(spec);
  const ids = new Int32Array(texts.length * rowIds);
  let longest = 0;
  for (const [row, text] of texts.entries()) {
    const line = normalise(typeof text === 'string' ? utf8.encode(text) : text, spec.lowercase);
    const at = row * rowIds;
    const written = maxWords === undefined ? writeLine(line, spec, ids, at) : writeWords(line, spec, maxWords, ids, at);
    longest = Math.max(longest, written);
  }
  if (spec.padTo !== 'longest') return ids;
  return narrow(ids, texts.length, rowIds, Math.min(rowIds, Math.max(1, Math.ceil(longest / step)) * step));
}

/** What a width grows by, in ids. */
export const widthStep = ({ maxIds, maxWords }: HashedNgramsSpec): number => (maxWords === undefined ? 64 : 8 * maxIds);

/** Units of a line of which n-grams are made; `gap`: bytes between two, hashed with an n-gram that holds both. */
type Units = { starts: Int32Array; gap: number; prefixState: number; sizes: readonly [number, number] };

const wordsOf = (line: Uint8Array, { wordNgrams }: HashedNgramsSpec): Units => ({
  starts: unitStarts(line, isWordStart),
  gap: 1,
  prefixState: WORD_STATE,
  sizes: wordNgrams,
});
const codePointsOf = (line: Uint8Array, { charNgrams }: HashedNgramsSpec): Units => ({
  starts: unitStarts(line, isCodePointStart),
  gap: 0,
  prefixState: CHAR_STATE,
  sizes: charNgrams,
});
const count = ({ starts }: Units): number => starts.length - 1;

/** Writes the ids of one line from `ids[at]` on; returns how many, at most `maxIds`. */
function writeLine(line: Uint8Array, spec: HashedNgramsSpec, ids: Int32Array, at: number): number {
  if (line.length === 1) return 0;
  const words = wordsOf(line, spec);
  const codePoints = codePointsOf(line, spec);
  const out = { ids, next: at, end: at + spec.maxIds };
  writeNgrams(line, words, 0, count(words), spec.buckets, out);
  writeNgrams(line, codePoints, 0, count(codePoints), spec.buckets, out);
  return out.next - at;
}

/** Rule 7: writes `maxIds` ids for each word from `ids[at]` on; returns how many ids that are. */
function writeWords(line: Uint8Array, spec: HashedNgramsSpec, maxWords: number, ids: Int32Array, at: number): number {
  const words = wordsOf(line, spec);
  const codePoints = codePointsOf(line, spec);
  const written = line.length === 1 ? 0 : Math.min(count(words), maxWords);
  let from = 0;
  for (let word = 0; word < written; word++) {
    const spaceBehind = words.starts[word + 1]! - 1;
    let until = from;
    while (codePoints.starts[until]! < spaceBehind) until++;
    const first = at + word * spec.maxIds;
    const out = { ids, next: first, end: first + spec.maxIds };
    writeNgrams(line, words, word, word + 1, spec.buckets, out);
    writeNgrams(line, codePoints, from, until, spec.buckets, out);
    from = until;
  }
  return written * spec.maxIds;
}

/** Writes the ids of all n-grams that start in units `from` to `until` (by start, then by length) while there is room. */
function writeNgrams(
  line: Uint8Array,
  { starts, gap, prefixState, sizes: [shortest, longest] }: Units,
  from: number,
  until: number,
  buckets: number,
  out: { ids: Int32Array; next: number; readonly end: number },
): void {
  const units = starts.length - 1;
  for (let first = from; first < until; first++) {
    const last = Math.min(first + longest, units) - 1;
    let state = prefixState;
    let position = starts[first]!;
    for (let unit = first; unit <= last; unit++) {
      // A unit ends before the gap that follows it; the gap is hashed when the n-gram goes on.
      for (const stop = starts[unit + 1]! - gap; position < stop; position++) state = fnv1a(state, line[position]!);
      if (unit - first + 1 < shortest) continue;
      if (out.next === out.end) return;
      out.ids[out.next++] = 1 + (state % buckets);
    }
  }
}

/** Where units start in `line`, then its length. */
function unitStarts(line: Uint8Array, startsUnit: (line: Uint8Array, position: number) => boolean): Int32Array {
  const starts = new Int32Array(line.length + 1);
  let count = 0;
  for (let position = 0; position < line.length; position++) if (startsUnit(line, position)) starts[count++] = position;
  starts[count++] = line.length;
  return starts.subarray(0, count);
}

/** Rules 1 and 2 and the padding of rule 4: ` word word … word `, or a single space if there are no words. */
function normalise(text: Uint8Array, lowercase: boolean): Uint8Array {
  const line = new Uint8Array(text.length + 2);
  line[0] = SPACE;
  let length = 1;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i]!;
    if (isWordByte(byte)) line[length++] = lowercase && byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    else if (line[length - 1] !== SPACE) line[length++] = SPACE;
  }
  if (line[length - 1] !== SPACE) line[length++] = SPACE;
  return line.subarray(0, length);
}

function isWordByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) || byte >= 0x80 || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39)
  );
}

function isWordStart(line: Uint8Array, position: number): boolean {
  return position > 0 && line[position] !== SPACE && line[position - 1] === SPACE;
}

function isCodePointStart(line: Uint8Array, position: number): boolean {
  return (line[position]! & 0xc0) !== 0x80;
}

function fnv1a(state: number, byte: number): number {
  return Math.imul(state ^ byte, FNV_PRIME) >>> 0;
}

/** The first `width` of `maxIds` columns. */
function narrow(ids: Int32Array, rows: number, maxIds: number, width: number): Int32Array {
  const out = new Int32Array(rows * width);
  for (let row = 0; row < rows; row++) out.set(ids.subarray(row * maxIds, row * maxIds + width), row * width);
  return out;
}
