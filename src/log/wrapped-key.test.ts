import { describe, expect, it } from 'vitest';
import { joinService, splitService, wrappedUnder } from './wrapped-key.ts';

const unknown = expect.objectContaining({ code: 'damaged' }) as Error;
const service = (length: number, ...rest: number[]): Buffer =>
  Buffer.from([2, length >> 8, length & 255, ...rest]);

describe('a wrapped data key', () => {
  it('tells the key of a keyring that it is under', () => {
    const id = '0123456789abcdef';
    expect(wrappedUnder(Buffer.from(`01${id}ff`, 'hex'))).toBe(id);
    for (const short of ['01', `01${id}`])
      expect(() => wrappedUnder(Buffer.from(short, 'hex'))).toThrow(unknown);
  });

  it.each(['k', 'arn:aws:kms:eu:1:key/ü', 'x'.repeat(2048)])('tells the key of a service: %.20s', (name) => {
    const wrapped = joinService(name, Buffer.from('made there'));
    expect(wrappedUnder(wrapped)).toBe(name);
    const { keyName, ciphertext } = splitService(wrapped);
    expect([keyName, Buffer.from(ciphertext).toString()]).toEqual([name, 'made there']);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['another form', Buffer.from([3, 0, 1, 65, 66])],
    ['no length', Buffer.from([2, 0])],
    ['no name', service(0, 65, 66)],
    ['a name that is cut off', service(3, 65, 66)],
    ['a name and nothing else', service(2, 65, 66)],
    ['too long a name', Buffer.concat([service(2049), Buffer.alloc(3000, 65)])],
  ])('is damaged with %s', (_what, bytes) => {
    expect(() => splitService(bytes)).toThrow(unknown);
    expect(() => wrappedUnder(bytes)).toThrow(unknown);
  });

  it('of a keyring is none of a service', () => {
    expect(() => splitService(Buffer.alloc(60, 1))).toThrow(unknown);
  });
});
