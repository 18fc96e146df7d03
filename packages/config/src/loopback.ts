const LOOPBACK = /^(127\.\d+\.\d+\.\d+|\[?::1\]?|localhost)$/;

/** True for a host that only this machine reaches, as a configuration or a URL writes it. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);
