import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';

export type TestModel = {
  /** Taken from a model of the project's own repository, or given as bytes. Absent: the backend needs none. */
  onnx?: { from: string } | { bytes: Uint8Array };
  yaml: string;
};

type ModelRepository = AsyncDisposable & { readonly dir: string };

async function emptyRepository(): Promise<ModelRepository> {
  const dir = await mkdtemp(join(tmpdir(), 'spillway-models-'));
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

/** Some of the project's models and nothing else. @param edit What becomes of each `model.yaml`. */
export async function repositoryOf(
  models: readonly string[],
  edit = (yaml: string): string => yaml,
): Promise<ModelRepository> {
  const repository = await emptyRepository();
  for (const model of models) {
    const folder = join(repository.dir, model);
    await cp(join(REPO, 'models', model), folder, { recursive: true });
    const file = join(folder, 'model.yaml');
    await writeFile(file, edit(await readFile(file, 'utf8')));
  }
  return repository;
}

/** Who names no deadline waits as long as a crowded machine needs. */
export const patient = (yaml: string): string =>
  yaml.replace(/default_timeout_microseconds: \d+/, 'default_timeout_microseconds: 30000000');

/** Some of the project's models by links, with a `model.yaml` that is `patient`. */
export async function linkModels(models: readonly string[]): Promise<ModelRepository> {
  const repository = await emptyRepository();
  for (const model of models) {
    const [from, folder] = [join(REPO, 'models', model), join(repository.dir, model)];
    await mkdir(folder);
    for (const entry of await readdir(from)) {
      if (entry === 'model.yaml')
        await writeFile(join(folder, entry), patient(await readFile(join(from, entry), 'utf8')));
      else await symlink(join(from, entry), join(folder, entry));
    }
  }
  return repository;
}

/** A model repository of a test's own, in a temporary folder. */
export async function makeModelRepository(models: Record<string, TestModel>): Promise<ModelRepository> {
  const repository = await emptyRepository();
  for (const [name, { onnx, yaml }] of Object.entries(models)) {
    await mkdir(join(repository.dir, name));
    await writeFile(join(repository.dir, name, 'model.yaml'), yaml);
    if (onnx === undefined) continue;
    const version = join(repository.dir, name, '1');
    await mkdir(version);
    const file = join(version, 'model.onnx');
    if ('from' in onnx) await cp(join(REPO, 'models', onnx.from, '1', 'model.onnx'), file);
    else await writeFile(file, onnx.bytes);
  }
  return repository;
}

/** `mlp` under another batch size: what a test needs to see several batches. */
export const mlpWith = (name: string, maxBatchSize: number, more = ''): TestModel => ({
  onnx: { from: 'mlp' },
  yaml: `name: ${name}
max_batch_size: ${maxBatchSize}
input: [{ name: x, data_type: TYPE_FP32, dims: [64] }]
output: [{ name: y, data_type: TYPE_FP32, dims: [1] }]
${more}`,
});
