type Shown = { datatype: string; shape: readonly number[]; data: ArrayLike<unknown> };

const MOST = 64;

/** A tensor in one line; of many elements the first. */
export function tensorLine(name: string, { datatype, shape, data }: Shown): string {
  const elements = Array.from({ length: Math.min(data.length, MOST) }, (_, i) => textOf(data[i]));
  const more = data.length > MOST ? `, … ${data.length} in all` : '';
  return `${name}  ${datatype} [${shape.join(', ')}]  [${elements.join(',')}${more}]`;
}

const textOf = (value: unknown): string => (typeof value === 'bigint' ? String(value) : JSON.stringify(value));

/** JSON for people and programs: typed arrays as lists, integers of 64 bits with all their digits as texts. */
export const toJson = (value: unknown): string =>
  JSON.stringify(
    value,
    (_key, member: unknown) => {
      if (ArrayBuffer.isView(member)) return Array.from(member as unknown as ArrayLike<unknown>);
      return typeof member === 'bigint' ? String(member) : member;
    },
    2,
  );
