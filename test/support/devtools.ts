import { once } from 'node:events';

type Message = { id?: number; method?: string; params?: unknown; result?: unknown; error?: { message: string } };

/** A connection of the DevTools protocol: to a browser, or to a Node process that was started with `--inspect`. */
export class DevTools implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data)) as Message));
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the connection has closed'));
    });
  }

  static async connect(url: string): Promise<DevTools> {
    const socket = new WebSocket(url);
    await once(socket, 'open');
    return new DevTools(socket);
  }

  /** @param sessionId Of a page; undefined: the browser, or the process. @throws Error with the text of the other end. */
  call<Result>(method: string, params: object = {}, sessionId?: string): Promise<Result> {
    const id = this.#nextId;
    this.#nextId += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return waiting.promise as Promise<Result>;
  }

  /** The value of an expression, which may be a promise. @throws Error if it throws. */
  async evaluate<Value>(expression: string, sessionId?: string): Promise<Value> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    type Evaluated = { result: { value: Value }; exceptionDetails?: { exception?: { description?: string } } };
    const { result, exceptionDetails } = await this.call<Evaluated>('Runtime.evaluate', params, sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? 'the expression threw');
    return result.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #take({ id, result, error }: Message): void {
    if (id === undefined) return; // an event
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }
}
