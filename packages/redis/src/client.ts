import { Redis } from 'ioredis';

/** A connection to one Redis: every command is a method that resolves with the reply. */
export type RedisClient = Redis;

export type RedisClientOptions = {
  url: string;
  /** Backstop of every command. */
  commandTimeoutMs: number;
  connectionName: string;
  onFact: (fact: { what: 'redis up' | 'redis down'; error?: string }) => void;
};

/** A server that accepts and never answers is left after this, so that unanswered commands do not pile up; not before a command's own time is over. */
const SILENT_MS = 1_000;
const LONGEST_RETRY_MS = 500;

/**
 * A connection that fails at once while Redis is away (no queue, no retries, nothing sent twice) and comes back by itself
 * within half a second of the server's return. Resolves nothing: it connects in the background.
 */
export function openRedis(options: RedisClientOptions): RedisClient {
  const client = new Redis(options.url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs,
    connectTimeout: 500,
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: true,
    protocol: 2,
    socketTimeout: Math.max(SILENT_MS, options.commandTimeoutMs),
    retryStrategy: (attempt) => Math.min(attempt * 50, LONGEST_RETRY_MS),
    connectionName: options.connectionName,
    disableClientInfo: true, // CLIENT SETINFO needs Redis 7.2
  });
  let up: boolean | undefined;
  let lastError = '';
  client.on('error', (error: Error) => {
    lastError = error.message;
  });
  client.on('ready', () => {
    if (up === true) return;
    up = true;
    options.onFact({ what: 'redis up' });
  });
  client.on('close', () => {
    if (up === false) return;
    up = false;
    options.onFact({ what: 'redis down', error: lastError });
  });
  return client;
}

/** Hangs up for good, without a word: the close is ours. */
export function closeRedis(client: RedisClient): void {
  client.removeAllListeners('close');
  client.disconnect();
}
