import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';

/** Ids of the clients whose figures the repository carries. */
export function sampleClients(): string[] {
  const file = join(REPO, 'models', 'credit-risk', 'sample', 'clients.csv');
  const [, ...rows] = readFileSync(file, 'utf8').trim().split('\n');
  return rows.map((row) => row.slice(0, row.indexOf(',')));
}
