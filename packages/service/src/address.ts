import { hostname } from 'node:os';

/** An address that others can call: that of "every interface" leads nowhere, so the name of the machine stands for it. */
export const callableAt = ({ host, advertiseHost }: { host: string; advertiseHost: string }, port: number): string =>
  `${advertiseHost || (host === '0.0.0.0' || host === '::' ? hostname() : host)}:${port}`;
