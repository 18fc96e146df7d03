import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { folderOf, type ModelName, PEERS, PEERS_FOLDER, type PeerName, versionOf } from './catalogue.ts';
import { probeBody } from './check.ts';
import { DEFAULT_DIR, environmentOf, installedState } from './install.ts';

const READY_TIMEOUT_MS = 90_000; // Ray starts eight processes
const STOP_GRACE_SECONDS = 10;
const LOG_TAIL_LINES = 30;

export type PeerOptions = {
  name: PeerName;
  port: number;
  /** Where `install` put the environments; `.spillway/peers` by default. */
  dir?: string;
  model?: ModelName;
  /** Workers, replicas or API servers; all cores by default. */
  cores?: number;
  /** For the peers that can be told how long an answer is worth having; mlp's default_timeout by default. */
  deadlineMs?: number;
  /** Ends the peer, also while it starts. */
  signal?: AbortSignal;
};
export type RunningPeer = AsyncDisposable & {
  /** `http://127.0.0.1:<port>/v2/models/<model>/infer`. */
  readonly url: string;
  readonly version: string;
  readonly settings: string;
  /** Of the supervisor: all processes of the peer are below it. */
  readonly pid: number;
  /** Resolves when the peer has ended, by itself or by `stop`. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
};

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;
const tail = (file: string): string =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');

async function answersProbe(url: string, body: string): Promise<boolean> {
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/**
 * Starts a peer on 127.0.0.1 and waits until it answers a request. All its processes end with `stop`, with this process
 * (however that ends) and with each other.
 * @throws Error with the end of its log, or naming the command that installs it.
 */
export async function startPeer(options: PeerOptions): Promise<RunningPeer> {
  const { name, port, dir = DEFAULT_DIR, model = 'mlp', cores = availableParallelism(), deadlineMs = 5_000 } = options;
  const installed = installedState(dir, name);
  if (installed.state === 'failed') throw new Error(`${name} could not be installed: ${installed.reason}`);
  if (installed.state === 'absent') {
    throw new Error(`${name} is not installed: run node test/load/peers/peers.ts install ${name}`);
  }
  const peer = PEERS[name];
  const bin = join(environmentOf(dir, name), 'bin');
  const temp = await mkdtemp(join(tmpdir(), 'peer-')); // short: Ray has sockets below it
  const context = { folder: folderOf(name), port, cores };
  const [program, ...args] = peer.command(context);
  const logFile = join(dir, `${name}.log`);
  const log = openSync(logFile, 'w');
  const child = spawn(
    join(bin, 'python'),
    [join(PEERS_FOLDER, 'supervise.py'), String(STOP_GRACE_SECONDS), temp, join(bin, program), ...args],
    {
      cwd: temp,
      stdio: ['pipe', log, log],
      env: {
        PATH: `${bin}:${process.env['PATH'] ?? ''}`,
        HOME: temp, // what a framework keeps at home is gone with it
        TMPDIR: temp,
        LANG: 'C.UTF-8',
        PYTHONPATH: `${PEERS_FOLDER}:${context.folder}`,
        PYTHONDONTWRITEBYTECODE: '1',
        PYTHONUNBUFFERED: '1',
        OMP_NUM_THREADS: '1',
        PEER_MODEL: model,
        PEER_PORT: String(port),
        PEER_CORES: String(cores),
        PEER_DEADLINE_MS: String(deadlineMs),
        ...peer.env?.(context),
      },
    },
  );
  closeSync(log);
  const ended = once(child, 'exit').then(() => undefined);
  const stop = async (): Promise<void> => {
    child.stdin?.end(); // the supervisor's sign to end all
    await ended;
  };
  options.signal?.addEventListener('abort', () => child.stdin?.end());
  const url = `http://127.0.0.1:${port}/v2/models/${model}/infer`;
  const giveUpMs = performance.now() + READY_TIMEOUT_MS;
  const body = probeBody(model);
  while (!(await answersProbe(url, body))) {
    const late = performance.now() > giveUpMs;
    if (late) await stop();
    if (late || !isRunning(child)) {
      const what = late
        ? `was not ready within ${READY_TIMEOUT_MS} ms`
        : `ended (${child.exitCode ?? child.signalCode})`;
      throw new Error(`${name} ${what}; the end of ${logFile}:\n${tail(logFile)}`);
    }
    await delay(100);
  }
  return {
    url,
    version: versionOf(name),
    settings: peer.settings(cores),
    pid: child.pid ?? -1,
    ended,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
