import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Fact, Partition, StreamName } from './event.ts';
import { openHeadSigner } from './log-key.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { headSigned, type LogHead, parseLogKey, type SignedHead, signHead } from './signed-head.ts';
import { addEvents, cause, openOn, rewriteFrom, signNow } from './signed-head-testing.ts';
import { verifyLog, type Verification, type VerifyOptions } from './verify.ts';

let store: MemoryStore;
let heads: SignedHead[];
/** Slot 1 holds the key, 2 to 7 events, 8 the first head, 9 to 11 events, 12 the second, 13 an event. */
beforeEach(async () => {
  store = memoryStore();
  const log = await openOn(store);
  heads = [];
  await openHeadSigner(log.state, cause);
  await addEvents(log, 'state', 6);
  heads.push(await signNow(log, 'state'));
  await addEvents(log, 'state', 3);
  heads.push(await signNow(log, 'state'));
  await addEvents(log, 'state', 1);
  await log.close();
});

const verify = (options: VerifyOptions = {}): Promise<Verification> =>
  verifyLog(memoryDriver(store), options);
const witnessed = (list: readonly SignedHead[] = heads): VerifyOptions => ({
  witnessed: list.map((head, i) => ({ head, source: `witness, line ${i + 1}` })),
});
const slots = (): Map<number, Uint8Array> => store.slots.get('state') ?? new Map<number, Uint8Array>();
const cutAfter = (slot: number): void => {
  for (const one of [...slots().keys()]) if (one > slot) slots().delete(one);
};

describe('verifying signed heads', () => {
  it('finds nothing in a log as it was written', async () => {
    const { bad, findings, keys, partitions } = await verify(witnessed());
    expect([bad, findings]).toEqual([undefined, []]);
    expect(keys).toHaveLength(1);
    expect(partitions[0]?.heads).toEqual({
      signed: 2,
      newest: heads[1],
      unsigned: 1,
      agreed: 2,
      trimmed: 0,
      younger: 0,
    });
  });

  it('finds a chain that was written again, by the heads on it', async () => {
    for (let slot = 2; slot <= 11; slot++) {
      if (slot === 8) continue;
      const before = new Map(slots());
      rewriteFrom(store, 'state', slot);
      const { bad, findings } = await verify();
      expect(bad).toBeUndefined();
      expect(findings).toMatchObject([{ partition: 'state', slot: slot < 8 ? 7 : 11 }]);
      for (const [at, batch] of before) slots().set(at, batch);
    }
  });

  it('finds by a witness also what was written again with its heads, or left out', async () => {
    cutAfter(7);
    rewriteFrom(store, 'state', 5);
    expect((await verify()).findings).toEqual([]);
    const { findings } = await verify(witnessed());
    expect(findings).toMatchObject([
      { slot: 7, reason: expect.stringMatching(/not the batch .*witness, line 1\)$/) as string },
      { slot: 8, reason: expect.stringMatching(/cut off, slot 11 .*witness, line 2\)$/) as string },
    ]);
  });

  it('finds every tail that was cut off behind a witnessed head', async () => {
    const whole = new Map(slots());
    for (let last = 12; last >= 0; last--) {
      cutAfter(last);
      const { findings } = await verify(witnessed());
      const found = findings.map(({ slot, reason }) => [slot, /was cut off/.exec(reason)?.[0]]);
      if (last >= 11) expect(found).toEqual([]);
      else if (last > 0) expect(found).toEqual([[last + 1, 'was cut off']]);
      // The key is gone as well.
      else expect(found).toEqual([[1, 'was cut off']]);
    }
    for (const [at, batch] of whole) slots().set(at, batch);
    expect((await verify(witnessed())).findings).toEqual([]);
  });

  it('finds any byte that was changed, in the batches or in a signed head', async () => {
    const whole = new Map(slots());
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 13 }), fc.nat(), fc.nat(7), async (slot, at, bit) => {
        const batch = Buffer.from(whole.get(slot) ?? []);
        batch[at % batch.length] = (batch[at % batch.length] ?? 0) ^ (1 << bit);
        slots().set(slot, batch);
        expect((await verify(witnessed())).bad).toMatchObject({ slot });
        slots().set(slot, Buffer.from(whole.get(slot) ?? []));
      }),
      { numRuns: 60 },
    );
    const [head] = heads;
    if (head === undefined) throw new Error('there is a head');
    const { findings } = await verify(witnessed([{ ...head, slot: 6 }]));
    expect(findings).toMatchObject([
      {
        slot: 6,
        reason: expect.stringMatching(/^the head .*witness, line 1\) does not have its signature/) as string,
      },
    ]);
  });

  it('finds a signed head of a key that is not the log’s', async () => {
    const other = memoryStore();
    const log = await openOn(other);
    await addEvents(log, 'state', 3);
    const strange = await signNow(log, 'state');
    const here = await openOn(store);
    await here.state.append([{ stream: 'heads-state', expected: 2, facts: [headSigned(strange)] }], cause);
    const { findings } = await verify();
    expect(findings).toMatchObject([
      {
        slot: 14,
        reason: expect.stringMatching(/names the key [0-9a-f]{16}, which is not on the log$/) as string,
      },
    ]);
    await Promise.all([log.close(), here.close()]);
  });

  it('trusts only the key that was given, when one was', async () => {
    const { keys } = await verify();
    expect((await verify({ trusted: keys })).findings).toEqual([]);
    const trusted = [parseLogKey(`ed25519:${Buffer.alloc(32, 9).toString('base64')}`)];
    const reasons = (await verify({ ...witnessed(), trusted })).findings.map(({ reason }) => reason);
    expect(reasons.filter((one) => one.includes('which is not the one that was given'))).toHaveLength(3);
  });

  it('does not miss in an archive what was signed after it was made', async () => {
    cutAfter(9);
    const late = heads.map((head) => ({ ...head }));
    const found = await verify({ ...witnessed(late), madeAt: '2025-12-31T23:59:59.999Z' });
    expect(found.findings).toEqual([]);
    expect(found.partitions[0]?.heads).toMatchObject({ agreed: 1, younger: 1 });
    expect((await verify({ ...witnessed(late), madeAt: cause.at })).findings).toHaveLength(1);
  });

  describe('finds on the log', () => {
    const append = async (stream: StreamName, facts: Fact[], partition: Partition = 'state') => {
      const log = await openOn(store);
      const expected = await log[partition].revision(stream);
      await log[partition].append([{ stream, expected, facts }], cause);
      await log.close();
    };
    /** Signed by the key of the log. */
    const signed = async (change: Partial<LogHead>): Promise<Fact> => {
      const log = await openOn(store);
      const { key, privateKey } = await openHeadSigner(log.state, cause);
      await log.close();
      const { slot, position, hash } = heads[1] ?? expect.unreachable();
      const head = { partition: 'state', slot, position, hash, at: cause.at, ...change } as const;
      return headSigned(signHead(head, key, privateKey));
    };
    const found = async () => (await verify()).findings.map(({ slot, reason }) => [slot, reason]);

    it('what is no signed head, and how many', async () => {
      const facts = [
        { type: 'log.head_signed', data: {} },
        { type: 'trial.happened', data: { ...heads[0] } },
      ];
      await append('heads-state', facts);
      const reason = 'position 14 of heads-state is not a signed head that this version knows (and 1 more)';
      expect(await found()).toEqual([[14, reason]]);
    });

    it('what is no key of the log', async () => {
      await append('log-key', [{ type: 'trial.happened', data: {} }]);
      const { findings, keys } = await verify();
      expect(keys).toHaveLength(1);
      expect(findings).toMatchObject([
        { slot: 14, reason: expect.stringMatching(/^position 14 holds no key of the log/) as string },
      ]);
    });

    it.each([
      ['of another partition', { partition: 'audit' } as const],
      ['of its own slot', { slot: 14 }],
      ['of a slot that was not there', { slot: 99 }],
    ])('a head %s', async (_what, change) => {
      await append('heads-state', [await signed(change)]);
      const { slot = 11, partition = 'state' } = change as Partial<LogHead>;
      expect(await found()).toEqual([
        [14, `the head signed at ${cause.at} is of slot ${slot} of ${partition}`],
      ]);
    });

    it.each([{ position: 10 }, { hash: 'ab'.repeat(32) }])('a head of another state: %j', async (change) => {
      await append('heads-state', [await signed(change)]);
      const reason = `it is not the batch whose head was signed at ${cause.at}`;
      expect(await found()).toEqual([[11, reason]]);
    });

    it('nothing in one that is right', async () => {
      await append('heads-state', [await signed({})]);
      const { findings, partitions } = await verify();
      expect(findings).toEqual([]);
      expect(partitions[0]?.heads).toMatchObject({ signed: 3, unsigned: 2 });
    });
  });

  it('misses what was trimmed of a partition that is kept whole', async () => {
    const { keys } = await verify();
    const log = await openOn(store);
    await log.takeSnapshot('state', [], { trim: false }, cause);
    await log.close();
    await memoryDriver(store).trim('state', 9);
    // The key is gone from the log as well.
    const { findings } = await verify({ ...witnessed(), trusted: keys });
    expect(findings).toMatchObject([
      { slot: 7, reason: expect.stringMatching(/^it is missing, though state is kept whole/) as string },
    ]);
  });

  it('counts what was trimmed of presence', async () => {
    const log = await openOn(store);
    await addEvents(log, 'presence', 3);
    const head = await signNow(log, 'presence');
    await addEvents(log, 'presence', 1);
    await log.takeSnapshot('presence', [], { trim: false }, cause);
    await log.close();
    await memoryDriver(store).trim('presence', 5);
    const { bad, findings, partitions } = await verify(witnessed([head]));
    expect([bad, findings]).toEqual([undefined, []]);
    expect(partitions[1]?.heads).toMatchObject({ trimmed: 1, agreed: 0 });
  });
});
