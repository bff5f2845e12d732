import { expect, it } from 'vitest';
import { turns } from './turns.ts';

it('lets others have their turns when enough time has passed, and only then', async () => {
  let ms = 0;
  const due = turns(() => ms);
  const dueIn = (steps: number): Promise<void> | undefined => {
    let last: Promise<void> | undefined;
    for (let n = 0; n < steps; n++) last = due();
    return last;
  };
  expect(dueIn(160)).toBeUndefined();
  ms += 8;
  let served = false;
  setImmediate(() => (served = true));
  await dueIn(16);
  expect(served).toBe(true);
  expect(dueIn(16)).toBeUndefined();
});
