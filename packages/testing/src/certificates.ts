import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate and its private key, both in PEM. */
export type TestCertificate = { cert: string; key: string };

/** Authority of certificates that a test makes for itself: they are valid for a day, for localhost and 127.0.0.1. */
export type TestAuthority = {
  /** Its own certificate, in PEM. */
  readonly cert: string;
  issue(name: string): TestCertificate;
};

const DAY_MS = 86_400_000;

/** Makes an authority with a key of its own. X.509 v3 (RFC 5280) in DER (X.690), ECDSA on P-256. */
export function testAuthority(name = 'authority of a test'): TestAuthority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name, key: own.privateKey };
  return {
    cert: certificate({ subject: name, key: own.publicKey, issuer, extensions: [BASIC_CONSTRAINTS] }),
    issue: (subject) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const cert = certificate({ subject, key: publicKey, issuer, extensions: [ALTERNATIVE_NAMES] });
      return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
  };
}

type Parts = { subject: string; key: KeyObject; issuer: { name: string; key: KeyObject }; extensions: Buffer[] };

function certificate({ subject, key, issuer, extensions }: Parts): string {
  const nowMs = Date.now();
  const content = sequence(
    der(0xa0, der(INTEGER, Buffer.of(2))), // version 3
    der(INTEGER, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    nameOf(issuer.name),
    sequence(time(nowMs - DAY_MS), time(nowMs + DAY_MS)),
    nameOf(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signed = sequence(content, ECDSA_WITH_SHA256, bits(sign('sha256', content, issuer.key)));
  const lines = signed.toString('base64').replaceAll(/.{1,64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`;
}

const INTEGER = 0x02;

function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}

const sequence = (...contents: Buffer[]): Buffer => der(0x30, ...contents);
const bits = (content: Buffer): Buffer => der(0x03, Buffer.of(0), content);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const nameOf = (name: string): Buffer => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));

/** UTCTime: `261121230000Z`. */
const time = (epochMs: number): Buffer =>
  der(0x17, Buffer.from(`${new Date(epochMs).toISOString().slice(2, 19).replaceAll(/\D/g, '')}Z`));

const TRUE = der(0x01, Buffer.of(0xff));
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
/** Critical: it may sign others. */
const BASIC_CONSTRAINTS = sequence(oid('551d13'), TRUE, der(0x04, sequence(TRUE)));
const ALTERNATIVE_NAMES = sequence(
  oid('551d11'),
  der(0x04, sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.of(127, 0, 0, 1)))),
);
