/** Control characters could move the cursor or change the terminal; marks of direction could make a line read otherwise. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text of others, fit to be written to a terminal. */
export const plain = (text: string): string => text.replaceAll(UNSAFE, '?');

/** Cuts to `width` characters, the last of them `ellipsis`. */
export function truncate(text: string, width: number, ellipsis: string): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  return characters.slice(0, Math.max(0, width - 1)).join('') + ellipsis;
}

/** Exactly |width| characters: text to the left, or with a negative width to the right. */
export function pad(text: string, width: number, ellipsis: string): string {
  const cut = truncate(text, Math.abs(width), ellipsis);
  const fill = ' '.repeat(Math.abs(width) - [...cut].length);
  return width < 0 ? fill + cut : cut + fill;
}

/** Three figures and a unit: `780 µs`, `12.4 ms`, `1.24 s`. */
export function formatDuration(ms: number, micro = 'µs'): string {
  const figures = (value: number) =>
    value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
  if (Math.abs(ms) < 0.0005) return '0 ms';
  if (ms < 0.9995) return `${Math.round(ms * 1_000)} ${micro}`;
  return ms < 999.5 ? `${figures(ms)} ms` : `${figures(ms / 1_000)} s`;
}
