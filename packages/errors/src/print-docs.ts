import { argv } from 'node:process';
import { CATALOGUE, ERROR_CODES, type RetryRule } from './catalogue.ts';
import { JETSTREAM, type JetstreamRule } from './to-jetstream.ts';

const RETRY: Record<RetryRule, string> = {
  never: 'no',
  'after-hint': 'after the hint',
  jobs: 'jobs only, by the mesh',
};

const JOBS: Record<JetstreamRule, string> = {
  ack: 'acknowledged: the first writer won. An event that names the job of another request: dead letter',
  delay: '`nak` with the hint as delay: delayed, never shed',
  'redeliver-to-limit': '`nak` up to `max_deliver`, then dead letter',
  'redeliver-once': '`nak` once, then dead letter',
  'dead-letter': 'dead letter, then `term`',
  drop: '`term`',
};

const row = (...cells: (string | number)[]): string => `| ${cells.join(' | ')} |`;

/** The whole of docs/errors.md. */
export function errorsPage(): string {
  const rows = ERROR_CODES.map((code) => {
    const { http, grpc, retry, meaning } = CATALOGUE[code];
    return row(`\`${code}\``, http, grpc, meaning, RETRY[retry], JOBS[JETSTREAM[code]]);
  });
  return `# Errors

<!-- Printed by packages/errors/src/print-docs.ts from the catalogue: change the catalogue, then run
     node packages/errors/src/print-docs.ts > docs/errors.md -->

Every failure has one of these codes. Decide on the code, never on the text.

${row('Code', 'HTTP', 'gRPC', 'Meaning', 'Try again', 'What becomes of a job')}
${row('---', '---:', '---:', '---', '---', '---')}
${rows.join('\n')}

## Where to read it

- **HTTP**: header \`spillway-error\` is the code, \`spillway-reason\` the knob that fired (where one did). A refusal that is worth repeating
  has \`retry-after\` (whole seconds, at least 1) and \`retry-after-ms\` (the hint itself).
  The Open Inference Protocol's body is \`{"error": "<text>"}\`; the OpenAI body is \`{"error": {"message", "type", "param", "code"}}\`.
- **gRPC**: the status code and message; the trailer \`grpc-status-details-bin\` holds \`google.rpc.Status\` with \`ErrorInfo\` (domain \`spillway\`, reason,
  metadata \`code\`) and, where repeating helps, \`RetryInfo\`. The trailer \`grpc-retry-pushback-ms\` steers gRPC's own retries; −1 means: do not.
- **NATS**: results of failed jobs carry \`{"error": {"code", "message", "reason", "retry_after_ms"}}\`, and the dead-letter stream a copy of the
  job with the headers \`spillway-error\` and \`spillway-reason\`.

A message says what was expected and what came. It never carries a stack, a path, a peer's name or a secret.
`;
}

if (import.meta.filename === argv[1]) process.stdout.write(errorsPage());
