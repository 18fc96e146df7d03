import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type HashedNgramsSpec, hashedNgrams } from '../../src/core/hashed-ngrams.ts';

/** Written by models/training/export_ngram_fixture.py. */
type Golden = {
  spec: {
    buckets: number;
    max_ids: number;
    word_ngrams: [number, number];
    char_ngrams: [number, number];
    lowercase: boolean;
    max_words?: number;
  };
  /** Ids with spaces between them; with max_words, a comma after each word but the last. */
  rows: { hex: string; ids: string }[];
}[];

const golden: Golden = JSON.parse(readFileSync(new URL('./fixtures/hashed-ngrams.json', import.meta.url), 'utf8'));

const spec: HashedNgramsSpec = {
  buckets: 16384,
  maxIds: 512,
  wordNgrams: [1, 2],
  charNgrams: [3, 4],
  lowercase: true,
};

function toSpec(s: Golden[number]['spec']): HashedNgramsSpec {
  return {
    buckets: s.buckets,
    maxIds: s.max_ids,
    wordNgrams: s.word_ngrams,
    charNgrams: s.char_ngrams,
    lowercase: s.lowercase,
    ...(s.max_words !== undefined && { maxWords: s.max_words }),
  };
}

describe('hashedNgrams', () => {
  for (const [index, { spec: written, rows }] of golden.entries()) {
    it(`gives the ids used in training, padded with 0 to max_ids (specification ${index})`, () => {
      const texts = rows.map((row) => Buffer.from(row.hex, 'hex'));
      const ids = hashedNgrams(texts, toSpec(written));
      const rowIds = written.max_ids * (written.max_words ?? 1);
      assert.equal(ids.length, rows.length * rowIds);
      for (const [row, { hex, ids: expected }] of rows.entries()) {
        const padded: number[] = new Array(rowIds).fill(0);
        for (const [word, text] of expected.split(',').entries()) {
          const own = text.split(' ').filter((id) => id !== '');
          for (const [i, id] of own.entries()) padded[word * written.max_ids + i] = Number(id);
        }
        const actual = [...ids.subarray(row * rowIds, (row + 1) * rowIds)];
        assert.deepEqual(actual, padded, Buffer.from(hex, 'hex').toString());
      }
    });
  }

  it('reads a string as its UTF-8 bytes', () => {
    const text = 'Zürich, İstanbul, 日本 🙂';
    assert.deepEqual(hashedNgrams([text], spec), hashedNgrams([Buffer.from(text)], spec));
  });

  it('lower-cases ASCII letters only', () => {
    assert.deepEqual(hashedNgrams(['WHERE IS MY CARD'], spec), hashedNgrams(['where is my card'], spec));
    assert.notDeepEqual(hashedNgrams(['ÄPFEL'], spec), hashedNgrams(['äpfel'], spec));
  });

  it('does not normalise Unicode: a composed and a decomposed letter are different n-grams', () => {
    assert.notDeepEqual(hashedNgrams(['é'], spec), hashedNgrams(['e\u0301'], spec));
  });

  it('gives only padding for a text without words', () => {
    assert.ok(hashedNgrams(['', ' ?! '], spec).every((id) => id === 0));
  });

  it('does not depend on the other rows of the batch', () => {
    const together = hashedNgrams(['first question', 'second, much longer question'], spec);
    assert.deepEqual(together.subarray(0, spec.maxIds), hashedNgrams(['first question'], spec));
    assert.deepEqual(together.subarray(spec.maxIds), hashedNgrams(['second, much longer question'], spec));
  });

  it('pads to the longest row, in steps of 64, when asked', () => {
    const texts = ['hi', 'where is my card, which I ordered last week?'];
    const longest: HashedNgramsSpec = { ...spec, padTo: 'longest' };
    const full = hashedNgrams(texts, spec);
    const narrow = hashedNgrams(texts, longest);
    const width = narrow.length / texts.length;
    assert.equal(width, 128);
    for (const row of texts.keys()) {
      const ids = [...full.subarray(row * spec.maxIds, (row + 1) * spec.maxIds)];
      assert.deepEqual([...narrow.subarray(row * width, (row + 1) * width)], ids.slice(0, width));
      assert.ok(ids.slice(width).every((id) => id === 0));
    }
    assert.equal(hashedNgrams(['word '.repeat(1000)], longest).length, spec.maxIds);
    assert.equal(hashedNgrams([''], longest).length, 64);
  });

  it('keeps every id in 1..buckets', () => {
    const ids = hashedNgrams(['what is the exchange rate for dollars today'], { ...spec, buckets: 3 });
    const used = new Set(ids);
    assert.deepEqual([...used].sort(), [0, 1, 2, 3]);
  });

  it('lays the n-grams with the word they start in with maxWords, and pads to the most words in steps of 8, when asked', () => {
    const byWord: HashedNgramsSpec = { ...spec, maxIds: 24, maxWords: 12 };
    const texts = ['where is my card', 'one two three four five six seven eight nine ten eleven twelve thirteen'];
    const full = hashedNgrams(texts, byWord);
    const textIds = 12 * 24;
    assert.equal(full.length, texts.length * textIds);
    const idsOf = (ids: Int32Array) => [...ids].filter((id) => id !== 0).sort((a, b) => a - b);
    assert.deepEqual(
      idsOf(full.subarray(0, textIds)),
      idsOf(hashedNgrams(texts.slice(0, 1), spec)),
      'the same n-grams',
    );
    const card = hashedNgrams(['card'], { ...byWord, maxWords: 1 });
    assert.deepEqual(full.subarray(3 * 24, 4 * 24), card, 'nothing follows the last word');
    assert.ok(full.subarray(4 * 24, textIds).every((id) => id === 0));
    const first = hashedNgrams(texts.slice(0, 1), { ...byWord, padTo: 'longest' });
    assert.deepEqual(first, full.subarray(0, 8 * 24));
    assert.deepEqual(hashedNgrams(texts, { ...byWord, padTo: 'longest' }), full);
  });
});
