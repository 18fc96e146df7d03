/** Numbers in [0, 1). */
export type Random = () => number;

/**
 * A stream that depends on seed and name alone, so that what is drawn for arrivals does not shift what is drawn for inputs.
 * sfc32 (Chris Doty-Humphrey, PractRand, public domain), seeded by FNV-1a of the name.
 */
export function randomStream(seed: number, name: string): Random {
  let hash = 0x811c9dc5;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) as number), 0x01000193);
  let a = seed >>> 0;
  let b = Math.floor(seed / 2 ** 32) >>> 0;
  let c = hash >>> 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = (b ^ (b >>> 9)) >>> 0;
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + sum) >>> 0;
    return sum / 2 ** 32;
  };
  for (let n = 0; n < 16; n += 1) next(); // the first outputs still show the seed
  return next;
}
