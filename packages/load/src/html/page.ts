import type { LoadReport } from '../report.ts';
import { COLUMNS, generatorFact, phaseFacts, phaseRows, recoveryFacts } from '../report-text.ts';
import { batchRow, gaugeRow, latencyRow, outcomeRow, percentileRow, type Row } from './plots.ts';
import { CSS } from './style.ts';
import { escapeXml } from './svg.ts';

/** One self-contained page: nothing is loaded, nothing runs. Several reports stand side by side with the same axes. */
export function reportPage(reports: readonly LoadReport[]): string {
  const title = reports.map((report) => report.title).join(' | ');
  const groups = [...new Set(reports.flatMap((report) => report.groups))];
  const gauges = [...new Set(reports.flatMap((r) => r.metrics?.series.map(({ name }) => name) ?? []))];
  const hasBatches = reports.some(({ phases }) => phases.some(({ all }) => Object.keys(all.batches).length > 0));
  const body = [
    columns(reports.map(head)),
    section(
      'What became of the requests',
      groups.map((group) => outcomeRow(reports, group)),
    ),
    section('Latency over time', [latencyRow(reports, 'p99', 'p99'), latencyRow(reports, 'p50', 'p50')]),
    section(
      'Latency by percentile',
      groups.map((group) => percentileRow(reports, group)),
    ),
    hasBatches || gauges.length > 0
      ? section('Batches and queues', [
          ...(hasBatches ? [batchRow(reports)] : []),
          ...gauges.map((name) => gaugeRow(reports, name)),
        ])
      : '',
    '<h2>Figures</h2>',
    ...reports.map(figures),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title><style>${CSS}:root { --columns: ${reports.length}; --row: ${reports.length > 1 ? '100%' : '460px'}; }</style></head>
<body>
${body.join('\n')}
</body></html>
`;
}

const columns = (cellsOfRow: readonly string[]): string =>
  `<div class="columns">${cellsOfRow.map((cell) => `<div>${cell}</div>`).join('')}</div>`;

function head(report: LoadReport): string {
  const isVoid = report.void.length > 0;
  const why = report.void.map(escapeXml).join('<br>');
  const facts = [`${report.startedAt}, ${report.machine}, seed ${report.seed}`, ...report.about];
  return [
    `<h1>${escapeXml(report.title)}</h1>`,
    isVoid
      ? `<p class="void"><b>Void: the generator was the limit, so this says nothing about the target.</b><br>${why}</p>`
      : '',
    ...facts.map((fact) => `<p class="soft">${escapeXml(fact)}</p>`),
  ].join('');
}

function section(title: string, rows: readonly Row[]): string {
  const drawn = rows.map(
    ({ title: name, note, legend, charts }) =>
      `<div><h3>${escapeXml(name)} <small>${escapeXml(note)}</small></h3>${legend}${columns(charts)}</div>`,
  );
  return `<h2>${escapeXml(title)}</h2><div class="rows">${drawn.join('')}</div>`;
}

function figures(report: LoadReport): string {
  const phases = report.phases.map((phase) => {
    const seconds = (phase.toMs - phase.fromMs) / 1_000;
    const rows = phaseRows(report, phase);
    const facts = phaseFacts(phase, report.capacity).map((fact) => `<p class="soft">${escapeXml(fact)}</p>`);
    return `<h3>${escapeXml(phase.label)}, ${seconds.toFixed(1)} s</h3><div class="wide">${tableOf(rows)}</div>${facts.join('')}`;
  });
  const facts = [...recoveryFacts(report), generatorFact(report)].map((fact) => `<p>${escapeXml(fact)}</p>`);
  return [`<h3>${escapeXml(report.title)}</h3>`, ...phases, ...facts].join('');
}

const tableOf = (rows: readonly (readonly string[])[]): string =>
  `<table><tr>${COLUMNS.map((name) => `<th>${escapeXml(name)}</th>`).join('')}</tr>${rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escapeXml(cell)}</td>`).join('')}</tr>`)
    .join('')}</table>`;
