import { describe, expect, it } from 'vitest';
import type { PartitionReport } from '../../../log/verify.ts';
import { type FoundLog, logInfoText } from './log-info-text.ts';
import { macNotes, type MacsLookedAt, partitionText, witnessText } from './log-verify-text.ts';

const at = '2026-01-31T08:00:00.000Z';
const partition: FoundLog['partitions'][number] = {
  ...{ partition: 'state', firstSlot: 1, slot: 9, position: 40, streams: 7, followers: 3, lag: 0 },
  ...{ waitingAppends: 1, waitingBytes: 20, appends: 9, conflicts: 2, ambiguous: 1, slowestCommitMs: 1.25 },
  ...{ eventsSinceSnapshot: 4, unsigned: 5, snapshots: [], authenticFrom: 1 },
};
/** Without the blanks that fill columns. */
const found = (more: Partial<FoundLog> = {}, one: Partial<typeof partition> = {}): string =>
  logInfoText({
    source: { kind: 'auth', hostId: 'id-1' },
    store: { type: 'dir', place: '/var/lib/teleport/log', figures: { files: 3 } },
    ...{ trouble: '', keys: [], witnesses: [], partitions: [{ ...partition, ...one }] },
    ...more,
  }).replaceAll(/ +$/gm, '');

describe('what is known of a log', () => {
  it('names where it came from, and what a store alone cannot say', () => {
    expect(found()).toMatch(/^Source +auth server id-1$/m);
    expect(found()).toMatch(/^Figures +files=3$/m);
    expect(found()).toMatch(/^Witness +none: set storage\.witness$/m);
    const alone = found({ source: { kind: 'store', reason: 'nobody answers' } });
    expect(alone).toMatch(/^Source +the store itself, without queues, lags and witnesses: nobody answers$/m);
    expect(alone).not.toMatch(/Witness|Followers/);
  });
  it('says for how long the store has space', () => {
    const room = (outlook: FoundLog['outlook']): string =>
      /^Room +(.*)$/m.exec(found({ outlook }))?.[1] ?? 'no such line';
    const lasts = { status: 'lasts', freeBytes: 2048, bytesPerDay: 1024 } as const;
    expect(room(undefined)).toBe('not known: the auth server does not report it');
    expect(room({ status: 'not known', why: 'it is new' })).toBe('not known: it is new');
    expect(room({ status: 'without end' })).toBe('the store has no limit');
    expect(room({ ...lasts, of: 'disk' })).toBe(
      '2.0 KB are left on its file system; nothing was kept lately that would fill it',
    );
    const days = (n: number): string => room({ ...lasts, of: 'quota', days: n });
    expect(days(2)).toBe('2.0 KB are left of its quota: about 2 days at 1.0 KB a day of state and audit');
    expect(days(10.9)).toContain('about 10 days');
    expect(days(1095)).toContain('about 3 years');
    expect(days(1e9)).toContain('about 1000 years');
  });
  it('says what is in the archive of the audit, and what is wrong with it', () => {
    const rowOf = (archive: FoundLog['archive'], name = 'Audit archive'): string | undefined =>
      new RegExp(`^${name} +(.*)$`, 'm').exec(found({ archive }))?.[1];
    expect(rowOf(undefined)).toBeUndefined();
    const times = { keptMs: 86_400_000, retentionMs: 7_776_000_000 };
    const empty = { place: 'file:///a', segments: 0, bytes: 0, firstSlot: 0, lastSlot: 0 };
    expect(rowOf({ keptMs: 3_600_000, found: empty })).toBe(
      'file:///a: nothing yet; audit older than 1h0m0s is moved there',
    );
    const some = { ...empty, segments: 2, bytes: 2048, firstSlot: 4, lastSlot: 9, from: at, until: at };
    expect(rowOf({ ...times, found: { ...some, deletedUntil: at } })).toBe(
      `file:///a: slots 4-9, from ${at} to ${at}, in 2 segments of 2.0 KB; what happened until ${at} was deleted; ` +
        'audit older than 24h0m0s is moved there, and deleted after 2160h0m0s',
    );
    expect(rowOf({ ...times, trouble: 'S3 is away' }, 'Archive trouble')).toBe('S3 is away');
  });
  it('shows keys, witnesses, and a store that went back', () => {
    const text = found(
      {
        keys: [{ keyId: 'k1', publicKey: 'ssh-ed25519 AAAA' }],
        trouble: 'it is full',
        witnesses: [
          {
            ...{ target: 'https://w', sent: 3, waiting: 1, dropped: 2, lastSentAt: at },
            failing: { since: at, reason: 'refused' },
          },
        ],
      },
      { wentBack: 'slot 9 is missing' },
    );
    expect(text).toMatch(/^Log key +ssh-ed25519 AAAA \(k1\)$/m);
    expect(text).toMatch(/^Trouble +it is full$/m);
    expect(text).toMatch(/^Went back +state: slot 9 is missing$/m);
    expect(text).toContain(
      `https://w: 3 sent, the last at ${at}; 1 wait; 2 given up for newer ones; fails since ${at}: refused`,
    );
  });
  it('has growth by the day, and the state of each snapshot', () => {
    const text = found(
      {},
      {
        firstSlot: 2,
        growth: { from: at, until: '2026-01-31T09:00:00.000Z', events: 10, bytes: 100, measured: 'sampled' },
        snapshots: [
          { slot: 8, bytes: 2048, position: 36, takenAt: at },
          { slot: 9, bytes: 10, fault: 'damaged' },
        ],
        lastCompaction: { at, by: 'auth-1' },
      },
    );
    expect(text).toMatch(/^state +about 2\.3 KB, and is trimmed +240 +the last 60 min/m);
    expect(text).toMatch(new RegExp(`^state +8 +36 +${at} +2\\.0 KB +good`, 'm'));
    expect(text).toMatch(/^state +9 +- +- +10 B +damaged/m);
    expect(text).toMatch(/^state +2-9 +1 +40 +7 +4 .* auth-1/m);
    expect(found({}, { slot: 0, position: 0 })).toMatch(/^state +- +1 +0/m);
  });
});

const heads = { signed: 0, newest: undefined, unsigned: 0, agreed: 0, trimmed: 0, younger: 0 };
const report = (more: Partial<PartitionReport> = {}): PartitionReport => ({
  ...{ partition: 'audit', firstSlot: 1, lastSlot: 5, events: 12, position: 12, head: 'ab', bad: undefined },
  ...{ authenticFrom: 1, before: '00', snapshots: 0, damagedSnapshots: [], heads, findings: [] },
  ...more,
});
const checked: MacsLookedAt = { status: 'checked', storeHoldsKeys: false };
const notChecked: MacsLookedAt = { status: 'not checked', reason: 'the keyring is elsewhere' };

describe('what was verified of a log', () => {
  it('says what MACs vouch for', () => {
    expect(partitionText(report(), checked)).toContain('MACs: good, of every batch');
    expect(partitionText(report({ authenticFrom: 3 }), notChecked)).toContain(
      'MACs: not checked, from slot 3 on; that one vouches for those before it',
    );
    expect(partitionText(report({ authenticFrom: undefined }), checked)).toContain('MACs: none yet');
    expect(partitionText(report({ lastSlot: 0, events: 0 }), checked)).toBe(
      'audit    slots 1 to 0, 0 events',
    );
  });
  it('says so once for all partitions where they prove less', () => {
    expect(macNotes(checked, [report()])).toEqual([]);
    expect(macNotes({ status: 'checked', storeHoldsKeys: true }, [report()])[0]).toContain(
      'they prove nothing against its owner',
    );
    expect(macNotes(notChecked, [report()])).toEqual(['MACs were not checked: the keyring is elsewhere']);
    expect(macNotes({ status: 'no key' }, [report()])[0]).toContain('the key for them is not here');
    expect(macNotes(notChecked, [report({ authenticFrom: undefined })])).toEqual([]);
  });
  it('says what is in an archive that was not looked at, and what was deleted there', () => {
    const archived = { firstSlot: 3, lastSlot: 8, place: 's3://b/p' };
    const text = partitionText(report({ firstSlot: 9, lastSlot: 20, archived, deletedUpTo: 2 }), checked);
    expect(text).toContain(
      'slots 3 to 8 are in the archive s3://b/p by what the log says: not looked at (--archive)',
    );
    expect(text).toContain('slots 1 to 2 were deleted from the archive when their time was over');
  });
  it('counts signed heads, and those that others kept', () => {
    expect(partitionText(report(), checked)).toContain('signed heads: none');
    const newest = { slot: 4, at } as never;
    const text = partitionText(
      report({ heads: { signed: 2, newest, unsigned: 3, agreed: 1, trimmed: 2, younger: 4 } }),
      checked,
    );
    expect(text).toContain(`signed heads: 2, the newest of slot 4 at ${at}; events behind it: 3`);
    expect(text).toContain(
      'of the witnessed heads 1 agree, 2 speak of what was trimmed since, 4 are younger than the archive',
    );
  });
  it('shows what a witness has kept', () => {
    expect(witnessText({ place: '/w', heads: [], notices: [], unreadable: [] })).toBe(
      'witness /w: 0 signed heads',
    );
    const text = witnessText({
      place: '/w',
      heads: [{ head: { at } } as never],
      notices: [{ at, hostId: 'id-1', reason: 'slot 9 is missing' } as never],
      unreadable: [3, 4],
    });
    expect(text).toContain(`1 signed heads, the newest of ${at}; lines that hold none: 3, 4`);
    expect(text).toContain(`reported at ${at} by id-1: slot 9 is missing`);
  });
});
