import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authenticityOf } from './authenticity.ts';
import {
  blockOf,
  headerEnd,
  readBlock,
  readHeader,
  type SegmentAbout,
  SegmentWriter,
} from './segment-format.ts';
import { readSegmentName, segmentName } from './segment-name.ts';
import type { StoredSlot } from './slot-driver.ts';

const authenticity = authenticityOf(Buffer.alloc(32, 7));
const about = (slots: readonly StoredSlot[]): SegmentAbout => ({
  partition: 'audit',
  firstSlot: slots[0]?.slot ?? 0,
  lastSlot: slots.at(-1)?.slot ?? 0,
  firstPosition: 7,
  lastPosition: 9,
  from: '2026-01-01T00:00:00.000Z',
  until: '2026-01-02T00:00:00.000Z',
  before: '0'.repeat(64),
  head: 'f'.repeat(64),
});

async function written(slots: readonly StoredSlot[], mac = true, ofBlock = 100): Promise<Buffer> {
  const writer = new SegmentWriter(ofBlock);
  for (const one of slots) await writer.add(one);
  return writer.end(about(slots), mac ? authenticity : undefined);
}

/** All of it, as a reader gets it. */
async function read(bytes: Uint8Array, keys = true): Promise<StoredSlot[]> {
  const { header, blocksAt } = readHeader(bytes, bytes.length, keys ? authenticity : undefined);
  const slots: StoredSlot[] = [];
  for (const [index, { at, bytes: length }] of header.blocks.entries())
    slots.push(...(await readBlock(header, index, bytes.subarray(blocksAt + at, blocksAt + at + length))));
  return slots;
}
const texts = (slots: readonly StoredSlot[]): string[] =>
  slots.map(({ slot, batch }) => `${slot} ${Buffer.from(batch).toString('hex')}`);

const some = (count: number): StoredSlot[] =>
  Array.from({ length: count }, (_, i) => ({ slot: 5 + i, batch: Buffer.alloc(40 + i, i) }));

describe('a segment', () => {
  it('has every slot as it was stored, whatever is in it', async () => {
    const batches = fc.array(fc.uint8Array({ minLength: 32, maxLength: 300 }), {
      minLength: 1,
      maxLength: 30,
    });
    const run = async (all: Uint8Array[], first: number, mac: boolean): Promise<void> => {
      const slots = all.map((batch, i) => ({ slot: first + i, batch }));
      const bytes = await written(slots, mac);
      expect(texts(await read(bytes, mac))).toEqual(texts(slots));
      const { header } = readHeader(bytes, bytes.length, undefined);
      expect(header).toMatchObject({
        ...about(slots),
        batchBytes: all.reduce((n, one) => n + one.length, 0),
      });
      for (const { slot } of slots) {
        const index = blockOf(header, slot);
        expect(slot).toBeGreaterThanOrEqual(header.blocks[index]?.slot ?? Infinity);
        expect(slot).toBeLessThan(header.blocks[index + 1]?.slot ?? Infinity);
      }
    };
    await fc.assert(fc.asyncProperty(batches, fc.integer({ min: 1, max: 2 ** 40 }), fc.boolean(), run));
  });

  it('is not believed with any byte changed, with keys or without', async () => {
    const bytes = await written(some(6));
    expect(readHeader(bytes, bytes.length, authenticity).header.blocks.length).toBeGreaterThan(1);
    for (const keys of [true, false])
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
        await expect(read(changed, keys), `byte ${at}`).rejects.toMatchObject({ code: 'damaged' });
      }
  });

  it('is not believed when it is cut off or goes on', async () => {
    const bytes = await written(some(6));
    for (let length = 0; length < bytes.length; length++)
      await expect(read(bytes.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({
        code: 'damaged',
      });
    await expect(read(Buffer.concat([bytes, Buffer.from('x')]))).rejects.toMatchObject({ code: 'damaged' });
  });

  it('tells from its beginning how long its header is', async () => {
    const bytes = await written(some(6));
    const { blocksAt } = readHeader(bytes, bytes.length, authenticity);
    expect(headerEnd(bytes.subarray(0, 40))).toBe(blocksAt);
    expect(() => readHeader(bytes.subarray(0, blocksAt - 1), bytes.length, authenticity)).toThrow('cut off');
  });

  it('of another log is called that, and one without a MAC is not believed', async () => {
    const bytes = await written(some(2));
    const other = authenticityOf(Buffer.alloc(32, 8));
    expect(() => readHeader(bytes, bytes.length, other)).toThrow(
      expect.objectContaining({
        code: 'misconfigured',
        message: expect.stringContaining('another log') as string,
      }),
    );
    const without = await written(some(2), false);
    await expect(read(without)).rejects.toMatchObject({ code: 'damaged' });
    expect(texts(await read(without, false))).toEqual(texts(some(2)));
  });

  it('is not made by a MAC for something else', async () => {
    const wrong = {
      ...authenticity,
      mac: (_: string, bytes: Uint8Array) => authenticity.mac('batch', bytes),
    };
    const writer = new SegmentWriter();
    for (const one of some(2)) await writer.add(one);
    await expect(read(await writer.end(about(some(2)), wrong))).rejects.toMatchObject({ code: 'damaged' });
  });
});

describe('the name of a segment', () => {
  const time = fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true });
  const named = fc.record({
    firstSlot: fc.integer({ min: 1, max: 2 ** 50 }),
    more: fc.integer({ min: 0, max: 1e6 }),
    from: time,
    until: time,
  });
  const rangeOf = ({
    firstSlot,
    more,
    from,
    until,
  }: {
    firstSlot: number;
    more: number;
    from: Date;
    until: Date;
  }) => ({
    firstSlot,
    lastSlot: firstSlot + more,
    from: from.toISOString(),
    until: until.toISOString(),
  });

  it('says what it is of, and sorts as its slots do', () => {
    fc.assert(
      fc.property(named, named, (a, b) => {
        const [one, other] = [rangeOf(a), rangeOf(b)];
        const name = segmentName('audit', one);
        expect(readSegmentName('audit', name)).toEqual({ name, ...one });
        if (one.firstSlot < other.firstSlot) expect(name < segmentName('audit', other)).toBe(true);
      }),
    );
  });
  it('is none of another partition, of a slot that cannot be, or of any other text', () => {
    const name = segmentName(
      'audit',
      rangeOf({ firstSlot: 1, more: 1, from: new Date(0), until: new Date(1) }),
    );
    expect(readSegmentName('state', name)).toBeUndefined();
    for (const [from, to] of [
      ['0000000000000001-', '0000000000000000-'],
      ['0000000000000002-', '0000000000000000-'],
      ['19700101T000000000Z', '19701301T000000000Z'],
      ['.segment', '.segment.part'],
      ['audit/', 'audit/x/'],
      ['-', '_'],
    ] as const)
      expect(readSegmentName('audit', name.replace(from, to)), to).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => readSegmentName('audit', `audit/${text}`) === undefined));
  });
});
