import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Joining, JoinTrust, Verdict } from '../../api/join-client.ts';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { identityPath, loadIdentity, saveIdentity } from './identity-store.ts';
import type { JoinSettings } from '../configuration/join-settings.ts';
import { certifiedNamesOf } from '../../pki/host-certificate-life.ts';
import { type IdentityDeps, obtainIdentity, tellLackingNames } from './obtain-identity.ts';
import { testAuthority } from '../testing.ts';
import { Turnstile } from '../lifecycle/turnstile.ts';

const hostId = '11111111-2222-4333-8444-555555555555';
const now = '2026-01-01T00:00:00.000Z';
const first: HostPort = { host: '10.0.0.1', port: 3025 };
const second: HostPort = { host: '10.0.0.2', port: 3025 };
const cluster = testAuthority('example', now);
const rebuilt = testAuthority('example', now);
const machine = { hostId, nodename: 'n1', role: 'Node' as const, additionalPrincipals: ['n1'] };
const away = (server = first): Verdict => ({ status: 'away', server, reason: 'connect ECONNREFUSED' });
const stranger = (server = first): Verdict => ({
  status: 'refused',
  by: 'stranger',
  server,
  reason: 'its certificate is not signed by an authority this machine knows',
});
const refusedByOwn: Verdict = {
  status: 'refused',
  by: 'own-cluster',
  server: first,
  reason: 'access denied',
};

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'identity-'));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true });
});

/** What the auth servers answer, in order; and what was asked of them. */
interface Script {
  readonly settings?: Partial<JoinSettings>;
  readonly joins?: (() => HostIdentity)[];
  readonly verdicts?: Verdict[];
}

function rig({ settings = {}, joins = [], verdicts = [] }: Script) {
  const sink = recordingSink();
  const stopping = new AbortController();
  const asked: { trust: JoinTrust; joining: Joining }[] = [];
  const warnings: string[] = [];
  const waits: (string | undefined)[] = [];
  const pauses: number[] = [];
  const turnstile = new Turnstile();
  const deps: IdentityDeps = {
    settings: {
      authServers: [first],
      token: 't0ken',
      pins: [cluster.pin],
      kind: 'either',
      given: [],
      ...settings,
    },
    dataDir,
    world: fakeWorld(now),
    sink,
    warn: (text) => warnings.push(text),
    waitsFor: (text) => waits.push(text),
    stopping: stopping.signal,
    contact: {
      joinCluster: (trust, joining) => {
        asked.push({ trust, joining });
        const answer = joins.shift();
        if (answer === undefined) return Promise.reject(new Error('the test expected no join'));
        return Promise.resolve().then(answer);
      },
      tryIdentity: () => {
        const verdict = verdicts.shift();
        return verdict === undefined ? Promise.reject(new Error('no verdict')) : Promise.resolve(verdict);
      },
    },
    pause: (ms) => {
      pauses.push(ms);
      return Promise.resolve();
    },
    pass: () => turnstile.pass(stopping.signal),
  };
  return { deps, sink, stopping, asked, warnings, waits, pauses, turnstile };
}

const fails = (code: 'unavailable' | 'access_denied', message: string) => (): HostIdentity => {
  throw new CodedError(code, message);
};

describe('a machine that is in no cluster yet', () => {
  it('joins with the token, keeps the identity, and needs no token the next time', async () => {
    const identity = cluster.issue({ hostId, role: 'Node', names: ['n1'] });
    const { deps, asked, warnings } = rig({ joins: [() => identity] });
    expect(await obtainIdentity(deps, machine)).toEqual(identity);
    expect(asked[0]?.trust).toEqual({ servers: [first], pins: [cluster.pin] });
    expect(asked[0]?.joining.token()).toBe('t0ken');
    expect(warnings).toEqual([]);
    const again = rig({ settings: { token: undefined }, verdicts: [{ status: 'admitted' }] });
    expect(await obtainIdentity(again.deps, machine)).toEqual(identity);
    expect(again.asked).toEqual([]);
  });

  it('warns, once, when nothing tells the auth server from another', async () => {
    const { deps, warnings } = rig({
      settings: { pins: [] },
      joins: [fails('unavailable', 'away'), () => cluster.issue({ hostId, role: 'Node' })],
    });
    await obtainIdentity(deps, machine);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^Joining cluster without validating the identity of the Auth Server\./);
  });

  it('refuses to start without a token', async () => {
    const { deps, asked } = rig({ settings: { token: undefined } });
    await expect(obtainIdentity(deps, machine)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(/in no cluster yet.*node\.identity\.json.*auth_token/) as string,
    });
    expect(asked).toEqual([]);
  });

  it('tries again, soon when it may pass by itself and with one key, and says each time what is the matter', async () => {
    const { deps, asked, pauses, sink, waits } = rig({
      joins: [
        fails('unavailable', '10.0.0.1:3025: connect ECONNREFUSED'),
        fails('unavailable', '10.0.0.1:3025: no answer in time'),
        fails('access_denied', '10.0.0.1:3025: the token is not valid'),
        () => cluster.issue({ hostId, role: 'Node' }),
      ],
    });
    await obtainIdentity(deps, machine);
    expect(new Set(asked.map(({ joining }) => joining.key)).size).toBe(1);
    expect(Math.max(...pauses.slice(0, 2))).toBeLessThanOrEqual(1_000);
    expect(pauses[2]).toBeGreaterThanOrEqual(30_000);
    expect(pauses[2]).toBeLessThanOrEqual(60_000);
    const errors = sink.lines.filter((line) => line.startsWith('error'));
    expect(errors).toHaveLength(3);
    expect(errors[0]).toMatch(
      /^error Node failed to establish connection to cluster: 10\.0\.0\.1:3025: connect ECONNREFUSED\. Retrying in 1 s/,
    );
    expect(waits[2]).toBe(
      'Node failed to establish connection to cluster: 10.0.0.1:3025: the token is not valid',
    );
    expect(waits.at(-1)).toBeUndefined();
    expect(sink.lines.join()).not.toContain('t0ken');
  });

  it('gives up at once when it is stopped', async () => {
    const { deps, stopping } = rig({
      joins: [
        () => {
          stopping.abort();
          return fails('unavailable', 'away')();
        },
      ],
    });
    await expect(obtainIdentity(deps, machine)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a machine with an identity', () => {
  const old = cluster.issue({ hostId, role: 'Node', names: ['n1'] });
  const renewed = rebuilt.issue({ hostId, role: 'Node', names: ['n1'] });
  const path = () => identityPath(dataDir, 'Node');
  const kept = () => readdirSync(join(dataDir, 'proc')).filter((name) => name.includes('.refused-'));
  beforeEach(() => {
    saveIdentity(dataDir, old);
  });

  it('waits while every auth server is away, and never takes that for a refusal', async () => {
    const { deps, asked, pauses } = rig({
      settings: { authServers: [first, second] },
      verdicts: [away(), away(second), away(), { status: 'admitted' }],
    });
    expect(await obtainIdentity(deps, machine)).toEqual(old);
    expect(asked).toEqual([]);
    expect(pauses).toHaveLength(1);
  });

  it('keeps it when one server admits it, whatever the others are', async () => {
    const { deps, asked } = rig({
      settings: { authServers: [first, second], pins: [rebuilt.pin] },
      verdicts: [stranger(), { status: 'admitted' }],
    });
    expect(await obtainIdentity(deps, machine)).toEqual(old);
    expect(asked).toEqual([]);
  });

  it('joins the cluster that was set up from scratch when its pin fits, tells what was refused, and keeps the old one aside', async () => {
    const { deps, asked, sink } = rig({
      settings: { pins: [rebuilt.pin] },
      verdicts: [stranger()],
      joins: [() => renewed],
    });
    const before = readFileSync(path(), 'utf8');
    expect(await obtainIdentity(deps, machine)).toEqual(renewed);
    expect(asked[0]?.trust).toEqual({ servers: [first], pins: [rebuilt.pin] });
    expect(loadIdentity(dataDir, 'Node', hostId)).toEqual(renewed);
    expect(kept()).toEqual(['node.identity.json.refused-2026-01-01T00-00-00.000Z']);
    expect(readFileSync(join(dataDir, 'proc', kept()[0] ?? ''), 'utf8')).toBe(before);
    const told = sink.lines.find((line) => line.includes('the identity of this machine was refused')) ?? '';
    for (const part of [hostId, 'Node', 'example', cluster.pin, path(), '10.0.0.1:3025'])
      expect(told).toContain(part);
  });

  it('does not leave its cluster for one that nobody can vouch for', async () => {
    const { deps, stopping, asked, sink, pauses } = rig({ settings: { pins: [] }, verdicts: [stranger()] });
    const pause = (ms: number): Promise<void> => {
      pauses.push(ms);
      stopping.abort();
      return Promise.resolve();
    };
    await expect(obtainIdentity({ ...deps, pause }, machine)).rejects.toMatchObject({ code: 'unavailable' });
    expect(asked).toEqual([]);
    expect(loadIdentity(dataDir, 'Node', hostId)).toEqual(old);
    expect(sink.lines.at(-1)).toMatch(/set up from scratch, or another machine answers.*set ca_pin/);
    expect(pauses[0]).toBeGreaterThanOrEqual(30_000);
  });

  it('keeps it when the token is refused, or the pin does not fit', async () => {
    const { deps, asked } = rig({
      settings: { pins: [rebuilt.pin] },
      verdicts: [stranger(), stranger(), { status: 'admitted' }],
      joins: [fails('access_denied', 'the token is not valid'), fails('access_denied', 'pin')],
    });
    expect(await obtainIdentity(deps, machine)).toEqual(old);
    expect(asked).toHaveLength(2);
    expect(kept()).toEqual([]);
  });

  it('needs no pin where its own cluster refuses it: that cluster has proved itself', async () => {
    const { deps, asked, warnings } = rig({
      settings: { pins: [] },
      verdicts: [refusedByOwn],
      joins: [() => cluster.issue({ hostId, role: 'Node', names: ['n1'] })],
    });
    await obtainIdentity(deps, machine);
    expect(asked[0]?.trust).toEqual({ servers: [first], pins: [], known: [cluster.pem] });
    expect(warnings).toEqual([]);
    expect(kept()).toHaveLength(1);
  });

  it('says which names its certificate lacks', async () => {
    const { deps, sink } = rig({ verdicts: [{ status: 'admitted' }] });
    const identity = await obtainIdentity(deps, machine);
    const [nodename = ''] = certifiedNamesOf(identity);
    tellLackingNames(identity, { nodename, additionalPrincipals: ['localhost', 'new.example'] }, sink);
    expect(sink.lines.join()).toContain('lacks: new.example;');
  });

  it('refuses to start with a file that is damaged, of another role, or of another machine, and leaves it', async () => {
    const other = '99999999-2222-4333-8444-555555555555';
    const cases: [string, string][] = [
      ['{', 'is damaged'],
      [JSON.stringify({ ...old, tlsCasPem: renewed.tlsCasPem }), 'do not belong together'],
      [JSON.stringify(cluster.issue({ hostId, role: 'Proxy' })), 'is the identity of a Proxy'],
      [JSON.stringify(cluster.issue({ hostId: other, role: 'Node' })), `is the identity of host ${other}`],
    ];
    for (const [text, message] of cases) {
      writeFileSync(path(), text);
      await expect(obtainIdentity(rig({}).deps, machine)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining(message) as string,
      });
      expect(existsSync(path())).toBe(true);
    }
  });
});

describe('a machine in whose place another process may come to serve', () => {
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('does not ask for an identity meanwhile, and does when it may', async () => {
    const identity = cluster.issue({ hostId, role: 'Node', names: ['n1'] });
    const { deps, asked, turnstile } = rig({ joins: [() => identity] });
    const letGoOn = turnstile.close();
    const obtained = obtainIdentity(deps, machine);
    await settle();
    expect(asked).toEqual([]);
    letGoOn();
    expect(await obtained).toEqual(identity);
  });

  it('does not go on with one that it was given meanwhile', async () => {
    const identity = cluster.issue({ hostId, role: 'Node', names: ['n1'] });
    let letGoOn: () => void = () => undefined;
    const { deps, turnstile, waits } = rig({
      joins: [
        fails('unavailable', 'nobody answers'),
        () => {
          letGoOn = turnstile.close();
          return identity;
        },
      ],
    });
    const obtained = obtainIdentity(deps, machine);
    await settle();
    expect(waits.at(-1)).toContain('nobody answers');
    letGoOn();
    expect(await obtained).toEqual(identity);
    expect(waits.at(-1)).toBeUndefined();
  });

  it('gives up when it is stopped meanwhile', async () => {
    const { deps, turnstile, stopping } = rig({});
    turnstile.close();
    const obtained = obtainIdentity(deps, machine);
    stopping.abort();
    await expect(obtained).rejects.toThrow('stopped before it joined a cluster');
  });
});
