import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Credits } from '../../src/core/credits.ts';

test('two batches are granted for each slot, once', () => {
  const credits = new Credits();
  credits.setSlots('mlp', 2);
  assert.equal(credits.take('mlp'), 4);
  assert.equal(credits.take('mlp'), 0);
});

test('a finished batch gives its credit back', () => {
  const credits = new Credits();
  credits.setSlots('mlp', 1);
  credits.take('mlp');
  credits.accepted('mlp', true);
  assert.equal(credits.take('mlp'), 0);
  credits.finished('mlp');
  assert.equal(credits.take('mlp'), 1);
});

test('a new home gets only what is not held for the former one', () => {
  const credits = new Credits();
  credits.setSlots('mlp', 1);
  credits.take('mlp');
  credits.accepted('mlp', true);
  credits.revokeAll();
  assert.equal(credits.take('mlp'), 1);
  credits.accepted('mlp', false); // it was under way from the former home
  credits.finished('mlp');
  assert.equal(credits.take('mlp'), 0, 'one is held, one is granted');
  credits.finished('mlp');
  assert.equal(credits.take('mlp'), 1);
});

test('slots that died make no debt and no grant until they are back', () => {
  const credits = new Credits();
  credits.setSlots('mlp', 1);
  credits.take('mlp');
  credits.accepted('mlp', true);
  credits.setSlots('mlp', 0);
  credits.finished('mlp');
  assert.equal(credits.take('mlp'), 0);
  credits.setSlots('mlp', 1);
  assert.equal(credits.take('mlp'), 1, 'the other credit is still with the home');
});

test('a model without a slot gets no credit', () => {
  assert.equal(new Credits().take('unknown'), 0);
});
