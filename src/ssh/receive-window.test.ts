import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxChannels } from './cert-server.ts';
import {
  type ConnectionWindows,
  fixedWindow,
  type ReceiveWindow,
  type WindowLimits,
  windowLimits,
  WindowPool,
} from './receive-window.ts';

const limits: WindowLimits = {
  first: 64,
  most: 2_048,
  outgoing: 128,
  perConnection: 98_304,
  growth: 49_152,
  inAll: 65_536,
  assured: 8,
};
const mib = 1024 * 1024;

/** Every byte is read as soon as it comes, often enough to grow as far as it may. */
function readAll(window: ReceiveWindow): number {
  for (let n = 0; n < 5; n++) window.renew(0);
  return window.bytes;
}

describe('the window of a channel', () => {
  it('is small at first, and grows to its full size while it is read', () => {
    const window = new WindowPool(limits).connection().open();
    const sizes = Array.from({ length: 7 }, () => [window?.bytes, window?.renew(0)][0]);
    expect(sizes).toEqual([64, 128, 256, 512, 1_024, 2_048, 2_048]);
  });

  it('grows no more when its connection holds its share', () => {
    const connection = new WindowPool({ ...limits, inAll: 10_000_000 }).connection();
    const sizes = Array.from({ length: 100 }, () => connection.open()).map((one) => one && readAll(one));
    expect(connection.held).toBeLessThanOrEqual(limits.perConnection);
    expect(connection.held).toBeGreaterThan(limits.growth - 2_048);
    expect(sizes[0]).toBe(2_048);
    expect(sizes.at(-1)).toBe(64);
  });

  it('becomes smaller with what was read, never with what was granted, when nearly all is used up', () => {
    const pool = new WindowPool({ ...limits, inAll: 16_384 });
    const windows = Array.from({ length: 7 }, () => pool.connection().open());
    for (const window of windows) if (window) readAll(window);
    expect(pool.isTight).toBe(true);
    const grown = windows.find((window) => window?.bytes === 2_048);
    expect(grown?.renew(1_800)).toBe(1_800);
    for (const window of windows) if (pool.isTight) window?.renew(0);
    expect(pool.held).toBeLessThanOrEqual(16_384 * (7 / 8));
  });

  it('can be had while others have grown as far as they may', () => {
    const connection = new WindowPool({ ...limits, inAll: 10_000_000 }).connection();
    const grown = Array.from({ length: 25 }, () => connection.open());
    for (let n = 0; n < 6; n++) for (const window of grown) window?.renew(0);
    expect(connection.held).toBeGreaterThan(limits.growth - limits.most);
    for (let n = 0; n < 200; n++) expect(connection.open()?.bytes).toBe(64);
  });

  it('is given back when the channel is closed and what came is read', () => {
    const pool = new WindowPool(limits);
    const connection = pool.connection();
    const window = connection.open();
    window?.renew(0);
    window?.keep(100);
    expect(connection.held).toBe(100 + limits.outgoing);
    window?.close();
    window?.close();
    expect(pool.held).toBe(100);
    window?.keep(0);
    expect(pool.held).toBe(0);
  });
});

/** For a step about a channel before there is one. */
const none: Opened = {
  window: { bytes: 0, renew: () => 0, keep: () => undefined, close: () => undefined },
  kept: false,
  closed: false,
};

interface Opened {
  readonly window: ReceiveWindow;
  kept: boolean;
  closed: boolean;
}

function checkSums(
  pool: WindowPool,
  connections: readonly ConnectionWindows[],
  open: readonly (readonly Opened[])[],
): void {
  const { limits: of } = pool;
  const sums = open.map((all) =>
    all.reduce((sum, { window, closed }) => sum + window.bytes + (closed ? 0 : of.outgoing), 0),
  );
  expect(connections.map((connection) => connection.held)).toEqual(sums);
  expect(pool.held).toBe(sums.reduce((a, b) => a + b));
  for (const sum of sums) expect(sum).toBeLessThanOrEqual(of.perConnection);
  expect(pool.held).toBeLessThanOrEqual(of.inAll + 4 * of.assured * (of.first + of.outgoing));
}

function leave(one: Opened, act: 'keep' | 'close', held: number): void {
  if (act === 'keep') one.window.keep(Math.min(held, one.window.bytes));
  else one.window.close();
  one.kept ||= act === 'keep';
  one.closed ||= act === 'close';
}

function checkRenewal(pool: WindowPool, window: ReceiveWindow, wish: number): void {
  const [from, held, wasTight] = [window.bytes, Math.min(wish, window.bytes), pool.isTight];
  const now = window.renew(held);
  expect(now).toBeGreaterThanOrEqual(held);
  expect(now).toBeLessThanOrEqual(wasTight ? from : pool.limits.most);
}

describe('a pool that is used up', () => {
  it('opens some channels for each connection all the same, and no more', () => {
    const pool = new WindowPool(limits);
    const greedy = Array.from({ length: 200 }, () => pool.connection());
    for (const connection of greedy) for (let n = 0; n < 20; n++) connection.open();
    const honest = pool.connection();
    const opened = Array.from({ length: 20 }, () => honest.open()).filter(Boolean);
    expect(opened).toHaveLength(limits.assured);
  });

  it('holds what it says, whatever is opened, read and closed, and never more than it may', () => {
    const step = fc.record({
      act: fc.constantFrom('open', 'open', 'renew', 'renew', 'keep', 'close'),
      connection: fc.nat(3),
      channel: fc.nat(40),
      held: fc.nat(2_048),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const small = { ...limits, inAll: 20_000, perConnection: 8_192, growth: 6_144, assured: 2 };
        const pool = new WindowPool(small);
        const connections = Array.from({ length: 4 }, () => pool.connection());
        const open = connections.map((): Opened[] => []);
        for (const { act, connection, channel, held } of steps) {
          const [windows, owner] = [open[connection] ?? [], connections[connection]];
          if (act === 'open') {
            const window = owner?.open();
            if (window) windows.push({ window, kept: false, closed: false });
          }
          const one = windows[channel % Math.max(1, windows.length)] ?? none;
          if (act === 'renew' && !one.kept) checkRenewal(pool, one.window, held);
          if (act === 'keep' || act === 'close') leave(one, act, held);
          checkSums(pool, connections, open);
        }
      }),
    );
  });
});

describe('the limits of a machine', () => {
  it('let one connection have few channels at full size, or all at their first', () => {
    const { first, most, outgoing, perConnection, growth, inAll } = windowLimits(8_192 * mib, 2 * mib);
    expect(maxChannels * (first + outgoing)).toBeLessThanOrEqual(perConnection);
    expect(perConnection).toBeLessThanOrEqual(192 * mib);
    expect(16 * most).toBeLessThan(growth);
    // Who uses all that can grow can still open as many again.
    expect(growth + 512 * (first + outgoing)).toBeLessThanOrEqual(perConnection);
    expect(inAll).toBe(2_048 * mib);
    expect(windowLimits(128 * mib, 2 * mib).inAll).toBe(64 * mib);
  });
});

describe('limits, to the byte', () => {
  const kib = 1024;
  it('are these for a machine of 8 GiB, of 128 MiB, and for windows that are large or small', () => {
    const usual = { first: 64 * kib, outgoing: 128 * kib, assured: 8 };
    const shares = { perConnection: 192 * mib, growth: 96 * mib };
    expect(windowLimits(8_192 * mib, 2 * mib)).toEqual({
      ...usual,
      ...shares,
      most: 2 * mib,
      inAll: 2_048 * mib,
    });
    expect(windowLimits(128 * mib, 2 * mib)).toEqual({ ...usual, ...shares, most: 2 * mib, inAll: 64 * mib });
    expect(windowLimits(256 * mib + 7, 64 * mib)).toEqual({
      ...{ ...usual, perConnection: 512 * mib, growth: 256 * mib, most: 64 * mib, inAll: 64 * mib + 1 },
    });
    expect(windowLimits(128 * mib, 4 * kib)).toMatchObject({ first: 4 * kib, most: 4 * kib });
  });

  const cost = limits.first + limits.outgoing;
  it('let a connection have just so many channels as it has bytes for', () => {
    const opened = (perConnection: number): number => {
      const connection = new WindowPool({ ...limits, inAll: 10_000_000, perConnection }).connection();
      return Array.from({ length: 10 }, () => connection.open()).filter(Boolean).length;
    };
    expect([opened(3 * cost), opened(3 * cost - 1)]).toEqual([3, 2]);
  });

  it('let all connections have just so many, besides those that are assured', () => {
    const opened = (inAll: number): number => {
      const pool = new WindowPool({ ...limits, inAll, assured: 1 });
      const [one, other] = [pool.connection(), pool.connection()];
      return Array.from({ length: 5 }, () => [one.open(), other.open()])
        .flat()
        .filter(Boolean).length;
    };
    expect([opened(4 * cost), opened(4 * cost - 1), opened(0)]).toEqual([4, 3, 2]);
  });

  it('count a channel no more that is closed', () => {
    const connection = new WindowPool({ ...limits, inAll: 0, assured: 1 }).connection();
    const first = connection.open();
    expect(connection.open()).toBeUndefined();
    first?.close();
    expect(connection.open()).toBeDefined();
  });

  it('are tight above seven eighths of what there is in all', () => {
    const tight = (inAll: number): boolean => {
      const pool = new WindowPool({ ...limits, inAll });
      pool.connection().open();
      return pool.isTight;
    };
    expect([tight((cost * 8) / 7 + 1), tight((cost * 8) / 7 - 1)]).toEqual([false, true]);
    const exact = new WindowPool({ ...limits, first: 6, outgoing: 1, inAll: 8 });
    exact.connection().open();
    expect([exact.held, exact.isTight]).toEqual([7, false]);
  });

  it('halve a window where they are tight, down to its first size', () => {
    const pool = new WindowPool({ ...limits, inAll: 1_000 });
    const window = pool.connection().open();
    for (let n = 0; n < 4; n++) window?.renew(0);
    expect([window?.bytes, pool.isTight]).toEqual([1_024, true]);
    const sizes = Array.from({ length: 3 }, () => window?.renew(0));
    expect(sizes).toEqual([512, 1_024, 512]);
    const least = new WindowPool({ ...limits, inAll: 0 }).connection().open();
    expect(least?.renew(0)).toBe(64);
  });

  it('let a window grow up to the share of its connection, and not beyond', () => {
    const grown = (growth: number): number | undefined =>
      new WindowPool({ ...limits, inAll: 10_000_000, growth }).connection().open()?.renew(0);
    expect([grown(128 + limits.outgoing), grown(127 + limits.outgoing)]).toEqual([128, 64]);
  });

  it('of a client are always the same, whatever is read', () => {
    const window = fixedWindow(7);
    window.keep(3);
    window.close();
    expect([window.bytes, window.renew(100)]).toEqual([7, 7]);
  });
});
