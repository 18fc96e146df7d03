import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPO } from '@spillway/testing/find-binary';

export type Repository = Disposable & { readonly dir: string };

/** A model repository with some of the project's models and nothing else. @param edit What becomes of each `model.yaml`. */
export function repositoryOf(models: readonly string[], edit = (yaml: string): string => yaml): Repository {
  const dir = mkdtempSync(join(tmpdir(), 'spillway-models-'));
  for (const model of models) {
    cpSync(join(REPO, 'models', model), join(dir, model), { recursive: true });
    const file = join(dir, model, 'model.yaml');
    writeFileSync(file, edit(readFileSync(file, 'utf8')));
  }
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}
