import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { realWorld } from '../base/world.ts';
import { type Batch, type BatchHeader, batchOverhead, decodeBatch, encodeBatch, upToDate } from './batch.ts';
import { noHash } from './own-hash.ts';
import { authenticityOf } from './authenticity.ts';
import type { Cause, Fact } from './event.ts';
import { draftEvent, placeEvent } from './stored-event.ts';
import { uuidV7 } from './uuid-v7.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:test', requestId: 'r1' };
const header: BatchHeader = {
  partition: 'state',
  slot: 7,
  firstPosition: 12,
  previous: noHash,
  id: uuidV7(realWorld),
  writer: 'auth-1',
};

const textOf = (fact: Fact, revision = 1): string =>
  placeEvent(draftEvent(uuidV7(realWorld), 'a-1', fact, cause, undefined), revision, cause.at);

/**
 * Reads bytes that may be anything: a batch, or undefined when they were refused as damaged, or as a later
 * version's.
 */
function read(bytes: Uint8Array): Batch | undefined {
  try {
    return decodeBatch(bytes);
  } catch (e) {
    if (isCoded(e, 'damaged') || (isCoded(e, 'unavailable') && (bytes[0] ?? 0) > 1)) return undefined;
    throw e;
  }
}

const withOwnHash = (content: Uint8Array): Buffer =>
  Buffer.concat([content, hash('sha256', content, 'buffer')]);

describe('reading a batch', () => {
  it('gives back what was written, whatever the data', () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }), (list) => {
        const facts = list.map((data) => ({ type: 'test.happened', data }));
        const stored = encodeBatch(
          header,
          facts.map((fact, i) => textOf(fact, i + 1)),
        );
        const batch = decodeBatch(stored);
        expect(batch).toMatchObject({ ...header, bytes: stored.length });
        expect(batch.events.map((e) => e.position)).toEqual(facts.map((_, i) => 12 + i));
        expect(batch.events.map((e) => e.fact)).toEqual(JSON.parse(JSON.stringify(facts)));
        expect(batch.events.every((e) => e.cause.at === cause.at && e.cause.actor === cause.actor)).toBe(
          true,
        );
      }),
    );
  });

  it('refuses any bytes that are no batch, without a crash', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => read(bytes) === undefined));
  });

  it('refuses a batch in which any bit was changed, and one that is longer or shorter', () => {
    const stored = encodeBatch(header, [textOf({ type: 'test.happened', data: { n: 1 } })]);
    for (let at = 0; at < stored.length; at++)
      for (const bit of [1, 16, 128]) {
        const changed = Buffer.from(stored);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(read(changed)).toBeUndefined();
      }
    for (let length = 0; length < stored.length; length++)
      expect(read(stored.subarray(0, length))).toBeUndefined();
    expect(read(Buffer.concat([stored, Buffer.of(0)]))).toBeUndefined();
  });

  it('refuses content that makes no sense even when its hash fits, without a crash', () => {
    const content = encodeBatch(header, [textOf({ type: 'test.happened', data: { n: 1 } })]).subarray(0, -32);
    fc.assert(
      fc.property(fc.nat(content.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(content);
        changed[at] = byte;
        const batch = read(withOwnHash(changed));
        // Whatever is still accepted is a well-formed batch with other values in it.
        if (batch) expect(batch.events).toHaveLength(1);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => read(withOwnHash(bytes)) === undefined),
    );
  });

  it('refuses a number of events that is not theirs, and a batch of none', () => {
    const content = encodeBatch(header, [textOf({ type: 'test.happened', data: {} })]).subarray(0, -32);
    const at = content.indexOf('[{') - 1;
    expect(content[at]).toBe(1);
    expect(read(withOwnHash(content))).toBeDefined();
    const changed = Buffer.from(content);
    changed[at] = 2;
    expect(read(withOwnHash(changed))).toBeUndefined();
    expect(read(encodeBatch(header, []))).toBeUndefined();
  });

  it.each([
    ['an unknown field', { extra: 1 }],
    ['no revision', { revision: undefined }],
    ['revision 0', { revision: 0 }],
    ['a fraction as revision', { revision: 1.5 }],
    ['a moment without milliseconds', { at: '2026-01-01T00:00:00Z' }],
    ['a moment that does not exist', { at: '2026-13-01T00:00:00.000Z' }],
    ['an id that is no UUID', { id: 'x' }],
    ['a stream without category', { stream: 'x' }],
    ['a list as data', { data: [] }],
    ['null as data', { data: null }],
    ['a secret that is not sealed', { sealed: { password: 'hunter2' } }],
    ['a sealed secret with more in it', { sealed: { p: { keyId: '', nonce: '', ciphertext: '', x: 1 } } }],
  ])('refuses an event with %s', (_, change) => {
    const sound = JSON.parse(textOf({ type: 'test.happened', data: {} })) as object;
    expect(read(encodeBatch(header, [JSON.stringify(sound)]))).toBeDefined();
    expect(read(encodeBatch(header, [JSON.stringify({ ...sound, ...change })]))).toBeUndefined();
  });

  it('knows how large a batch will be', () => {
    const text = textOf({ type: 'test.happened', data: { n: 1 } });
    const most = batchOverhead('state', 'auth-1') + text.length;
    const old = encodeBatch({ ...header, writer: upToDate(header.writer) }, [text]);
    const authentic = encodeBatch(header, [text], authenticityOf(Buffer.alloc(32, 1)));
    expect(Math.max(old.length, authentic.length)).toBeLessThanOrEqual(most);
  });
});

describe('drafting an event', () => {
  const draft = (change: Partial<{ stream: string; type: string; data: unknown; at: string }>): unknown => {
    const { stream = 'a-1', type = 'test.happened', data = {}, at = cause.at } = change;
    const fact = { type, data } as Fact;
    return draftEvent(uuidV7(realWorld), stream as 'a-1', fact, { ...cause, at }, undefined);
  };

  it('counts at least the bytes it is stored with', () => {
    const fact = { type: 'test.happened', data: { text: 'é🎉"\n' } };
    const drafted = draftEvent(uuidV7(realWorld), 'a-1', fact, cause, undefined);
    const text = placeEvent(drafted, Number.MAX_SAFE_INTEGER, cause.at);
    expect(Buffer.byteLength(`${text},`)).toBeLessThanOrEqual(drafted.bytes);
  });

  it('refuses what could not be read back', () => {
    const endless: Record<string, unknown> = {};
    endless['self'] = endless;
    for (const change of [
      { stream: 'nodash' },
      { stream: '-x' },
      { stream: 'a-\n' },
      { stream: `a-${'x'.repeat(251)}` },
      { type: '' },
      { type: 'Test Happened' },
      { data: [] },
      { data: null },
      { data: endless },
      { at: 'yesterday' },
    ])
      expect(() => draft(change), JSON.stringify(Object.keys(change))).toThrow(
        expect.objectContaining({ code: 'bad_request' }),
      );
  });
});
