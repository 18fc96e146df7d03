import type { InferBody, JsonTensor } from '../door.ts';
import { bodyOf, compare, type ExpectedCase } from './expected.ts';

/** Another door than HTTP. @throws Error from `infer` with what the mesh answered instead. */
export type Sender = { infer(model: string, body: InferBody): Promise<JsonTensor[]>; close(): Promise<void> };

export type SentResult = { sent: number; right: number; tookMs: number[]; faults: string[] };

/** One case after another through a door, each answer checked. */
export async function sendAll(sender: Sender, work: { model: string; cases: ExpectedCase[] }[]): Promise<SentResult> {
  const result: SentResult = { sent: 0, right: 0, tookMs: [], faults: [] };
  for (const { model, cases } of work) {
    for (const expected of cases) {
      result.sent += 1;
      const startedMs = performance.now();
      try {
        const { wrong } = compare(expected, await sender.infer(model, bodyOf(expected)));
        if (wrong !== undefined) throw new Error(wrong);
        result.right += 1;
        result.tookMs.push(performance.now() - startedMs);
      } catch (error) {
        result.faults.push(`${model}: ${(error as Error).message}`);
      }
    }
  }
  return result;
}
