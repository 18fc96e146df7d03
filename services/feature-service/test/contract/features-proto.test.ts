import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FEATURES_METHOD, fetchRequestCodec, fetchResponseCodec, VALUE_STATUS } from '@spillway/contracts/messages';
import { meshRoot } from '@spillway/contracts/protos';
import { DEFAULT, MISSING, PRESENT, STALE } from '../../src/core/assemble.ts';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('spillway.v1.Features', () => {
  it('still decodes a request as it was first released', () => {
    // fetches { id: 7 views: "monthly" entities: "c1" entities: "c2" budget_ms: 12.5 traceparent: "t" }
    const bytes = hex('0a1b 0807 1207 6d6f6e74686c79 1a02 6331 1a02 6332 25 00004841 2a01 74');
    const { fetches } = fetchRequestCodec.decode(bytes);
    assert.equal(fetches.length, 1);
    const { id, views, entities, budgetMs, traceparent } = fetches[0]!;
    assert.deepEqual([id, views, entities, budgetMs, traceparent], [7, ['monthly'], ['c1', 'c2'], 12.5, 't']);
  });

  it('still encodes an answer as it was first released', () => {
    const answer = fetchResponseCodec.encode({
      results: [
        {
          id: 7,
          views: [{ view: 'v', fields: 1, values: hex('0000803f'), status: hex('02') }],
          errorCode: '',
          errorMessage: '',
        },
      ],
    });
    const decoded = fetchResponseCodec.decode(answer).results[0]!;
    assert.deepEqual(
      [decoded.id, decoded.errorCode, decoded.views[0]?.view, decoded.views[0]?.fields],
      [7, '', 'v', 1],
    );
    // results { id: 7 views { view: "v" fields: 1 values: 1.0 status: STALE } }, without or with the empty error fields
    const released = '0a12 0807 120e 0a0176 1001 1a040000803f 220102'.replaceAll(' ', '');
    const withEmpty = '0a16 0807 120e 0a0176 1001 1a040000803f 220102 1a00 2200'.replaceAll(' ', '');
    assert.ok([released, withEmpty].includes(Buffer.from(answer).toString('hex')), Buffer.from(answer).toString('hex'));
  });

  it('is served at the path of the proto, with its numbers for the statuses', () => {
    const service = meshRoot.lookupService('spillway.v1.Features');
    assert.equal(FEATURES_METHOD.path, `/spillway.v1.Features/${service.methodsArray[0]?.name}`);
    const statuses = meshRoot.lookupEnum('spillway.v1.ValueStatus').values;
    assert.deepEqual({ PRESENT, MISSING, STALE, DEFAULT }, { ...statuses });
    assert.deepEqual(
      VALUE_STATUS.map((name) => name.toUpperCase()),
      Object.keys(statuses),
    );
  });
});
