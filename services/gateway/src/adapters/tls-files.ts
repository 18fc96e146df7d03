import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ConfigError } from '@spillway/config/config-error';
import type { ServerTls } from '@spillway/rpc/server-tls';

export type TlsFiles = { cert: string; key: string; clientCa: string };
export type TlsOptions = {
  files: TlsFiles;
  /** Between two looks at the files. */
  reloadMs: number;
  onReload(): void;
  /** The files have changed and do not fit: what was shown before stays. */
  onFault(error: unknown): void;
};

/**
 * Certificate, key and, if it is named, the authority of clients, for both doors. Files are looked at again from time to time, by what
 * is in them: those that a secret store mounts are links whose times say nothing.
 * @returns Undefined when no certificate is named.
 * @throws ConfigError naming the variable; the service does not start.
 */
export function watchTlsFiles(options: TlsOptions): (ServerTls & Disposable) | undefined {
  const { files, reloadMs, onReload, onFault } = options;
  if (files.cert === '') return undefined;
  const listeners: ((context: SecureContextOptions) => void)[] = [];
  let context = readContext(files);
  let failed = '';
  const look = (): void => {
    try {
      const now = readContext(files);
      failed = '';
      if (now.cert === context.cert && now.key === context.key && now.ca === context.ca) return;
      context = now;
      for (const listener of listeners) listener(context);
      onReload();
    } catch (thrown) {
      const message = String(thrown);
      if (message !== failed) onFault(thrown); // once, not at each look
      failed = message;
    }
  };
  const timer = setInterval(look, reloadMs);
  return {
    context: () => context,
    requireClientCertificate: files.clientCa !== '',
    onChange: (listener) => void listeners.push(listener),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

type Context = { cert: string; key: string; ca?: string; minVersion: 'TLSv1.2' };

function readContext(files: TlsFiles): Context {
  const cert = read('GATEWAY_TLS_CERT', files.cert);
  const key = read('GATEWAY_TLS_KEY', files.key);
  check('GATEWAY_TLS_CERT', 'certificates in PEM, the own one first', () => new X509Certificate(cert));
  check('GATEWAY_TLS_KEY', 'the private key of GATEWAY_TLS_CERT in PEM, without a passphrase', () =>
    createSecureContext({ cert, key }),
  );
  const context: Context = { cert, key, minVersion: 'TLSv1.2' };
  if (files.clientCa === '') return context;
  const ca = read('GATEWAY_TLS_CLIENT_CA', files.clientCa);
  check('GATEWAY_TLS_CLIENT_CA', 'certificates of authorities in PEM', () => new X509Certificate(ca));
  return { ...context, ca };
}

function read(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw fault(variable, `a readable file, got ${file}`, cause);
  }
}

function check(variable: string, expected: string, parse: () => unknown): void {
  try {
    parse();
  } catch (cause) {
    throw fault(variable, expected, cause);
  }
}

const fault = (subject: string, expected: string, cause: unknown): ConfigError =>
  new ConfigError('gateway', [{ subject, text: `expected ${expected}` }], { cause });
