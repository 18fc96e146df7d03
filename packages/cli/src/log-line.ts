const LEVELS: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };
/** Of the launcher's own prefix, or the same on every line. */
const HIDDEN = new Set(['level', 'time', 'msg', 'pid', 'hostname', 'service', 'instance', 'name']);

/** A pino line for people: time of day, level, message, fields. What is no such line is shown as it is. */
export function formatLine(line: string): string {
  const record = parse(line);
  if (!record) return line;
  const time = timeOfDay(record['time']);
  const level = LEVELS[Number(record['level'])] ?? String(record['level'] ?? '');
  const fields = Object.entries(record).filter(([name]) => !HIDDEN.has(name));
  const text = fields.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [time, level.padEnd(5), String(record['msg'] ?? ''), ...text].filter((part) => part !== '').join(' ');
}

function timeOfDay(time: unknown): string {
  const date = new Date(typeof time === 'number' ? time : String(time));
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().slice(11, 23);
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
