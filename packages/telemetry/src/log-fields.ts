/** Characters of a string in a log line. */
const MAX_STRING = 1_024;
/** A stack is worth more than other text, and has only names of files and functions. */
const MAX_STACK = 4_096;
const MAX_ITEMS = 16;
const MAX_DEPTH = 4;
const REDACTED = '[redacted]';

/** Field names whose value is never written, compared without case, `-` and `_`. */
const SECRET_NAMES = new Set([
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'password',
  'pass',
  'passphrase',
  'secret',
  'clientsecret',
  'token',
  'accesstoken',
  'refreshtoken',
  'apikey',
  'xapikey',
  'key',
  'devkey',
  'privatekey',
  'credential',
  'credentials',
  'seed',
]);

/** Answers by exact name; bounded, because the names of a caller's object could be anything. */
const known = new Map<string, boolean>();
const MAX_KNOWN = 1_000;

/** True for names such as `Authorization`, `api_key` or `x-api-key`. */
export function isSecretName(name: string): boolean {
  const answer = known.get(name);
  if (answer !== undefined) return answer;
  const secret = SECRET_NAMES.has(name.toLowerCase().replaceAll(/[-_]/g, ''));
  if (known.size < MAX_KNOWN) known.set(name, secret);
  return secret;
}

/** An API key of ours keeps its public id, so that its owner can be told; a URL loses user and password. */
function cleanText(text: string, max: number): string {
  let clean = text.length > max ? `${text.slice(0, max)}… (${text.length} characters)` : text;
  if (clean.includes('sk_')) clean = clean.replaceAll(/\b(sk_[A-Za-z0-9-]+)_[A-Za-z0-9]+/g, `$1_${REDACTED}`);
  if (clean.includes('://')) clean = clean.replaceAll(/:\/\/[^\s/@]*@/g, `://${REDACTED}@`);
  return clean;
}

function cleanError(error: Error, depth: number): Record<string, unknown> {
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  return {
    type: error.name,
    ...(code === undefined ? {} : { code: cleanValue(code, depth + 1) }),
    ...(reason === undefined ? {} : { reason: cleanValue(reason, depth + 1) }),
    message: cleanText(error.message, MAX_STRING),
    stack: cleanText(error.stack ?? '', MAX_STACK),
    ...(error.cause === undefined ? {} : { cause: cleanValue(error.cause, depth + 1) }),
  };
}

function cleanObject(value: object, depth: number): unknown {
  if (value instanceof Error) return depth > MAX_DEPTH ? `[${value.name}]` : cleanError(value, depth);
  // Tensors and bodies: their size is a fact for a log, their content is not.
  if (ArrayBuffer.isView(value)) return `[${value.constructor.name} of ${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (depth > MAX_DEPTH) return Array.isArray(value) ? `[${value.length} items]` : '[object]';
  if (Array.isArray(value)) {
    const items = value.slice(0, MAX_ITEMS).map((item) => cleanValue(item, depth + 1));
    return value.length > MAX_ITEMS ? [...items, `… ${value.length - MAX_ITEMS} more`] : items;
  }
  return cleanFields(value as Record<string, unknown>, depth + 1);
}

function cleanValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return cleanText(value, MAX_STRING);
    case 'bigint':
      return value.toString();
    case 'object':
      return value === null ? null : cleanObject(value, depth);
    case 'symbol':
    case 'function':
      return undefined;
    default:
      return value;
  }
}

/**
 * A copy fit for a log: secrets by their field's name or form replaced, strings cut at 1 KB, tensors and bodies named by
 * size, depth and length of lists bounded. About 0.1 µs a flat field; runs only for lines that are written.
 */
export function cleanFields(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) clean[name] = isSecretName(name) ? REDACTED : cleanValue(fields[name], depth);
  return clean;
}
