import { axisNumber, type Scale } from './scale.ts';
import { areaPath, element, escapeXml, linePath, type Point } from './svg.ts';

export const WIDTH = 600;
const HEIGHT = 200;
const MARGIN = { left: 54, right: 20, top: 20, bottom: 24 };

/** Pixels of the plot's edges. */
export const PLOT = {
  left: MARGIN.left,
  right: WIDTH - MARGIN.right,
  top: MARGIN.top,
  bottom: HEIGHT - MARGIN.bottom,
} as const;

/** `colour` is a CSS value. */
export type Line = {
  name: string;
  colour: string;
  points: readonly (readonly [x: number, y: number | null])[];
  dash?: boolean;
};
export type Area = { name: string; colour: string; values: readonly number[] };
/** A stretch of the x axis with a name. */
export type Band = { label: string; from: number; to: number };

export type ChartOptions = {
  x: Scale;
  y: Scale;
  yLabel: string;
  /** Names of the x axis' lines; numbers by default. */
  xName?: (value: number) => string;
  bands?: readonly Band[];
  lines?: readonly Line[];
  /** Stacked, the first at the bottom; `at` has the x of every value. */
  areas?: { at: readonly number[]; stack: readonly Area[] };
  bars?: readonly { from: number; to: number; height: number; colour: string; title: string }[];
  /** What the pointer shows over a stretch of the x axis. */
  hints?: readonly { from: number; to: number; text: string }[];
};

/** One chart as an SVG that scales with its column and follows the page's colours. */
export function chart(options: ChartOptions): string {
  const { areas, bands = [], lines = [], bars = [], hints = [], x, y } = options;
  const parts = [
    ...bands.map((band, n) => bandOf(band, n, x)),
    ...axes(options),
    ...(areas === undefined ? [] : stackOf(areas.at, areas.stack, options)),
    ...bars.map(({ from, to, height, colour, title }) =>
      element(
        'rect',
        {
          x: x(from),
          y: y(height),
          width: Math.max(1, x(to) - x(from) - 1),
          height: PLOT.bottom - y(height),
          fill: colour,
        },
        element('title', {}, escapeXml(title)),
      ),
    ),
    ...lines.map((line) => lineOf(line, options)),
    ...hints.map(({ from, to, text }) =>
      element(
        'rect',
        { class: 'hint', x: x(from), y: PLOT.top, width: x(to) - x(from), height: PLOT.bottom - PLOT.top },
        element('title', {}, escapeXml(text)),
      ),
    ),
  ];
  return element('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' }, parts.join(''));
}

function bandOf({ label, from, to }: Band, n: number, x: Scale): string {
  const area = { class: n % 2 === 1 ? 'band odd' : 'band', x: x(from), y: PLOT.top, width: x(to) - x(from) };
  const fits = x(to) - x(from) > 5.5 * label.length;
  const name = fits
    ? text(label, { x: (x(from) + x(to)) / 2, y: PLOT.top - 6, 'text-anchor': 'middle', class: 'label' })
    : '';
  return element('rect', { ...area, height: PLOT.bottom - PLOT.top }) + name;
}

const text = (content: string, attributes: Record<string, string | number>): string =>
  element('text', attributes, escapeXml(content));

function axes({ x, y, yLabel, xName = axisNumber }: ChartOptions): string[] {
  const middle = (PLOT.top + PLOT.bottom) / 2;
  return [
    ...y.ticks.flatMap((value) => [
      element('line', { class: 'grid', x1: PLOT.left, x2: PLOT.right, y1: y(value), y2: y(value) }),
      text(axisNumber(value), { x: PLOT.left - 6, y: y(value) + 4, 'text-anchor': 'end' }),
    ]),
    ...x.ticks.map((value) => text(xName(value), { x: x(value), y: PLOT.bottom + 15, 'text-anchor': 'middle' })),
    text(yLabel, {
      x: 0,
      y: 0,
      'text-anchor': 'middle',
      class: 'label',
      transform: `translate(11 ${middle}) rotate(-90)`,
    }),
  ];
}

function lineOf({ colour, points, dash }: Line, { x, y }: ChartOptions): string {
  const pixels = points.map(([at, value]): Point => (value === null ? null : [x(at), y(value)]));
  const alone = pixels.flatMap((point, n) =>
    point !== null && (pixels[n - 1] ?? null) === null && (pixels[n + 1] ?? null) === null
      ? [element('circle', { cx: point[0], cy: point[1], r: 2, fill: colour })]
      : [],
  );
  const path = { class: 'line', d: linePath(pixels), stroke: colour };
  return element('path', dash ? { ...path, 'stroke-dasharray': '4 3' } : path) + alone.join('');
}

function stackOf(at: readonly number[], stack: readonly Area[], { x, y }: ChartOptions): string[] {
  const heights = at.map(() => 0);
  return stack.flatMap(({ colour, values }) => {
    const lower = at.map((time, n): [number, number] => [x(time), y(heights[n] as number)]);
    values.forEach((value, n) => {
      heights[n] = (heights[n] as number) + value;
    });
    const upper = at.map((time, n): [number, number] => [x(time), y(heights[n] as number)]);
    return values.some((value) => value > 0) ? [element('path', { d: areaPath(upper, lower), fill: colour })] : [];
  });
}

/** Names with their colours, to stand above a chart. */
export const legend = (entries: readonly { name: string; colour: string }[]): string =>
  `<p class="legend">${entries.map(({ name, colour }) => `<span><i style="background:${colour}"></i>${escapeXml(name)}</span>`).join('')}</p>`;
