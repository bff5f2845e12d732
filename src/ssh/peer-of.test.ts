import { describe, expect, it } from 'vitest';
import { greetedPeer } from './peer-of.ts';

const at = (port: number) => ({ host: '192.0.2.1', port });
const own = { remoteAddress: at(1), socketAddress: at(2), localAddress: at(3), claimedAddress: undefined };

describe('the addresses of a connection', () => {
  it('are its own where nobody is believed, whatever is claimed', () => {
    const peer = { ...own, balancerAddress: at(2) };
    const greeting = { banner: '', claimedAddress: at(9), believedAddress: undefined };
    expect(greetedPeer(peer, greeting)).toEqual({ ...peer, claimedAddress: at(9) });
  });

  it('are those that a proxy is believed to name, whose balancer is not ours', () => {
    const greeting = { banner: '', claimedAddress: at(9), believedAddress: at(9) };
    const named = { ...own, claimedAddress: at(9), remoteAddress: at(9) };
    expect(greetedPeer({ ...own, balancerAddress: at(2) }, greeting)).toEqual(named);
    const balanced = { ...greeting, balancerAddress: at(8), sessionId: 'one' };
    expect(greetedPeer(own, balanced)).toEqual({ ...named, balancerAddress: at(8), sessionId: 'one' });
  });
});
