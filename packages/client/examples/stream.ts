/** A thousand requests over one gRPC stream, answered in order. `node examples/stream.ts grpc://127.0.0.1:8001` */
import { SpillwayClient } from '@spillway/client';

await using client = new SpillwayClient({ url: process.argv[2] ?? 'grpc://127.0.0.1:8001' });

function* vectors(count: number) {
  for (let n = 0; n < count; n += 1) yield { x: Float32Array.from({ length: 64 }, (_, i) => Math.sin(n + i)) };
}

let answered = 0;
let largest = Number.NEGATIVE_INFINITY;
for await (const { result, error, index } of client.stream<{ y: Float32Array }>('mlp', vectors(1_000))) {
  if (error !== undefined) {
    console.error(`${index}: ${error.code} ${error.message}`);
    continue;
  }
  answered += 1;
  largest = Math.max(largest, result.outputs.y.data[0] ?? largest);
}
console.log(`${answered} answered, the largest is ${largest}`);
