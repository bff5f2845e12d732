import { describe, expect, it } from 'vitest';
import type { LeafStanding } from '../views/live-proxies.ts';
import { sitesOf } from './sites.ts';

const now = '2026-01-01T00:00:00.000Z';
const heard = '2025-12-31T23:59:00.000Z';
const standings: Record<string, LeafStanding> = {
  elsewhere: { status: 'online', at: ['p2'], lastHeardAt: heard },
  gone: { status: 'offline', at: [], lastHeardAt: heard },
};

describe('the clusters that a proxy leads to', () => {
  it('are its own, then those that hang on it, on another one, or on none', () => {
    const leaves = {
      leaves: { known: () => ['elsewhere', 'gone', 'here', 'never'] },
      held: () => ['here', 'removed'],
      standingOf: (name: string): LeafStanding =>
        standings[name] ?? { status: 'offline', at: [], lastHeardAt: undefined },
    };
    expect(sitesOf('example', leaves, { now: () => now })()).toEqual([
      { name: 'example', lastconnected: now, status: 'online' },
      { name: 'elsewhere', lastconnected: heard, status: 'online' },
      { name: 'gone', lastconnected: heard, status: 'offline' },
      // It has just come: no proxy has reported it yet.
      { name: 'here', lastconnected: now, status: 'online' },
      { name: 'never', lastconnected: '0001-01-01T00:00:00Z', status: 'offline' },
    ]);
  });
});
