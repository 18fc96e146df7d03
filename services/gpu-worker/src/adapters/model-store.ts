import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isName } from '@spillway/contracts/names';
import { derivedDeclaration, type ModelDeclaration, selectVersions } from '../core/model-declaration.ts';
import type { StoredModel, StoredVersion } from '../core/plan-models.ts';
import { readModelYaml } from './model-yaml.ts';

/** A folder that looks like a model and cannot be served. */
export type BrokenModel = { name: string; error: string };
export type Repository = { models: StoredModel[]; broken: BrokenModel[] };

/** What is said of a model that is to be loaded and is not there. */
export const NO_FOLDER = 'there is no folder of this name that holds a model';

const VERSION_PATTERN = /^[1-9][0-9]{0,8}$/;

/**
 * Reads a model repository: `<name>/model.yaml`, `<name>/<version>/model.onnx`. Graphs are not opened here: that is for an
 * executor, which may be lost to a bad one. A broken model does not hide the others.
 * @throws Error when the folder itself cannot be read.
 */
export async function readRepository(dir: string): Promise<Repository> {
  const repository: Repository = { models: [], broken: [] };
  const entries = await readdir(dir, { withFileTypes: true });
  for (const name of entries.map((entry) => entry.name).sort()) {
    if (name.startsWith('.')) continue;
    try {
      const model = await readModel(dir, name);
      if (model !== undefined) repository.models.push(model);
    } catch (thrown) {
      repository.broken.push({ name, error: (thrown as Error).message });
    }
  }
  return repository;
}

/**
 * @returns undefined when there is no such folder, or when it holds neither a declaration nor a version: it is no model.
 * @throws Error saying what is wrong with its declaration or its versions.
 */
export async function readModel(dir: string, name: string): Promise<StoredModel | undefined> {
  const folder = join(dir, name);
  if (!(await isFolder(folder))) return undefined;
  const declared = await isFile(join(folder, 'model.yaml'));
  const found = (await readdir(folder)).filter((entry) => VERSION_PATTERN.test(entry));
  if (!declared && found.length === 0) return undefined;
  if (!isName(name)) throw new Error('name of the folder: expected 1 to 64 letters, digits, "_" or "-"');
  const declaration = declared ? readModelYaml(folder) : derivedDeclaration(name);
  const versions = await versionsOf(folder, found, declaration);
  return { name, declaration, derived: !declared, versions };
}

async function versionsOf(folder: string, found: string[], declaration: ModelDeclaration): Promise<StoredVersion[]> {
  if (declaration.backend === 'simulated') {
    return selectVersions(found.length > 0 ? found : ['1'], declaration.versionPolicy).map((version) => ({
      version,
      file: '',
    }));
  }
  const present: string[] = [];
  for (const version of found) if (await isFile(join(folder, version, 'model.onnx'))) present.push(version);
  const selected = selectVersions(present, declaration.versionPolicy);
  if (selected.length === 0)
    throw new Error('expected a file <version>/model.onnx for a version that version_policy selects, found none');
  return selected.map((version) => ({ version, file: join(folder, version, 'model.onnx') }));
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
