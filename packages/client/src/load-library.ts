import { SpillwayClientError } from './errors.ts';

/** Libraries are loaded when a URL needs them: who only uses HTTP does not pay for the others. */
export async function loadLibrary<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new SpillwayClientError('UNSUPPORTED', `this URL needs the package ${name}, which cannot be loaded`, {
      cause,
    });
  }
}
