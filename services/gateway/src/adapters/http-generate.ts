import type { IncomingMessage, ServerResponse } from 'node:http';
import { toOip } from '@spillway/errors/to-oip';
import type { InferContext } from './door-context.ts';
import { GENERATE, GENERATE_STREAM } from './http-dialect.ts';
import { InferRoute } from './http-infer.ts';
import { matchGenerate } from './infer-paths.ts';
import { refuseMethod } from './served-paths.ts';

/**
 * `generate` and `generate_stream` of every model, on the way of every request that runs one.
 * @returns Answers a request if its URL is one of theirs; false: it is not.
 */
export function generateRoutes(
  context: InferContext,
): (req: IncomingMessage, res: ServerResponse, url: string) => boolean {
  const whole = new InferRoute(context, GENERATE);
  const stream = new InferRoute(context, GENERATE_STREAM);
  return (req, res, url) => {
    const found = matchGenerate(url);
    if (found === undefined) return false;
    if (req.method !== 'POST') refuseMethod(req, res, toOip);
    else (found.streams ? stream : whole).handle(req, res, found.target);
    return true;
  };
}
