import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TlsOptions } from '@spillway/client';
import { CliError, type Context } from './context.ts';

/** Options of every command that may talk to a door with TLS; `--key` is the API key's. */
export const TLS_OPTIONS = {
  ca: { type: 'string' },
  cert: { type: 'string' },
  'cert-key': { type: 'string' },
} as const;

export type TlsValues = { ca?: string | undefined; cert?: string | undefined; 'cert-key'?: string | undefined };

/**
 * The PEM texts in the files that were named. Undefined: none was named.
 * @param urls Of the doors: one of them must speak TLS, or the files would protect nothing.
 * @throws CliError (exit code 2) naming the option.
 */
export function readTls(
  context: Context,
  { ca, cert, 'cert-key': key }: TlsValues,
  urls: readonly string[],
): TlsOptions | undefined {
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  if (!urls.some((url) => /^(https|grpcs):/i.test(url))) {
    throw wrong('--ca, --cert and --cert-key are for https:// and grpcs:// only');
  }
  if ((cert === undefined) !== (key === undefined)) throw wrong('--cert and --cert-key: expected both or neither');
  const tls: TlsOptions = {
    ca: read(context, '--ca', ca),
    cert: read(context, '--cert', cert),
    key: read(context, '--cert-key', key),
  };
  parsed('--ca', 'certificates of authorities in PEM', tls.ca, (text) => new X509Certificate(text));
  const own = parsed('--cert', 'a certificate in PEM', tls.cert, (text) => new X509Certificate(text));
  parsed('--cert-key', 'the private key of --cert in PEM, without a passphrase', tls.key, (text) => {
    if (own?.checkPrivateKey(createPrivateKey(text)) === false) throw new Error('it belongs to another certificate');
  });
  return tls;
}

/** What a door with TLS may have against a caller. */
export const TLS_ADVICE =
  'An authority of your own is named by --ca FILE, your own certificate by --cert and --cert-key';

const wrong = (message: string): CliError => new CliError(message, [], 2);

function read(context: Context, option: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(resolve(context.cwd, file), 'utf8');
  } catch (error) {
    throw wrong(`${option}: cannot read ${file}: ${(error as Error).message}`);
  }
}

function parsed<T>(option: string, expected: string, text: string | undefined, parse: (text: string) => T) {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    throw wrong(`${option}: expected ${expected}: ${(error as Error).message}`);
  }
}
