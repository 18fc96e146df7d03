import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '@spillway/config/config-error';
import { z } from 'zod';

/* What model.yaml says of text: ids made of it before the run, labels put on scores after it. */

const MAX_HASH_BUCKETS = 1 << 24;
const MAX_IDS = 65_536; // of one text

/** Of a graph: anything its maker chose. */
export const tensorName = z.string().min(1).max(256);
const range = z.tuple([z.int().min(0).max(64), z.int().min(0).max(64)]);

export const preprocess = z
  .strictObject({
    kind: z.literal('hashed_ngrams'),
    input: tensorName,
    output: tensorName,
    buckets: z.int().min(1).max(MAX_HASH_BUCKETS),
    max_ids: z.int().min(1).max(MAX_IDS),
    word_ngrams: range,
    char_ngrams: range,
    lowercase: z.boolean(),
    pad_to: z.enum(['max_ids', 'longest']).optional(),
    max_words: z.int().min(1).max(4_096).optional(),
  })
  .refine(({ max_ids, max_words = 1 }) => max_ids * max_words <= MAX_IDS, {
    path: ['max_words'],
    message: `expected max_ids × max_words of at most ${MAX_IDS}`,
  })
  .transform(({ kind, input, output, buckets, max_ids, word_ngrams, char_ngrams, lowercase, pad_to, max_words }) => ({
    kind,
    input,
    output,
    spec: {
      buckets,
      maxIds: max_ids,
      wordNgrams: word_ngrams,
      charNgrams: char_ngrams,
      lowercase,
      ...(pad_to && { padTo: pad_to }),
      ...(max_words !== undefined && { maxWords: max_words }),
    },
  }));

const labels = z.array(z.string().max(256)).min(1).max(100_000);
export const postprocess = z.strictObject({
  kind: z.literal('label'),
  scores: tensorName,
  output: tensorName,
  /** The labels themselves, or a JSON file beside model.yaml that holds them. */
  labels: z.union([
    labels,
    z.string().regex(/^[A-Za-z0-9_-]+\.json$/, 'expected a list, or the name of a .json file beside it'),
  ]),
});

/** The labels of a model, read from their file where they do not stand in the declaration. @throws ConfigError */
export function labelsOf(wanted: z.infer<typeof postprocess> | undefined, file: string, folder: string): string[] {
  if (wanted === undefined) return [];
  if (typeof wanted.labels !== 'string') return wanted.labels;
  const fault = (text: string, cause?: unknown) =>
    new ConfigError(file, [{ subject: 'postprocess.labels', text }], { cause });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(join(folder, wanted.labels), 'utf8'));
  } catch (cause) {
    throw fault(`expected a JSON file "${wanted.labels}" beside it that can be read`, cause);
  }
  const checked = labels.safeParse(content);
  if (!checked.success) throw fault(`expected a list of texts in "${wanted.labels}"`);
  return checked.data;
}
