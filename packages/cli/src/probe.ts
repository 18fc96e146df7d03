import { get } from 'node:http';
import { connect } from 'node:net';

/** How a child is asked whether it can work. Always on loopback. */
export type Probe = { kind: 'http' | 'nats' | 'redis'; port: number };
/** `waitingFor` repeats what the child said it lacks; empty if it does not answer yet. */
export type ProbeResult = { ready: boolean; waitingFor: string };

const TIMEOUT_MS = 1_000;
const NOT_YET: ProbeResult = { ready: false, waitingFor: '' };

/** Never throws: whatever goes wrong means "not yet". */
export function probe(target: Probe): Promise<ProbeResult> {
  if (target.kind === 'http') return probeReadyz(target.port);
  // NATS greets whoever connects; Redis answers PING, with an error while it loads its data.
  if (target.kind === 'nats') return probeGreeting(target.port, undefined, 'INFO ');
  return probeGreeting(target.port, 'PING\r\n', '+PONG');
}

function probeReadyz(port: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', timeout: TIMEOUT_MS, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < 10_000) body += chunk;
      });
      response.on('end', () => resolve({ ready: response.statusCode === 200, waitingFor: readWaitingFor(body) }));
      response.on('error', () => resolve(NOT_YET));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(NOT_YET));
    request.on('close', () => resolve(NOT_YET)); // after an answer this changes nothing
  });
}

function readWaitingFor(body: string): string {
  try {
    const { waiting_for: waitingFor } = JSON.parse(body) as { waiting_for?: unknown };
    return Array.isArray(waitingFor) ? waitingFor.join(', ') : '';
  } catch {
    return '';
  }
}

function probeGreeting(port: number, ask: string | undefined, greeting: string): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let heard = '';
    const done = (ready: boolean) => {
      socket.destroy();
      resolve({ ready, waitingFor: '' });
    };
    socket.setTimeout(TIMEOUT_MS, () => done(false));
    socket.on('connect', () => ask !== undefined && socket.write(ask));
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      if (heard.length >= greeting.length) done(heard.startsWith(greeting));
    });
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
  });
}
