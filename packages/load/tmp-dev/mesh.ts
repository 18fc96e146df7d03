import { writeFileSync } from 'node:fs';
import { startMesh } from '@spillway/testing/mesh';

const mesh = await startMesh({ env: { LOG_LEVEL: 'warn' } });
writeFileSync(
  '/tmp/loadgen/mesh.json',
  JSON.stringify({
    url: mesh.url,
    grpc: mesh.grpc,
    keys: mesh.keys,
    nats: mesh.nats.url,
    health: mesh.instances.map((i) => [i.name, i.health]),
    pid: process.pid,
  }),
);
console.log('up');
process.once('SIGTERM', async () => {
  await mesh[Symbol.asyncDispose]();
  process.exit(0);
});
setTimeout(async () => {
  await mesh[Symbol.asyncDispose]();
  process.exit(0);
}, 20 * 60_000);
