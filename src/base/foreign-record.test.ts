import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { anyKey, emptyRecord, foreignRecord } from './foreign-record.ts';

const record = foreignRecord(anyKey, z.string());
const parse = (json: string) => record.safeParse(JSON.parse(json));

describe('a record with keys of others', () => {
  it('says that a key cannot be, where z.record loses it', () => {
    expect(z.record(z.string(), z.string()).parse(JSON.parse('{"__proto__":"x"}'))).toEqual({});
    const { error } = parse('{"a":"1","__proto__":"x"}');
    expect(error?.issues[0]).toMatchObject({ path: ['__proto__'] });
    expect(error?.issues[0]?.message).toContain('"__proto__"');
  });
  it('keeps every other key, and has none by inheritance', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.oneof(fc.string(), fc.constantFrom('constructor', 'toString', 'hasOwnProperty')),
          fc.string(),
        ),
        (given) => {
          fc.pre(!Object.hasOwn(given, '__proto__'));
          const parsed = record.parse(given);
          expect(Object.entries(parsed)).toEqual(Object.entries(given));
          expect('toString' in parsed).toBe(Object.hasOwn(given, 'toString'));
        },
      ),
    );
  });
  it('names the entry whose value is wrong, and refuses what is no record', () => {
    expect(record.safeParse({ a: 1 }).error?.issues[0]).toMatchObject({ path: ['a'] });
    for (const wrong of [null, undefined, 'x', 1, ['a']]) expect(record.safeParse(wrong).success).toBe(false);
  });
  it('an empty one takes the name of the prototype as any other', () => {
    const empty = emptyRecord<string>();
    empty['__proto__'] = 'x';
    expect(Object.keys(empty)).toEqual(['__proto__']);
    expect(Object.hasOwn(empty, 'constructor') || 'constructor' in empty).toBe(false);
  });
});
