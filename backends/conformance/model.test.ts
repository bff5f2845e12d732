import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Rules, soundRules } from './model.ts';
import { times } from './trial.ts';
import { broken, happen, newWorld, type Step, steps } from './model-world.ts';

const number = fc.nat({ max: 60 });
const history: fc.Arbitrary<readonly Step[]> = fc.array(fc.tuple(fc.constantFrom(...steps), number, number), {
  minLength: 10,
  maxLength: 80,
  size: 'max',
});

/** Lets everything happen, and says what was broken first. */
function play(happenings: readonly Step[], rules: Rules): string | undefined {
  let world = newWorld(3);
  for (const step of happenings) {
    world = happen(world, step, rules);
    const what = broken(world);
    if (what !== undefined) return what;
  }
  return undefined;
}

const runs = times(10_000);
const patienceMs = Math.max(60_000, runs * 4);

/** What a search finds when the rules are these; undefined when nothing. */
function search(rules: Rules): string | undefined {
  const found = fc.check(
    fc.property(history, (happenings) => play(happenings, rules) === undefined),
    { numRuns: runs, seed: 20261201 },
  );
  return found.counterexample === null ? undefined : play(found.counterexample[0], rules);
}

describe('the model of a store and its writers', () => {
  it(
    'keeps every promise under any interleaving',
    () => {
      expect(search(soundRules)).toBeUndefined();
    },
    patienceMs,
  );

  it('loses what was acknowledged when an append is conditional on an absent slot alone', () => {
    expect(search({ ...soundRules, fence: 'absence' })).toMatch(
      /missing|acknowledged|follow|below the floor/,
    );
  });

  it('destroys the secret of a stored batch when a refusal is believed', () => {
    expect(search({ ...soundRules, refusal: 'believed' })).toMatch(/was refused and is on the log/);
  });

  it('brings back what was destroyed, and loses what was rewrapped, when values are written blindly', () => {
    expect(search({ ...soundRules, values: 'blind' })).toMatch(/was destroyed and is back|fell back/);
  });

  it.each([
    [
      'a writer that slept over a trim',
      [
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['look', 1, 0],
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['trim', 0, 0],
        ['send', 1, 0],
        ['deliver', 0, 0],
      ],
    ],
    [
      'a request to rewrap that arrives after its repetition and a later one',
      [
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['rewrap', 0, 0],
        ['repeat', 0, 0],
        ['rewrap', 0, 0],
        ['deliver', 0, 1],
        ['deliver', 0, 0],
      ],
    ],
    [
      'a store that is put back',
      [
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['save', 0, 0],
        ['send', 0, 0],
        ['deliver', 0, 0],
        ['restore', 0, 0],
        ['send', 0, 0],
        ['deliver', 0, 0],
      ],
    ],
  ] as const)('shows: %s', (_name, happenings) => {
    expect(play(happenings, soundRules)).toBeUndefined();
    expect(play(happenings, { fence: 'absence', refusal: 'believed', values: 'blind' })).toBeDefined();
  });
});
