import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSameProcess, startTicks } from './process-info.ts';

export type ServiceState = {
  name: string;
  instance: string;
  pid: number | null;
  state: string;
  ports: Record<string, number>;
  restarts: number;
};

export type Endpoints = { http: string; grpc: string; metrics: string; nats: string; redis: string; otlp: string };

/** `<data>/state.json`: what other commands and programs may know of a running mesh. */
export type MeshState = {
  pid: number;
  /** With the pid it names the launcher for ever: numbers are used again. Absent where there is no /proc. */
  startTicks?: number;
  phase: 'starting' | 'ready' | 'draining';
  startedAt: string; // ISO 8601, for people
  version: string;
  models: string; // model repository
  ports: { base: number; nats?: number; redis?: number; otlp: number };
  endpoints: Endpoints;
  services: ServiceState[];
};

const fileOf = (dataDir: string): string => join(dataDir, 'state.json');

/** The state of the mesh that runs on this data folder, or undefined: a file left by a dead launcher does not count. */
export function readState(dataDir: string): MeshState | undefined {
  try {
    const state = JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as MeshState;
    return isSameProcess(state.pid, state.startTicks) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** The launcher's own hold of the data folder. One mesh at a time: NATS's store and the logs are not to be shared. */
export class StateFile {
  readonly #dataDir: string;

  private constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** @returns The state of the mesh that already runs, if one does. Of two that claim at once one gets the folder. */
  static claim(dataDir: string, state: MeshState): StateFile | MeshState {
    mkdirSync(dataDir, { recursive: true });
    const ticks = startTicks(state.pid);
    const text = serialise(ticks === undefined ? state : { ...state, startTicks: ticks });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        writeFileSync(fileOf(dataDir), text, { flag: 'wx' });
        return new StateFile(dataDir);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const running = readState(dataDir);
        if (running) return running;
        rmSync(fileOf(dataDir), { force: true });
      }
    }
    throw new Error(`bug: ${fileOf(dataDir)} can be neither read nor written`);
  }

  write(state: MeshState): void {
    const ticks = startTicks(state.pid);
    const next = join(this.#dataDir, `state.json.${state.pid}`);
    writeFileSync(next, serialise(ticks === undefined ? state : { ...state, startTicks: ticks }));
    renameSync(next, fileOf(this.#dataDir)); // readers see the old or the new one, never half
  }

  release(): void {
    rmSync(fileOf(this.#dataDir), { force: true });
  }
}

const serialise = (state: MeshState): string => `${JSON.stringify(state, null, 2)}\n`;
