import { fork } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';

/** Plain node:http against fastify for the one hot route: the figures of ADR 0009. */
const HELP = `Requests/s of the infer route's work on plain node:http and on fastify, in turns.

  node test/load/plain-or-fastify.ts [--seconds N (default 5)] [--rounds N (default 2)] [--connections N (default 128)]
`;

const PATH = '/v2/models/mlp/infer';
const ANSWER =
  '{"model_name":"mlp","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"data":[0.5]}]}';

/** What both servers do with a body: parse it and make a tensor. */
function work(body: Buffer): string {
  const request = JSON.parse(body.toString()) as { inputs: [{ data: number[] }] };
  return Float32Array.from(request.inputs[0].data).length > 0 ? ANSWER : '';
}

async function servePlain(): Promise<number> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = work(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      setImmediate(() => {
        response.writeHead(200, ['content-type', 'application/json', 'content-length', String(text.length)]);
        response.end(text);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function serveFastify(): Promise<number> {
  const app = Fastify({ logger: false });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post('/v2/models/:model/infer', (request, reply) => {
    const text = work(request.body as Buffer);
    setImmediate(() => reply.header('content-type', 'application/json').send(text));
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return (app.server.address() as AddressInfo).port;
}

/** Closed loop over raw sockets; answers/s. */
async function load(port: number, connections: number, seconds: number): Promise<number> {
  const data = Array.from({ length: 64 }, (_, i) => Math.sin(i));
  const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 64], datatype: 'FP32', data }] });
  const request = Buffer.from(`POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  let answers = 0;
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('data', () => {
      answers += 1;
      socket.write(request);
    });
    socket.write(request);
    return socket;
  });
  await delay(1_500);
  const [from, fromMs] = [answers, performance.now()];
  await delay(seconds * 1_000);
  const rate = ((answers - from) / (performance.now() - fromMs)) * 1_000;
  for (const socket of sockets) socket.destroy();
  return rate;
}

const SERVERS = { plain: servePlain, fastify: serveFastify } as const;
type ServerName = keyof typeof SERVERS;

const role = process.env['BENCH_SERVER'] as ServerName | undefined;
if (role !== undefined) {
  process.send?.(await SERVERS[role]());
} else {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '128' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) process.stdout.write(HELP);
  for (let round = 1; !values.help && round <= Number(values.rounds); round += 1) {
    for (const name of Object.keys(SERVERS)) {
      const child = fork(import.meta.filename, { env: { ...process.env, BENCH_SERVER: name } });
      const port = await new Promise<number>((resolve) => child.once('message', (message) => resolve(Number(message))));
      const rate = await load(port, Number(values.connections), Number(values.seconds));
      console.log(`round ${round}, ${name}: ${Math.round(rate)} requests/s`);
      child.kill();
    }
  }
}
