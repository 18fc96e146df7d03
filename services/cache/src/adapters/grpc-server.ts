import { CACHE_METHOD, type CacheRequest, type CacheResponse, type CacheResult } from '@spillway/contracts/messages';
import { Answers } from '@spillway/rpc/answers';
import { type DuplexService, serveDuplex } from '@spillway/rpc/duplex';
import type { Lookups } from './lookups.ts';

/** Look-ups of one stream that may be unanswered. */
const MAX_OPEN = 8_192;

const sizeOf = ({ value }: CacheResult): number => value.byteLength + 32;

/** `spillway.v1.Cache/Access`. What memory has is answered before Redis is asked for the rest of the same message. */
export function cacheService(lookups: Lookups, maxUnsentBytes: number): DuplexService<CacheRequest, CacheResponse> {
  return serveDuplex(
    CACHE_METHOD,
    (stream) => {
      const answers = new Answers<CacheResult, CacheResponse>({
        stream,
        message: (results) => ({ results }),
        sizeOf,
        maxOpen: MAX_OPEN,
      });
      stream.onMessage((request) => {
        answers.asked(request.gets.length);
        lookups.handle(request, (result) => answers.add(result));
      });
    },
    { maxBufferedBytes: maxUnsentBytes },
  );
}
