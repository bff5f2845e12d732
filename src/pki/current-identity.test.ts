import { describe, expect, it } from 'vitest';
import { replaceableIdentity, type ShownIdentities } from './current-identity.ts';
import type { HostIdentity } from './host-identity.ts';

const one = (hostId: string): HostIdentity => ({ hostId }) as HostIdentity;
const [first, second] = [one('first'), one('second')];

describe('an identity that is replaced while it is in use', () => {
  it('is one for both sides, unless another one is shown to those who call', () => {
    const same = replaceableIdentity(first);
    expect([same.current(), same.server(), same.shown()]).toEqual([
      first,
      first,
      { client: first, server: first },
    ]);
    const two = replaceableIdentity(first, second);
    expect([two.current(), two.server()]).toEqual([first, second]);
  });

  it('is told to those who follow, also when one leaves meanwhile, and to nobody who left', () => {
    const identity = replaceableIdentity(first);
    const told: [string, ShownIdentities, HostIdentity][] = [];
    const tell = (who: string) => (shown: ShownIdentities) => {
      told.push([who, shown, identity.server()]);
    };
    const leaving = identity.changes.subscribe((shown) => {
      tell('leaving')(shown);
      leaving.unsubscribe();
    });
    identity.changes.subscribe(tell('staying'));
    const next = { client: second, server: first };
    identity.replace(next);
    identity.replace({ client: second, server: second });
    expect(told).toEqual([
      ['leaving', next, first],
      ['staying', next, first],
      ['staying', { client: second, server: second }, second],
    ]);
  });
});
