import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIR = fileURLToPath(new URL('../fixtures', import.meta.url));

/** Path of one of the tiny ONNX files that `build_fixtures.py` makes. */
export const fixturePath = (name: string): string => join(DIR, `${name}.onnx`);
export const fixture = (name: string): Buffer => readFileSync(fixturePath(name));

/**
 * `graph`: name of a fixture, or the bytes of a file; without one there is no version folder. `variants`: graphs beside it, by name.
 * `yaml`: text of model.yaml.
 */
export type TestModel = {
  graph?: string | Buffer;
  variants?: Record<string, string | Buffer>;
  yaml?: string;
  files?: Record<string, string>;
  versions?: string[];
};

const bytesOf = (graph: string | Buffer): Buffer => (typeof graph === 'string' ? fixture(graph) : graph);

/** A model repository in a folder of its own, removed at the end. */
export async function makeRepository(models: Record<string, TestModel>): Promise<AsyncDisposable & { dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-models-'));
  for (const [name, { graph, variants = {}, yaml, files = {}, versions = ['1'] }] of Object.entries(models)) {
    await mkdir(join(dir, name));
    if (yaml !== undefined) await writeFile(join(dir, name, 'model.yaml'), yaml);
    for (const [file, text] of Object.entries(files)) await writeFile(join(dir, name, file), text);
    for (const version of graph === undefined ? [] : versions) {
      const folder = join(dir, name, version);
      await mkdir(folder);
      await writeFile(join(folder, 'model.onnx'), bytesOf(graph as string | Buffer));
      for (const [variant, own] of Object.entries(variants)) {
        await mkdir(join(folder, variant));
        await writeFile(join(folder, variant, 'model.onnx'), bytesOf(own));
      }
    }
  }
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}
