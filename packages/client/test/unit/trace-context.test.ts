import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { after, test } from 'node:test';
import { type Context, context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { traceHeaders } from '../../src/trace-context.ts';

const storage = new AsyncLocalStorage<Context>();
context.setGlobalContextManager({
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, self, ...args) => storage.run(active, () => work.apply(self, args)),
  bind: (_active, target) => target,
  enable() {
    return this;
  },
  disable() {
    return this;
  },
});
after(() => context.disable());

test("the active span's context is sent, and nothing without one", async () => {
  assert.deepEqual(await traceHeaders(), {});
  const spanContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
  const active = trace.setSpanContext(ROOT_CONTEXT, spanContext);
  assert.deepEqual(await context.with(active, traceHeaders), {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  });
});
