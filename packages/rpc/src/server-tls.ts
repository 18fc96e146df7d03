import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** What a server that speaks TLS shows and asks for; the files behind it may change while it runs. */
export type ServerTls = {
  /** Certificate, key and authority now. */
  context(): SecureContextOptions;
  /** Refuses whoever shows no certificate of the authority. */
  requireClientCertificate: boolean;
  /** Called with what counts for connections from then on. */
  onChange(listener: (context: SecureContextOptions) => void): void;
};

/** The credentials of `createSsl` of grpc-js 1.14 cannot change; this uses what its own certificate providers do. */
class ChangingCredentials extends ServerCredentials {
  constructor(tls: ServerTls) {
    const required = tls.requireClientCertificate;
    super({ requestCert: required, rejectUnauthorized: required }, tls.context());
    tls.onChange((context) => this.updateSecureContextOptions(context));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Plain without `tls`. */
export const credentialsOf = (tls: ServerTls | undefined): ServerCredentials =>
  tls === undefined ? ServerCredentials.createInsecure() : new ChangingCredentials(tls);
