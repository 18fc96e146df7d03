/** Text that may stand between tags and in attributes. */
export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

type Attributes = Readonly<Record<string, string | number>>;

/** One element; numbers are cut to a tenth of a unit, `content` is markup. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? short(value) : escapeXml(value)}"`)
    .join('');
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

const short = (value: number): string => String(Math.round(value * 10) / 10);

/** A point in pixels; null leaves a gap in the line. */
export type Point = readonly [x: number, y: number] | null;

/** The `d` of a line through points. */
export function linePath(points: readonly Point[]): string {
  let d = '';
  let isOpen = false;
  for (const point of points) {
    if (point === null) isOpen = false;
    else {
      d += `${isOpen ? 'L' : 'M'}${short(point[0])} ${short(point[1])}`;
      isOpen = true;
    }
  }
  return d;
}

/** The `d` of the area between two lines of the same length. */
export function areaPath(
  upper: readonly (readonly [number, number])[],
  lower: readonly (readonly [number, number])[],
): string {
  return upper.length === 0 ? '' : `${linePath(upper)}L${linePath([...lower].reverse()).slice(1)}Z`;
}
