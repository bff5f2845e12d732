import { describe, expect, it } from 'vitest';
import { commonOf, foldOf, manifestShape, segmentedManifest, wholeManifest } from './manifest.ts';
import { HeapStreams } from './stream-index.ts';

const at = '2026-01-01T00:00:00.000Z';
const hex = 'ab'.repeat(32);
const common = {
  partition: 'state',
  slot: 5,
  position: 7,
  hash: hex,
  lastAt: at,
  compactedAt: 6,
  takenAt: at,
  floor: 2,
  signposts: [[1, 1, at]],
  fence: { status: 'moved', copy: 'c1', reason: 'it has moved' },
  views: { seen: { position: 7, digest: hex } },
  authenticFrom: 3,
};
const index = ['a-1', 3, [2, 5], [1, 3]];
const whole = { version: 1, ...common, streams: [index] };
const segmented = { version: 2, ...common, streams: 9, recent: [index], runs: [] };
const isTaken = (document: unknown): boolean => manifestShape.safeParse(document).success;

describe('a manifest', () => {
  it('is written as it was read, in either version', () => {
    const fold = foldOf(manifestShape.parse(whole));
    expect(fold.streams.get('a-1')).toMatchObject({ revision: 3 });
    const about = commonOf(fold, { takenAt: at, floor: 2, views: common.views });
    if (!(fold.streams instanceof HeapStreams)) throw new Error('a whole index is held in memory');
    expect(wholeManifest(about, fold.streams)).toEqual(whole);
    const unsettled = { streams: 9, recent: [['a-1', 3, [2, 5], [1, 3]]] as const };
    expect(segmentedManifest(about, unsettled as never, [])).toEqual(segmented);
    expect(isTaken(segmented)).toBe(true);
  });

  it('has another version when a stream is sparse, which earlier releases pass over', () => {
    const thinned = { version: 3, ...common, streams: [index, ['b-1', 4, [2, 4], [1, 3], 1]] };
    const fold = foldOf(manifestShape.parse(thinned));
    expect([fold.streams.get('a-1')?.sparse, fold.streams.get('b-1')?.sparse]).toEqual([undefined, true]);
    const about = commonOf(fold, { takenAt: at, floor: 2, views: common.views });
    if (!(fold.streams instanceof HeapStreams)) throw new Error('a whole index is held in memory');
    expect(wholeManifest(about, fold.streams)).toEqual(thinned);
    for (const mark of [0, true, '1', null])
      expect(isTaken({ ...thinned, streams: [['b-1', 4, [2, 4], [1, 3], mark]] })).toBe(false);
  });

  it('may lack what older releases did not write', () => {
    const old = { ...whole, fence: undefined, authenticFrom: undefined };
    const fold = foldOf(manifestShape.parse(JSON.parse(JSON.stringify(old))));
    expect([fold.fence, fold.authenticFrom]).toEqual([undefined, undefined]);
    expect(commonOf(fold, { takenAt: at, floor: 2, views: {} })).not.toHaveProperty('authenticFrom');
  });

  it.each([
    ['no list', 'a-1'],
    ['too short', ['a-1', 3, [2, 5]]],
    ['too long', [...index, 1, 1]],
    ['without a name', [1, 3, [2, 5], [1, 3]]],
    ['of a negative revision', ['a-1', -1, [2, 5], [1, 3]]],
    ['of half a revision', ['a-1', 1.5, [2, 5], [1, 3]]],
    ['of a revision in text', ['a-1', '3', [2, 5], [1, 3]]],
    ['without slots', ['a-1', 3, 5, [1, 3]]],
    ['with a slot that is none', ['a-1', 3, [2, -5], [1, 3]]],
    ['without first revisions', ['a-1', 3, [2, 5], null]],
    ['with a first revision that is none', ['a-1', 3, [2, 5], [1, '3']]],
  ])('is refused with an index of a stream that is %s, whichever of several it is', (_what, bad) => {
    expect(isTaken({ ...whole, streams: [index, bad] })).toBe(false);
    expect(isTaken({ ...segmented, recent: [bad, index] })).toBe(false);
    expect(isTaken({ ...whole, version: 3, streams: [index, bad] })).toBe(false);
  });

  it.each([
    { version: 4 },
    { streams: {} },
    { slot: -1 },
    { position: 1.5 },
    { hash: hex.slice(1) },
    { hash: hex.toUpperCase() },
    { takenAt: 'yesterday' },
    { floor: '2' },
    { signposts: [[1, 1]] },
    { fence: { status: 'open', copy: 'c1', reason: '' } },
    { views: { seen: { position: 7, digest: 'ab' } } },
    { views: { seen: { position: 7, digest: hex, state: {} } } },
    { authenticFrom: -1 },
    { more: 1 },
  ])('is refused with %j', (change) => {
    expect(isTaken({ ...whole, ...change })).toBe(false);
    expect(isTaken({ ...segmented, ...change })).toBe(false);
  });

  it('is damaged when an index has slots without their first revisions', () => {
    const manifest = manifestShape.parse({ ...whole, streams: [['a-1', 3, [2, 5], [1]]] });
    expect(() => foldOf(manifest)).toThrow(
      expect.objectContaining({ code: 'damaged', message: 'the index of a-1 is not whole' }),
    );
  });
});
