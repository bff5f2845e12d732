import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import type { LookUpName } from '../../base/name-lookup.ts';
import { addressesOf } from './look-up-name.ts';

const asking = { by: 'alice', signal: new AbortController().signal };
const mute: LookUpName = (_name, { signal }) =>
  new Promise((_resolve, reject) => {
    const leave = (): void => {
      reject(new CodedError('unavailable', 'the client has left'));
    };
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave);
  });

describe('the addresses of a name', () => {
  it('are what DNS says, and none for a name it does not know', async () => {
    const lookUp = addressesOf((name) =>
      name === 'known'
        ? Promise.resolve(['10.0.0.1'])
        : Promise.reject(new CodedError('not_found', 'the name is not known')),
    );
    expect([await lookUp('known', asking), await lookUp('unknown', asking)]).toEqual([['10.0.0.1'], []]);
  });
  it('are none when DNS says nothing in time', async () => {
    expect(await addressesOf(mute, { timeoutMs: 1 })('slow', asking)).toEqual([]);
  });
  it('are not waited for when the client has left', async () => {
    const left = { by: 'alice', signal: AbortSignal.abort() };
    await expect(addressesOf(mute)('slow', left)).rejects.toMatchObject({ message: 'the client has left' });
  });
  it('are refused when too many wait', async () => {
    const full: LookUpName = () => Promise.reject(new CodedError('unavailable', 'too many names'));
    await expect(addressesOf(full)('any', asking)).rejects.toThrow('too many names');
  });
});
