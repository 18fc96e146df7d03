import { ATTRIBUTES } from '@spillway/telemetry/names';
import { type SpanTree, spanTree } from './span-tree.ts';
import { formatDuration, pad, plain, truncate } from './terminal-text.ts';
import { extentOf, rootOf, type Trace, type TraceSpan } from './trace.ts';

export type WaterfallOptions = {
  /** Columns of the terminal; below about 75 the bars are left out. */
  width: number;
  /** False draws with ASCII only. */
  unicode?: boolean;
  /** True writes ANSI colours: only for a terminal. */
  colour?: boolean;
};

type Glyphs = {
  branch: string;
  lastBranch: string;
  trunk: string;
  gap: string;
  bar: string;
  sliver: string;
  failed: string;
  link: string;
  dot: string;
  ellipsis: string;
  micro: string;
};

const UNICODE: Glyphs = {
  branch: '├─ ',
  lastBranch: '└─ ',
  trunk: '│  ',
  gap: '   ',
  bar: '█',
  sliver: '▏',
  failed: '✗',
  link: '→',
  dot: '·',
  ellipsis: '…',
  micro: 'µs',
};
const ASCII: Glyphs = {
  branch: '|- ',
  lastBranch: '`- ',
  trunk: '|  ',
  gap: '   ',
  bar: '#',
  sliver: '|',
  failed: 'x',
  link: '->',
  dot: '-',
  ellipsis: '~',
  micro: 'us',
};

/** What tells two spans of one name apart, shown behind the name. */
const NOTED = [ATTRIBUTES.source, ATTRIBUTES.cache, ATTRIBUTES.batchClosedBy] as const;
/** What a request is, shown once above the drawing. */
const DESCRIBED = [
  ['model', ATTRIBUTES.model],
  ['version', ATTRIBUTES.version],
  ['class', ATTRIBUTES.trafficClass],
  ['rung', ATTRIBUTES.rung],
] as const;

const TIME_WIDTH = 9;
const MAX_SERVICE = 18;
const MAX_LABEL = 48;
const SHORT_LABEL = 22;
const MIN_LABEL = 12;
const MIN_BAR = 16;
const MAX_LINKS_SHOWN = 4;
const SHORT_ID = 8;

const ANSI = { red: 31, dim: 2, bold: 1 } as const;
/** Told apart on dark and light ground; a service keeps its colour within a drawing. */
const SERVICE_COLOURS = [36, 33, 35, 32, 34] as const;

/**
 * Draws a trace: a line a span, ordered by start below its parent, with service, offset from the first start, duration
 * and a bar; below it what it is linked to and why it failed. Text from spans is stripped of control characters.
 * @returns Lines ending in a line feed, none wider than `width` (but never narrower than about 45 columns).
 */
export function drawWaterfall(trace: Trace, options: WaterfallOptions): string {
  if (trace.spans.length === 0) return `trace ${trace.traceId}: no spans\n`;
  const glyphs = (options.unicode ?? true) ? UNICODE : ASCII;
  const paint = options.colour ? (text: string, code: number) => `\x1b[${code}m${text}\x1b[0m` : (text: string) => text;
  const rows = flatten(spanTree(trace), glyphs);
  const columns = layOut(rows, options.width);
  const services = [...new Set(rows.map((row) => row.span.service))];
  const { startMs, endMs } = extentOf(trace);

  const lines = header(trace, endMs - startMs, glyphs).map((line) => truncate(line, options.width, glyphs.ellipsis));
  lines[0] = paint(lines[0] as string, ANSI.bold);
  lines.push('');
  for (const { span, label, below } of rows) {
    const colour = span.error
      ? ANSI.red
      : (SERVICE_COLOURS[services.indexOf(span.service) % SERVICE_COLOURS.length] ?? 0);
    const times = [span.startMs - startMs, span.durationMs].map((ms) =>
      pad(formatDuration(ms, glyphs.micro), -TIME_WIDTH, glyphs.ellipsis),
    );
    const drawn = bar(span, { startMs, endMs }, columns.bar, glyphs);
    const head = `${pad(plain(span.service), columns.service, glyphs.ellipsis)}  `;
    const name = pad(label, columns.label, glyphs.ellipsis);
    lines.push(
      `${paint(head, colour)}${span.error ? paint(name, ANSI.red) : name}${times.join('')}  ${paint(drawn, colour)}`.trimEnd(),
    );
    const indent = ' '.repeat(columns.service + 2);
    const notes = [...errorNote(span, glyphs), ...linkNotes(span, glyphs)];
    for (const note of notes) {
      const text = truncate(`${indent}${below}${note}`, options.width, glyphs.ellipsis);
      lines.push(paint(text, span.error && note.startsWith(glyphs.failed) ? ANSI.red : ANSI.dim));
    }
  }
  return `${lines.join('\n')}\n`;
}

function header(trace: Trace, durationMs: number, glyphs: Glyphs): string[] {
  const root = rootOf(trace);
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : word.endsWith('s') ? 'es' : 's'}`;
  const distinct = (of: (span: TraceSpan) => unknown) => new Set(trace.spans.map(of)).size;
  const facts = [
    formatDuration(durationMs, glyphs.micro),
    count(trace.spans.length, 'span'),
    count(
      distinct((span) => span.service),
      'service',
    ),
    count(
      distinct((span) => `${span.instance} ${span.pid}`),
      'process',
    ),
  ];
  const requestId = trace.spans.map((span) => span.attributes[ATTRIBUTES.requestId]).find((id) => id !== undefined);
  const described = DESCRIBED.flatMap(([word, name]) => {
    const value =
      root?.attributes[name] ?? trace.spans.find((span) => span.attributes[name] !== undefined)?.attributes[name];
    return value === undefined ? [] : [`${word} ${plain(String(value))}`];
  });
  const request = requestId === undefined ? [] : [`request ${plain(String(requestId))}`];
  const separator = ` ${glyphs.dot} `;
  return [`trace ${trace.traceId}`, facts.join(separator), [...request, ...described].join(separator)].filter(Boolean);
}

type Row = { span: TraceSpan; label: string /** Stands before what is written below the row. */; below: string };

function flatten(roots: readonly SpanTree[], glyphs: Glyphs): Row[] {
  const rows: Row[] = [];
  const visit = ({ span, children }: SpanTree, own: string, below: string) => {
    rows.push({
      span,
      label: own + describe(span, glyphs),
      below: below + (children.length > 0 ? glyphs.trunk : glyphs.gap),
    });
    children.forEach((child, index) => {
      const last = index === children.length - 1;
      visit(child, below + (last ? glyphs.lastBranch : glyphs.branch), below + (last ? glyphs.gap : glyphs.trunk));
    });
  };
  for (const root of roots) visit(root, '', '');
  return rows;
}

function describe(span: TraceSpan, glyphs: Glyphs): string {
  const notes = NOTED.flatMap((name) => span.attributes[name] ?? []).map(String);
  const rows = span.attributes[ATTRIBUTES.batchSize];
  if (rows !== undefined) notes.unshift(`${rows} ${rows === 1 ? 'row' : 'rows'}`);
  return plain([...(span.error ? [glyphs.failed] : []), span.name, ...notes].join(' '));
}

function errorNote(span: TraceSpan, glyphs: Glyphs): string[] {
  if (span.error === undefined) return [];
  const { code, message } = span.error;
  return [plain(`${glyphs.failed} ${code}${message === '' ? '' : `: ${message}`}`)];
}

function linkNotes(span: TraceSpan, glyphs: Glyphs): string[] {
  const ids = span.links.map((link) => link.traceId);
  if (ids.length === 0) return [];
  if (ids.length === 1) return [`${glyphs.link} trace ${ids[0]}`];
  const shown = ids.slice(0, MAX_LINKS_SHOWN).map((id) => id.slice(0, SHORT_ID));
  const more = ids.length > shown.length ? ` and ${ids.length - shown.length} more` : '';
  return [`${glyphs.link} ${ids.length} traces: ${shown.join(' ')}${more}`];
}

type Columns = { service: number; label: number; bar: number };

/** In a narrow terminal names are cut first, down to `SHORT_LABEL`; then there is no bar, and names get its place. */
function layOut(rows: readonly Row[], width: number): Columns {
  const widest = (texts: string[]) => texts.reduce((most, text) => Math.max(most, [...text].length), 0);
  const service = Math.min(MAX_SERVICE, widest(rows.map((row) => plain(row.span.service))));
  const wanted = Math.min(MAX_LABEL, widest(rows.map((row) => row.label)));
  const rest = width - service - 2 - 2 * TIME_WIDTH;
  const label = Math.min(wanted, Math.max(SHORT_LABEL, rest - 2 - MIN_BAR));
  const bar = rest - label - 2;
  if (bar >= MIN_BAR) return { service, label, bar };
  return { service, label: Math.max(MIN_LABEL, Math.min(wanted, rest)), bar: 0 };
}

function bar(span: TraceSpan, extent: { startMs: number; endMs: number }, cells: number, glyphs: Glyphs): string {
  if (cells === 0) return '';
  const perMs = cells / Math.max(extent.endMs - extent.startMs, Number.EPSILON);
  const from = Math.min(cells - 1, Math.floor((span.startMs - extent.startMs) * perMs));
  const length = Math.min(cells - from, Math.round(span.durationMs * perMs));
  return ' '.repeat(from) + (length < 1 ? glyphs.sliver : glyphs.bar.repeat(length));
}
