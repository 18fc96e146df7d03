import type { Choices } from './random.ts';

/** What stands in the place of a value: other types, other sizes, numbers at the edge of their types. */
const ODD: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 53 + 2,
  1e39,
  1e308,
  -0,
  '',
  'x',
  '1',
  'NaN',
  '\u0000',
  '\ud800',
  'ä€😀',
  'x'.repeat(300),
  'constructor',
  '__proto__',
  '../../etc/passwd',
  [],
  [[]],
  [[[1]]],
  [1, [2]],
  {},
  { a: 1 },
  { name: 'x' },
  'FP32',
  'BYTES',
  'FP16',
  'INT64',
  [1, 64],
  [0, 64],
  [1, 0],
  [2 ** 40, 2 ** 40],
  [-1, 64],
];
/** Numbers that JSON has and JavaScript has not. */
const ODD_TEXTS = [
  '1e400',
  '-1e400',
  '18446744073709551616',
  '9223372036854775808',
  '0.1e-400',
  'NaN',
  '01',
  '+1',
  '.5',
];
const MEMBERS = ['inputs', 'outputs', 'parameters', 'name', 'datatype', 'shape', 'data', 'id', 'text', 'entities'];
const PARAMETERS = [
  'priority',
  'timeout',
  'binary_data',
  'binary_data_size',
  'binary_data_output',
  'classification',
  'sequence_id',
  'sequence_start',
  'shared_memory_region',
  'spillway_accept',
  'spillway_receipt',
  'triton_enable_empty_final_response',
  'triton_own',
  'headers',
  'own',
];

type Place = { holder: Record<string, unknown> | unknown[]; key: string };

function placesOf(value: unknown, places: Place[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return places;
  for (const key of Object.keys(value)) {
    // Of long arrays a few elements stand for all.
    if (Array.isArray(value) && Number(key) > 3) break;
    places.push({ holder: value as Place['holder'], key });
    placesOf((value as Record<string, unknown>)[key], places);
  }
  return places;
}

const MARK = '<odd number>';

/** A good body with one to three things wrong, as text. */
export function oddJson(good: unknown, choices: Choices): string {
  const body = structuredClone(good);
  let mark: string | undefined;
  for (let left = 1 + choices.below(3); left > 0; left -= 1) {
    const places = placesOf(body);
    if (places.length === 0) break;
    const { holder, key } = choices.of(places);
    const members = holder as Record<string, unknown>;
    const kind = choices.below(10);
    if (kind <= 2) members[key] = structuredClone(choices.of(ODD));
    else if (kind === 3) {
      members[key] = MARK;
      mark = choices.of(ODD_TEXTS);
    } else if (kind === 4) {
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete members[key];
    } else if (kind === 5) {
      if (Array.isArray(holder)) holder.push(...structuredClone(holder).slice(0, 1 + choices.below(100)));
      else members[choices.of(MEMBERS)] = structuredClone(choices.of(ODD));
    } else if (kind >= 6 && kind <= 8 && !Array.isArray(holder)) {
      members['parameters'] = { [choices.of(PARAMETERS)]: structuredClone(choices.of(ODD)) };
    } else members[key] = Array.isArray(members[key]) ? [members[key]] : [structuredClone(members[key])];
  }
  const text = JSON.stringify(body);
  return mark === undefined ? text : text.replaceAll(JSON.stringify(MARK), mark);
}

/** A good text that is no JSON any more, or in another way not what it was. */
export function oddText(good: string, choices: Choices): Buffer {
  const kind = choices.below(7);
  if (kind === 0) return Buffer.from(`[${good}]`);
  if (kind === 1) return Buffer.from(`\ufeff${good}`);
  if (kind === 2) return Buffer.from(good, 'utf16le');
  if (kind === 3) return Buffer.from('['.repeat(1 + choices.below(20_000)));
  if (kind === 4) return Buffer.from(`${good}${good}`);
  if (kind === 5) return Buffer.alloc(0);
  return choices.damaged(Buffer.from(good));
}
