import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type State, StateMachine } from '../src/states.ts';

/** The shortest way into each state. */
const WAY: Record<State, State[]> = {
  starting: [],
  ready: ['ready'],
  draining: ['ready', 'draining'],
  stopped: ['ready', 'draining', 'stopped'],
  failed: ['failed'],
};
const STATES = Object.keys(WAY) as State[];

const arrivedAt = (state: State): StateMachine => {
  const machine = new StateMachine();
  for (const step of WAY[state]) machine.set(step);
  return machine;
};

test('a service starts, becomes ready, drains and stops; every change is told', () => {
  const machine = new StateMachine();
  const changes: string[] = [];
  machine.onChange((state, previous) => changes.push(`${previous}→${state}`));
  for (const state of ['ready', 'draining', 'stopped'] as const) machine.set(state);
  assert.deepEqual(changes, ['starting→ready', 'ready→draining', 'draining→stopped']);
});

test('no state leads back to starting, none from draining to ready, nothing leaves stopped', () => {
  const forbidden: [State, State][] = [
    ['ready', 'starting'],
    ['draining', 'starting'],
    ['draining', 'ready'],
    ['failed', 'ready'],
    ['failed', 'starting'],
    ...STATES.filter((s) => s !== 'stopped').map((to): [State, State] => ['stopped', to]),
  ];
  for (const [from, to] of forbidden)
    assert.throws(() => arrivedAt(from).set(to), /bug: .* cannot go/, `${from}→${to}`);
});

test('setting the present state again does nothing', () => {
  for (const state of STATES) {
    const machine = arrivedAt(state);
    machine.onChange(() => assert.fail('told of no change'));
    machine.set(state);
    assert.equal(machine.get(), state);
  }
});

test('who unsubscribes hears no more', () => {
  const machine = new StateMachine();
  const unsubscribe = machine.onChange(() => assert.fail('told after the end'));
  unsubscribe();
  machine.set('ready');
});
