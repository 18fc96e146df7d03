import { LoadError } from './load-error.ts';
import type { Random } from './random.ts';
import { bytesField } from './wire.ts';

/** A tensor as a model's metadata declare it, −1 for what a request chooses. */
export type TensorSpec = { name: string; datatype: string; shape: readonly number[] };

export type InputOptions = {
  rows: number;
  /** What stands for further variable dimensions. */
  columns: number;
  /** Rows of BYTES tensors, in turn. */
  texts: readonly string[];
  random: Random;
};

/** The values of one tensor: `n` numbers the request, and different requests have different values. */
export type TensorSource = {
  name: string;
  datatype: string;
  shape: readonly number[];
  /** Elements as JSON, without brackets. */
  json(n: number): string;
  /** Elements little-endian, as `raw_input_contents` has them. */
  raw(n: number): Buffer;
  /** Elements as they come back from a model that answers what it was given. */
  values(n: number): readonly (number | string)[];
};

type Numeric = {
  bytes: number;
  write: (into: Buffer, value: number, at: number) => void;
  draw: (random: Random) => number;
};

const decimals = (random: Random): number => Math.round((random() * 4 - 2) * 10_000) / 10_000;
const small = (random: Random): number => Math.floor(random() * 100);

const NUMERIC: Record<string, Numeric> = {
  FP32: { bytes: 4, write: (b, v, at) => void b.writeFloatLE(v, at), draw: decimals },
  FP64: { bytes: 8, write: (b, v, at) => void b.writeDoubleLE(v, at), draw: decimals },
  INT8: { bytes: 1, write: (b, v, at) => void b.writeInt8(v, at), draw: small },
  INT16: { bytes: 2, write: (b, v, at) => void b.writeInt16LE(v, at), draw: small },
  INT32: { bytes: 4, write: (b, v, at) => void b.writeInt32LE(v, at), draw: small },
  INT64: { bytes: 8, write: (b, v, at) => void b.writeBigInt64LE(BigInt(v), at), draw: small },
  UINT8: { bytes: 1, write: (b, v, at) => void b.writeUInt8(v, at), draw: small },
  UINT16: { bytes: 2, write: (b, v, at) => void b.writeUInt16LE(v, at), draw: small },
  UINT32: { bytes: 4, write: (b, v, at) => void b.writeUInt32LE(v, at), draw: small },
  UINT64: { bytes: 8, write: (b, v, at) => void b.writeBigUInt64LE(BigInt(v), at), draw: small },
};

/** @throws LoadError naming the tensor when its type or shape cannot be made. */
export function tensorSource(spec: TensorSpec, options: InputOptions): TensorSource {
  const shape = spec.shape.map((size, n) => (size >= 0 ? size : n === 0 ? options.rows : options.columns));
  const count = shape.reduce((product, size) => product * size, 1);
  if (!(count > 0))
    throw new LoadError(`input ${spec.name}: expected a shape with elements, got [${shape.join(', ')}]`);
  const of = { name: spec.name, datatype: spec.datatype, shape };
  if (spec.datatype === 'BYTES') return { ...of, ...textValues(count, options.texts) };
  const numeric = NUMERIC[spec.datatype];
  if (numeric === undefined) {
    throw new LoadError(
      `input ${spec.name}: expected BYTES or one of ${Object.keys(NUMERIC).join(', ')}, got ${spec.datatype}`,
    );
  }
  return { ...of, ...numericValues(numeric, spec.datatype, count, options.random) };
}

type Values = Pick<TensorSource, 'json' | 'raw' | 'values'>;

const TEMPLATES = 64; // what follows the digits; the digits alone make requests different

/** The first elements are the digits of `n`, the rest is drawn once. */
function numericValues({ bytes, write, draw }: Numeric, datatype: string, count: number, random: Random): Values {
  const digits = digitsOf(datatype, count);
  const rests = Array.from({ length: TEMPLATES }, () =>
    Array.from({ length: count - digits.count }, () => draw(random)),
  );
  const texts = rests.map((rest) => rest.map((value) => `,${value}`).join(''));
  const images = rests.map((rest) => {
    const image = Buffer.alloc(bytes * count);
    rest.forEach((value, n) => void write(image, value, (digits.count + n) * bytes));
    return image;
  });
  const json = (n: number): string => {
    let text = String(digits.value(n, 0));
    for (let digit = 1; digit < digits.count; digit += 1) text += `,${digits.value(n, digit)}`;
    return text + (texts[n % TEMPLATES] as string);
  };
  const raw = (n: number): Buffer => {
    const image = Buffer.from(images[n % TEMPLATES] as Buffer);
    for (let digit = 0; digit < digits.count; digit += 1) write(image, digits.value(n, digit), digit * bytes);
    return image;
  };
  const values = (n: number): number[] => [
    ...Array.from({ length: digits.count }, (_, digit) => digits.value(n, digit)),
    ...(rests[n % TEMPLATES] as number[]),
  ];
  return { json, raw, values };
}

type Digits = { count: number; value: (n: number, digit: number) => number };

/** A lone float holds the whole number; several keep to the size of the other values. */
function digitsOf(datatype: string, count: number): Digits {
  if (datatype.startsWith('FP')) {
    if (count === 1) return { count: 1, value: (n) => n % 2 ** 24 }; // exact in FP32
    const value = (n: number, digit: number): number =>
      ((digit === 0 ? n : Math.floor(n / 40_000)) % 40_000) / 10_000 - 2;
    return { count: 2, value };
  }
  return { count: Math.min(count, 4), value: (n, digit) => Math.floor(n / 100 ** digit) % 100 };
}

function textValues(count: number, texts: readonly string[]): Values {
  const values = (n: number): string[] =>
    Array.from({ length: count }, (_, row) => {
      const text = texts[(n * count + row) % texts.length] as string;
      return row === 0 ? `${text} ${n}` : text;
    });
  const json = (n: number): string => JSON.stringify(values(n)).slice(1, -1);
  const raw = (n: number): Buffer => Buffer.concat(values(n).flatMap((text) => lengthPrefixed(Buffer.from(text))));
  return { json, raw, values };
}

function lengthPrefixed(bytes: Buffer): Buffer[] {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return [length, bytes];
}

/** For models that take text, where no others were given. */
export const SAMPLE_TEXTS: readonly string[] = [
  'When will my new card arrive?',
  'I was charged twice for the same purchase.',
  'How do I change my PIN?',
  'My transfer to another bank has not arrived yet.',
  'Which currencies can I hold in my account?',
  'The cash machine kept my card.',
  'Why was my payment declined abroad?',
  'Please close my account.',
  'Can I top up with a cheque?',
  'What is the exchange rate for euros today?',
];

/** `raw_input_contents` of a ModelInferRequest: entries in the order of the inputs. */
export const rawContents = (sources: readonly TensorSource[], n: number): Buffer[] =>
  sources.map((source) => bytesField(7, source.raw(n)));
