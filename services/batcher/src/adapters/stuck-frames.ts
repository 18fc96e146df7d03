import type { Bus } from '@spillway/bus/bus';
import { deleteMessage, readMessage } from '@spillway/bus/stream-messages';
import { CLASSES, type TrafficClass } from '@spillway/contracts/classes';
import { workFrameCodec } from '@spillway/contracts/messages';
import { stuckWork, workStream } from '@spillway/contracts/streams';
import { reissueFrame } from './refusals.ts';

export type StuckFramesOptions = {
  bus: Bus;
  onRescued: (facts: { model: string; again: number; refused: number }) => void;
  onFault: (thrown: unknown) => void;
};

/**
 * JetStream grants a frame three deliveries, and a delivery can be lost on its way to a batcher that stood still, lost its connection
 * or was closing. Its requests would wait for their deadlines: so the frame is sent again. Of all batchers one hears of it.
 */
export function rescueStuckFrames({ bus, onRescued, onFault }: StuckFramesOptions): Disposable {
  const rescue = async (trafficClass: TrafficClass, payload: Uint8Array): Promise<void> => {
    const stream = workStream(trafficClass);
    const { stream_seq: seq } = JSON.parse(Buffer.from(payload).toString()) as { stream_seq: number };
    const found = await readMessage(bus, stream, { seq });
    if (found === undefined) return; // acknowledged meanwhile: only that was late
    const frame = workFrameCodec.decode(found.payload);
    if (!(await deleteMessage(bus, stream, seq))) return;
    onRescued({ model: frame.model, ...(await reissueFrame(bus, frame, found.subject)) });
  };
  const advisories = CLASSES.map((trafficClass) =>
    bus.subscribe(stuckWork(trafficClass), ({ payload }) => void rescue(trafficClass, payload).catch(onFault), {
      queue: 'batchers',
    }),
  );
  return {
    [Symbol.dispose]: () => {
      for (const advisory of advisories) advisory.stop();
    },
  };
}
