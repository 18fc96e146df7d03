import { connect } from 'node:net';

/** A busy machine's server is late; only one that hangs takes this long. */
const SILENT_MS = 10_000;

/** True when something accepts at the port and answers `say` (or speaks first) with a text that holds `expected`. */
export const answersWith = (port: number, say: string, expected: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(SILENT_MS, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('connect', () => say !== '' && socket.write(say));
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (text.includes(expected)) end(true);
    });
  });
