import { createServer, type ServerResponse } from 'node:http';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/**
 * What people write first: node:http and onnxruntime-node in one process, each request run alone. With BATCHING=turn all
 * requests of one event-loop turn run together (for information).
 */
const COLUMNS = 64;
const MAX_BATCH_ROWS = 64;
const session = await InferenceSession.create(process.env['MODEL'] ?? '', {
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});

type Waiting = { data: number[]; response: ServerResponse };

async function runAll(requests: Waiting[]): Promise<void> {
  const x = new Float32Array(requests.length * COLUMNS);
  for (const [row, { data }] of requests.entries()) x.set(data, row * COLUMNS);
  const results = await session.run({ x: new Tensor('float32', x, [requests.length, COLUMNS]) });
  const y = results['y']?.data as Float32Array;
  for (const [row, { response }] of requests.entries()) answer(response, y[row] as number, requests.length);
}

function answer(response: ServerResponse, y: number, batchSize: number): void {
  const outputs = [{ name: 'y', datatype: 'FP32', shape: [1, 1], data: [y] }];
  const text = JSON.stringify({ model_name: 'mlp', model_version: '1', outputs });
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': text.length,
    'spillway-batch-size': batchSize,
  });
  response.end(text);
}

let turn: Waiting[] = [];
function flush(): void {
  const requests = turn;
  turn = [];
  for (let from = 0; from < requests.length; from += MAX_BATCH_ROWS) {
    void runAll(requests.slice(from, from + MAX_BATCH_ROWS));
  }
}

const accept: (request: Waiting) => void =
  process.env['BATCHING'] === 'turn'
    ? (request) => {
        if (turn.length === 0) setImmediate(flush);
        turn.push(request);
      }
    : (request) => void runAll([request]);

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { inputs: [{ data: number[] }] };
    accept({ data: body.inputs[0].data, response });
  });
});
server.listen(Number(process.env['HTTP_PORT']), '127.0.0.1', 4_096, () => console.log('ready'));
