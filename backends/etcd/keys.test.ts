import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keysBelow } from './keys.ts';

const keys = keysBelow('/teleport');
const name = fc.stringMatching(/^[a-z0-9./-]{1,12}$/);

describe('keys below a prefix', () => {
  it.each(['teleport', '/teleport', 'teleport/', '//teleport//'])('are the same for %s', (prefix) => {
    expect(keysBelow(prefix).format).toBe('/teleport/format');
  });

  it('keep the order of the slots, which can be read from them', () => {
    const slot = fc.nat(Number.MAX_SAFE_INTEGER);
    fc.assert(
      fc.property(slot, slot, (a, b) => {
        expect(keys.slotOf(keys.slot('state', a))).toBe(a);
        expect(keys.slot('state', a) < keys.slot('state', b)).toBe(a < b);
        expect(keys.slot('state', a) < keys.slotsEnd('state')).toBe(true);
      }),
    );
  });

  it('all lie in the range of all of ours, and not in that of a prefix beside', () => {
    const ours = [keys.format, keys.head('audit'), keys.slot('presence', 7), keys.blob('vault', 'k', 3)];
    const { all: beside, format: notOurs } = keysBelow('/teleport2');
    expect(notOurs >= keys.all.from && notOurs < keys.all.end).toBe(false);
    for (const key of ours) {
      expect(key >= keys.all.from && key < keys.all.end).toBe(true);
      expect(key >= beside.from && key < beside.end).toBe(false);
    }
  });

  it('of one blob do not stand among those of another', () => {
    fc.assert(
      fc.property(name, name, fc.nat(999_999), (one, other, piece) => {
        const { from, end } = keys.blobPieces('vault', one);
        const key = keys.blob('vault', other, piece);
        expect(key >= from && key < end).toBe(one === other);
        expect(keys.blobKeyOf('vault', key)).toBe(other);
      }),
    );
  });
});
