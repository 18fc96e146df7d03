/** In the order in which they are drained: first the door, last what others still call while they drain. */
export const SERVICES = ['gateway', 'batcher', 'gpu-worker', 'cache', 'feature-service'] as const;
export type ServiceName = (typeof SERVICES)[number];
export type Scale = Record<ServiceName, number>;

export type PortName = 'http' | 'grpc' | 'health';
/** `index` counts from 1; a gateway has all three ports, the others no `http`. Its `health` also serves the metrics. */
export type InstancePorts = {
  service: ServiceName;
  index: number;
  name: string;
  ports: Partial<Record<PortName, number>>;
};
export type PortPlan = { nats: number; redis: number; otlp: number; instances: InstancePorts[] };

export const DEFAULT_PORT_BASE = 8000;
/** The plan reaches up to base + 59. */
export const HIGHEST_PORT_BASE = 65_535 - 59;

const NATS = 10;
const REDIS = 11;
const OTLP = 12;
const FIRST_PAIR: Record<Exclude<ServiceName, 'gateway'>, number> = {
  cache: 20,
  'feature-service': 30,
  batcher: 40,
  'gpu-worker': 50,
};

/** Every port of a mesh on one machine, from one number: Triton's three for the first gateway, then design.md §6. */
export function planPorts(base: number, scale: Scale): PortPlan {
  const instances: InstancePorts[] = [];
  for (const service of SERVICES) {
    for (let index = 1; index <= scale[service]; index += 1) {
      instances.push({ service, index, name: `${service}-${index}`, ports: portsOf(base, service, index) });
    }
  }
  return { nats: base + NATS, redis: base + REDIS, otlp: base + OTLP, instances };
}

function portsOf(base: number, service: ServiceName, index: number): InstancePorts['ports'] {
  if (service === 'gateway') {
    const http = base + 3 * (index - 1);
    return { http, grpc: http + 1, health: http + 2 };
  }
  const grpc = base + FIRST_PAIR[service] + 2 * (index - 1);
  return { grpc, health: grpc + 1 };
}
