/** What every vendor on the way of a trace wrote for itself (W3C Trace Context): carried along, never looked into. */

const MAX_CHARACTERS = 512;
const MAX_MEMBERS = 32;
const KEY = /^([a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/;
/** Printable ASCII without comma and equals sign, not ending in a space. */
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** @returns The list as it came; empty where there is none, or one that is malformed or too long: it fails no request. */
export function readTracestate(text: string | undefined): string {
  if (text === undefined || text === '' || text.length > MAX_CHARACTERS) return '';
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== ''); // empty ones are allowed
  const keys = new Set<string>();
  for (const member of members) {
    const equals = member.indexOf('=');
    const key = member.slice(0, Math.max(0, equals));
    if (!KEY.test(key) || !VALUE.test(member.slice(equals + 1)) || keys.has(key)) return '';
    keys.add(key);
  }
  return keys.size > MAX_MEMBERS ? '' : members.join(',');
}
