import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { DoneUnheard } from '../../api/done-unheard.ts';
import { CodedError } from '../../base/errors.ts';
import { realWorld } from '../../base/world.ts';
import { cliIo } from '../cli-io.ts';
import { heardOrDone, orLost } from './lost-answer.ts';

const lost = new DoneUnheard('the connection broke; it was done (event 7 of the log)');
const other = new CodedError('unavailable', 'the connection broke; whether it was done is not known');

it('is no failure where the answer only confirms, and the log says that it was done', async () => {
  const stderr = new PassThrough();
  const raw = { stdout: new PassThrough(), stderr };
  const io = cliIo(raw, { stdin: new PassThrough(), env: {}, world: realWorld });
  expect(await heardOrDone(Promise.resolve(1), io)).toBe(1);
  expect(stderr.readableLength).toBe(0);
  const answer: unknown = await heardOrDone(Promise.reject<number>(lost), io);
  expect(answer).toBeUndefined();
  expect(String(stderr.read())).toBe('the connection broke; it was done (event 7 of the log)\n');
  await expect(heardOrDone(Promise.reject(other), io)).rejects.toBe(other);
});

it('is a failure where the answer had what nobody can read again, with what to do', async () => {
  await expect(orLost(Promise.reject(lost), 'make another')).rejects.toMatchObject({
    code: 'unavailable',
    message: `${lost.message}, but its answer is lost: make another`,
  });
  await expect(orLost(Promise.reject(other), 'make another')).rejects.toBe(other);
});
