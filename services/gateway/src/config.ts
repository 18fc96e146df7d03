import { fileURLToPath } from 'node:url';
import { commonFields } from '@spillway/config/common';
import { defineConfig } from '@spillway/config/define-config';
import { env } from '@spillway/config/env';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

const PART = '(guard|quota|fair_rate|predicted_finish|queue_bound|age|brownout)';
const MECHANISMS = new RegExp(`^(${PART}(,${PART})*)?$`);

/** Everything the gateway reads from its environment. */
export const gatewayConfig = defineConfig({
  service: 'gateway',
  prefix: 'GATEWAY_',
  fields: {
    ...commonFields('gateway'),
    host: env.string('GATEWAY_HOST', {
      default: '127.0.0.1',
      doc: 'Address of the doors. Beyond loopback keys and TLS are required.',
    }),
    httpPort: env.port('GATEWAY_HTTP_PORT', { default: 8000, doc: 'HTTP door. 0 takes a free one.' }),
    grpcPort: env.port('GATEWAY_GRPC_PORT', { default: 8001, doc: 'gRPC door. 0 takes a free one.' }),
    metricsPort: env.port('GATEWAY_METRICS_PORT', { default: 8002, doc: 'Metrics and health. 0 takes a free one.' }),
    keysFile: env.string('GATEWAY_KEYS_FILE', {
      default: '',
      doc: 'JSON file with API keys (only hashes), beside those in the bucket spillway_keys. Empty: only those.',
    }),
    allowAnonymous: env.bool('GATEWAY_ALLOW_ANONYMOUS', {
      default: true,
      doc: 'A call without a key is tenant "anonymous", class standard. Must be false beyond loopback.',
    }),
    tlsCert: env.string('GATEWAY_TLS_CERT', {
      default: '',
      doc: 'PEM file: certificate of both doors, then its intermediates. Empty: plain HTTP and gRPC.',
    }),
    tlsKey: env.string('GATEWAY_TLS_KEY', {
      default: '',
      doc: 'PEM file: private key of GATEWAY_TLS_CERT, without a passphrase.',
    }),
    tlsClientCa: env.string('GATEWAY_TLS_CLIENT_CA', {
      default: '',
      doc: 'PEM file: authorities of client certificates, which every connection must then show. Empty: none is asked for.',
    }),
    tlsReloadMs: env.int('GATEWAY_TLS_RELOAD_MS', {
      default: 60_000,
      min: 50,
      max: 86_400_000,
      doc: 'Between two looks at the TLS files; changed ones count for new connections. Too long serves an expired certificate.',
    }),
    insecure: env.bool('GATEWAY_INSECURE', {
      default: false,
      doc: 'Lets the doors be plain beyond loopback: keys and data can be read on the way. For a proxy that speaks TLS.',
    }),
    maxBodyBytes: env.int('GATEWAY_MAX_BODY_BYTES', {
      default: 4 * 1024 * 1024,
      min: 1_024,
      max: 7 * 1024 * 1024,
      doc: 'Largest request. Too small refuses big tensors; above NATS max_payload less a margin it cannot travel.',
    }),
    modelControlLimitMs: env.int('GATEWAY_MODEL_CONTROL_LIMIT_MS', {
      default: 90_000,
      min: 100,
      max: 3_600_000,
      doc: 'Longest wait for the workers when a model is loaded or unloaded; they go on after it. A model that drains may take its longest deadline.',
    }),
    maxInFlight: env.int('GATEWAY_MAX_IN_FLIGHT', {
      default: 16_384,
      min: 1,
      max: 1_000_000,
      doc: 'Requests held unanswered. Too low refuses bursts; too high lets memory grow while the queue is long.',
    }),
    admissionOff: env.string('GATEWAY_ADMISSION_OFF', {
      default: '',
      pattern: MECHANISMS,
      doc: 'For experiments: parts of admission that are switched off, with commas between. Empty in production.',
    }),
    rehearsalRequests: env.int('GATEWAY_REHEARSAL_REQUESTS', {
      default: 3_000,
      min: 0,
      max: 1_000_000,
      doc: 'Requests to itself before it is ready, so that no flood meets a cold process: about a second. 0: none.',
    }),
    maxFrameBytes: env.int('GATEWAY_MAX_FRAME_BYTES', {
      default: 64 * 1024,
      min: 1_024,
      max: 1024 * 1024,
      doc: 'A frame is cut before it grows beyond this. Small frames cost messages; large ones hold up control traffic.',
    }),
    maxRequestsPerSocket: env.int('GATEWAY_MAX_REQUESTS_PER_SOCKET', {
      default: 1_000,
      min: 0,
      max: 1_000_000,
      doc: 'A connection is closed in order after so many requests, so that clients spread again. 0: never.',
    }),
    tracesPerSecond: env.number('GATEWAY_TRACES_PER_SECOND', {
      default: 20,
      min: 0,
      max: 100_000,
      doc: 'Up to this rate every request is traced, beyond it by ratio.',
    }),
    traceRatio: env.number('GATEWAY_TRACE_RATIO', {
      default: 0.001,
      min: 0,
      max: 1,
      doc: 'Share of the requests beyond GATEWAY_TRACES_PER_SECOND that are traced. A traced request costs about 50 µs more.',
    }),
  },
  check: (config) => {
    const faults: string[] = [];
    if ((config.tlsCert === '') !== (config.tlsKey === ''))
      faults.push('GATEWAY_TLS_CERT and GATEWAY_TLS_KEY: expected both or neither');
    if (config.tlsClientCa !== '' && config.tlsCert === '')
      faults.push('GATEWAY_TLS_CLIENT_CA: expected GATEWAY_TLS_CERT and GATEWAY_TLS_KEY beside it');
    if (LOOPBACK.test(config.host)) return faults;
    if (config.allowAnonymous) faults.push('GATEWAY_HOST is not loopback: GATEWAY_ALLOW_ANONYMOUS must be false');
    if (config.tlsCert === '' && !config.insecure)
      faults.push(
        'GATEWAY_HOST is not loopback: expected GATEWAY_TLS_CERT and GATEWAY_TLS_KEY, or GATEWAY_INSECURE=true behind a proxy that speaks TLS',
      );
    return faults;
  },
});

export type GatewayConfig = ReturnType<typeof gatewayConfig.load>;

/** Root of the repository, for the files that the doors hand out. */
export const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
