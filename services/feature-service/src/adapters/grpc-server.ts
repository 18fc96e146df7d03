import { FEATURES_METHOD, type FeatureRows, type FetchRequest, type FetchResponse } from '@spillway/contracts/messages';
import { Answers } from '@spillway/rpc/answers';
import { type DuplexService, serveDuplex } from '@spillway/rpc/duplex';
import type { FetchHandler } from './fetch-handler.ts';

/** Fetches of one stream that may be unanswered. */
const MAX_OPEN = 4_096;

const sizeOf = ({ views, errorMessage }: FeatureRows): number =>
  views.reduce((sum, rows) => sum + rows.values.byteLength + rows.status.byteLength + 80, 32 + errorMessage.length);

/** `spillway.v1.Features/Fetch`. An answer leaves when it is complete, whatever else its message asked for. */
export function featuresService(
  handler: FetchHandler,
  maxUnsentBytes: number,
): DuplexService<FetchRequest, FetchResponse> {
  return serveDuplex(
    FEATURES_METHOD,
    (stream) => {
      const answers = new Answers<FeatureRows, FetchResponse>({
        stream,
        message: (results) => ({ results }),
        sizeOf,
        maxOpen: MAX_OPEN,
      });
      stream.onMessage(({ fetches }) => {
        answers.asked(fetches.length);
        for (const fetch of fetches) handler.handle(fetch, (rows) => answers.add(rows));
      });
    },
    { maxBufferedBytes: maxUnsentBytes },
  );
}
