import { describe, expect, it, vi } from 'vitest';
import { second } from '../base/time.ts';
import type { Service } from '../base/service.ts';
import { libcThat, machine } from './machine-testing.ts';
import { begin, bench, type Bench, cluster, hostId, logIn, until, userCa } from './service-testing.ts';

const hostOf = (one: Bench, n = -1): unknown => one.beats.at(n)?.['host'];
const waitsFor = (one: Bench): string | undefined => (one.service as Required<Service>).waitsFor();

describe('a node that starts', () => {
  it('waits for auth, and says for what', async () => {
    const one = bench();
    one.link.away = 'nothing listens there';
    expect(waitsFor(one)).toBe('auth is away (nothing listens there)');
    one.link.away = undefined;
    expect(waitsFor(one)).toBeUndefined();
    one.link.refusal = 'too busy';
    const stopping = new AbortController();
    const starting = one.service.start(stopping.signal);
    await until(() => {
      expect(waitsFor(one)).toBe('heartbeat: too busy');
    });
    expect(one.listening.map(({ name, address }) => [name, address])).toEqual([
      ['node', { host: '0.0.0.0', port: 0 }],
    ]);
    // Who gives the start up does not wait for auth.
    stopping.abort();
    await (await starting).stop(0);
  });

  it('announces what it is, and where it is reached', async () => {
    const one = await begin();
    expect(one.service.name).toBe('node');
    expect(hostOf(one)).toMatchObject({
      ...{ hostId, role: 'Node', nodename: 'node-1', address: '10.0.0.2:3022', publicAddress: '' },
      ...{ sshPublicAddress: '', labels: { env: 'test' } },
    });
    expect(hostOf(one)).not.toHaveProperty('measured');
    expect(waitsFor(one)).toBeUndefined();
    expect(one.running.condition()).toEqual({ status: 'serving', notices: [] });
  });

  it.each([
    [
      'the address it listens on, where that is one',
      { listenAddress: { host: '192.0.2.1', port: 0 } },
      '192.0.2.1:3022',
    ],
    ['the wildcard, where it knows no other', { advertiseIp: undefined }, '0.0.0.0:3022'],
  ])('announces %s', async (_what, config, address) => {
    const one = await begin({ config: config as never });
    expect(hostOf(one)).toMatchObject({ address });
  });

  it('announces the first of its public addresses, and the labels that programs print', async () => {
    machine.labels.values = { load: '1' };
    const commandLabels = [{ name: 'load', command: ['uptime'], periodSeconds: 1 }];
    const publicAddresses = ['a.example:22', 'b.example:22'];
    const one = await begin({ config: { publicAddresses, commandLabels } });
    expect(hostOf(one)).toMatchObject({
      ...{ publicAddress: 'a.example:22', labels: { env: 'test', load: '1' }, measured: ['load'] },
    });
    expect(machine.labels.maxBytes).toBeGreaterThan(0);
  });

  it('passes on over how long machines spread what they do at once', async () => {
    const one = bench();
    one.link.answer = { spreadMs: 7 };
    const running = await one.service.start();
    expect(one.spreads).toEqual([7]);
    await running.stop(0);
  });

  it('leaves nothing behind when it cannot listen', async () => {
    let stopped = 0;
    machine.labelsStop = () => {
      stopped++;
    };
    const one = bench({ taken: true });
    await expect(one.service.start()).rejects.toThrow('node is taken');
    expect([one.state.readers.size, one.beats.length, stopped]).toEqual([0, 0, 1]);
  });

  it('keeps its descriptors from programs, or says what does not work', async () => {
    const keep = vi.fn();
    machine.libc = libcThat(keep);
    const well = await begin();
    expect(keep).toHaveBeenCalledOnce();
    expect(well.sink.lines.join()).not.toContain('without a terminal');
    machine.libc = { status: 'unavailable', reason: 'no terminals: musl' };
    const one = await begin();
    expect(one.sink.lines).toContainEqual('warn no terminals: musl; sessions without a terminal work {}');
    expect(one.running.condition()).toMatchObject({ status: 'degraded', lacks: ['no terminals: musl'] });
  });

  it.each([
    [0, false],
    [1000, true],
  ])('that runs with id %i says whether only its own account can log in: %s', async (id, says) => {
    const own = vi.spyOn(process, 'getuid').mockReturnValue(id);
    const one = await begin();
    own.mockRestore();
    const line = 'warn this node does not run as root: only its own account can log in here {}';
    expect(one.sink.lines.includes(line)).toBe(says);
  });
});

describe('labels that programs print', () => {
  it('are told at once, and again at most every five seconds', async () => {
    const one = await begin();
    const { length } = one.beats;
    const beats = (): number => one.beats.length - length;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    machine.labels.values = { load: '1' };
    machine.labels.changed();
    await vi.advanceTimersByTimeAsync(0);
    expect(beats()).toBe(1);
    expect(hostOf(one)).toMatchObject({ labels: { env: 'test', load: '1' } });
    machine.labels.values = { load: '2' };
    machine.labels.changed();
    machine.labels.changed();
    await vi.advanceTimersByTimeAsync(5 * second - 1);
    expect(beats()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(beats()).toBe(2);
    expect(hostOf(one)).toMatchObject({ labels: { load: '2' } });
  });
});

it('a node whose cluster is not known yet lets nobody in, and says so', async () => {
  const one = bench();
  const running = await one.service.start();
  expect(running.condition()).toMatchObject({ status: 'not serving' });
  await expect(logIn(one)).rejects.toMatchObject({ code: 'access_denied' });
  one.tell(...cluster());
  expect(running.condition()).toMatchObject({ status: 'serving' });
  const alice = await logIn(one, { ca: userCa });
  alice.close();
  await running.stop(0);
});
