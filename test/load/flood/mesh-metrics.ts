import { setTimeout as delay } from 'node:timers/promises';
import type { Mesh, Service } from '@spillway/testing/mesh';
import { metric } from '../../support/mesh-fixture.ts';

/** Resolves when a worker serves the model and the gateway knows of it. */
export async function untilServed(mesh: Mesh, model: string): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if ((await fetch(`${mesh.url}/v2/models/${model}/ready`)).status === 200) return;
    await delay(100);
  }
  throw new Error(`the model ${model} was not served within 30 s`);
}

/** Sum of a counter over its series and over all instances of a service. */
export async function counterSum(
  mesh: Mesh,
  service: Service,
  name: string,
  has: Record<string, string> = {},
): Promise<number> {
  const sums = await Promise.all(mesh.of(service).map(({ health }) => metric(health, name, has)));
  return sums.reduce((sum, value) => sum + value, 0);
}
