import { type FeatureRows, VALUE_STATUS } from '@spillway/contracts/messages';
import { isName } from '@spillway/contracts/names';
import { CliError } from '../context.ts';
import type { FeatureLink } from './feature-link.ts';
import type { Line } from './lines.ts';
import type { Pace, Progress, Time } from './time.ts';

/** Below the bound of entities in one fetch that feature-service has by default, and small beside other callers' fetches. */
const CHUNK = 256;

/** `values` by status, of one instance: all of them answer the same. */
export type FeaturesResult = { entities: number; values: Record<string, number>; tookMs: Map<string, number[]> };

/** Fetches every entity from every instance, chunk after chunk. @throws CliError naming the line or what an instance refused. */
export async function preheatFeatures(
  view: string,
  lines: AsyncIterable<Line>,
  links: readonly FeatureLink[],
  by: { pace: Pace; progress: Progress; time: Time },
): Promise<FeaturesResult> {
  const result: FeaturesResult = {
    entities: 0,
    values: {},
    tookMs: new Map(links.map(({ instance }) => [instance, []])),
  };
  const fetchOne = async (link: FeatureLink, entities: string[]): Promise<FeatureRows> => {
    const startMs = by.time.now();
    const rows = await link.fetch(view, entities);
    if (rows.errorCode !== '') throw new CliError(`${link.instance}: ${rows.errorCode} ${rows.errorMessage}`);
    result.tookMs.get(link.instance)?.push(by.time.now() - startMs);
    return rows;
  };
  for await (const entities of chunksOf(lines)) {
    await by.pace.turn(entities.length);
    const [rows] = await Promise.all(links.map((link) => fetchOne(link, entities)));
    result.entities += entities.length;
    if (rows) countStatus(rows, result.values);
    by.progress.at(() => `${result.entities} entities`);
  }
  return result;
}

async function* chunksOf(lines: AsyncIterable<Line>): AsyncGenerator<string[]> {
  let chunk: string[] = [];
  for await (const { number, text } of lines) {
    if (!isName(text)) {
      throw new CliError(`line ${number}: expected an entity's id, 1 to 64 letters, digits, "_" or "-"`, [], 2);
    }
    chunk.push(text);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

function countStatus({ views }: FeatureRows, values: Record<string, number>): void {
  for (const { status } of views) {
    for (const value of status) {
      const name = VALUE_STATUS[value] ?? 'unknown';
      values[name] = (values[name] ?? 0) + 1;
    }
  }
}
