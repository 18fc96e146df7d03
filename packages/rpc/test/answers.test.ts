import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Answers } from '../src/answers.ts';

type Result = { id: number; bytes: number };

/** The rules of a stream's bound without its socket: takes messages while `takes` says so. */
function newAnswers(maxOpen = 100) {
  const sent: number[][] = [];
  const state = { takes: true, reading: true, drained: () => {} };
  const answers = new Answers<Result, Result[]>({
    stream: {
      send: (results) => state.takes && sent.push(results.map(({ id }) => id)) > 0,
      onDrain: (handler) => {
        state.drained = handler;
      },
      pause: () => {
        state.reading = false;
      },
      resume: () => {
        state.reading = true;
      },
    },
    message: (results) => results,
    sizeOf: ({ bytes }) => bytes,
    maxOpen,
  });
  const answer = (...ids: number[]) => {
    for (const id of ids) answers.add({ id, bytes: 10 });
  };
  return { answers, answer, sent, state };
}

const endOfTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the answers of one stream', () => {
  it('leave in one message for all of one turn', async () => {
    const { answers, answer, sent } = newAnswers();
    answers.asked(3);
    answer(1, 2);
    await endOfTurn();
    answer(3);
    await endOfTurn();
    assert.deepEqual(sent, [[1, 2], [3]]);
  });

  it('are cut into messages of at most one MiB, and a larger one travels alone', async () => {
    const { answers, sent } = newAnswers();
    answers.asked(4);
    for (const [id, kib] of [600, 400, 100, 2_000].entries()) answers.add({ id, bytes: kib * 1024 });
    await endOfTurn();
    assert.deepEqual(sent, [[0, 1], [2], [3]]);
  });

  it('are kept in order while the peer does not read, and nothing more is read from it', async () => {
    const { answers, answer, sent, state } = newAnswers();
    answers.asked(3);
    state.takes = false;
    answer(1);
    await endOfTurn();
    assert.equal(state.reading, false);
    answer(2, 3);
    await endOfTurn();
    assert.deepEqual(sent, []);
    state.takes = true;
    state.drained();
    assert.deepEqual(sent, [[1], [2, 3]]);
    assert.equal(state.reading, true);
  });

  it('stop the reading of questions while too many are open', async () => {
    const { answers, answer, state } = newAnswers(4);
    answers.asked(5);
    assert.equal(state.reading, false);
    answer(1, 2);
    await endOfTurn();
    assert.equal(state.reading, false, 'three are open: more than half');
    answer(3);
    await endOfTurn();
    assert.equal(state.reading, true);
  });
});
