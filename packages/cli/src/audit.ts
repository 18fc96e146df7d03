import { hostname, userInfo } from 'node:os';
import type { Bus } from '@spillway/bus/bus';
import { auditSubject } from '@spillway/contracts/subjects';

/** Who types: `user@host`. A note for people, not a proof. */
export function operator(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? '?'}`; // an account without an entry in passwd
  }
}

/**
 * Writes who did what when into the audit stream, and resolves when it is kept there. `facts` never hold a secret.
 * @throws SpillwayError when the stream did not take it.
 */
export async function audit(
  bus: Bus,
  what: 'key' | 'lever' | 'preheat' | 'dlq',
  action: string,
  facts: Record<string, unknown>,
): Promise<void> {
  const record = { at: new Date().toISOString(), by: operator(), action, ...facts };
  await bus.publishToStream(auditSubject(what), Buffer.from(JSON.stringify(record)));
}

/** The same for what must work also when the stream is full, since it is there for bad days: then it is said. */
export async function auditOrSay(
  say: (line: string) => void,
  ...[bus, what, action, facts]: Parameters<typeof audit>
): Promise<void> {
  await audit(bus, what, action, facts).catch((error: Error) => say(`This is on no record: ${error.message}`));
}
