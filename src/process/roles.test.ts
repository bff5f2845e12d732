import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../api/testing.ts';
import { realWorld } from '../base/world.ts';
import { noStrangers, type Running } from '../base/service.ts';
import { readConfiguration } from './configuration/configuration.ts';
import { MetricsRegistry } from './diagnostics/metrics.ts';
import { loadIdentity } from './identity/identity-store.ts';
import { Turnstile } from './lifecycle/turnstile.ts';
import type { Parts } from './parts.ts';
import { servicesOf } from './roles.ts';
import { openBackend } from './store/open-backend.ts';

const hostId = '00000000-0000-4000-8000-0000000000b9';
/** What a node was built on. */
interface Standing {
  readonly is: string;
  readonly stopping?: AbortSignal;
}
const built = vi.hoisted((): { standing: Standing | undefined } => ({ standing: undefined }));
vi.mock('./build-node.ts', () => ({
  buildNode: async (_: unknown, standingOf: (role: string, names: string[]) => Promise<Standing>) => {
    built.standing = await standingOf('Node', ['one']);
    return { name: 'node', start: () => Promise.reject(new Error('it stands')), waitsFor: () => 'auth' };
  },
}));
vi.mock('./build-proxy.ts', () => ({ buildProxy: () => Promise.reject(new Error('no proxy here')) }));
vi.mock('./identity/host-standing.ts', () => ({
  localStanding: (_: unknown, auth: unknown, wish: object) => Promise.resolve({ is: 'local', auth, ...wish }),
  joinedStanding: (_: unknown, wish: object) => Promise.resolve({ is: 'joined', ...wish }),
}));

// It is loaded where it runs, which takes a while the first time.
beforeAll(() => import('../auth/service.ts'));

let dir = '';
const running: Running[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'roles-'));
  built.standing = undefined;
});
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop(0);
  rmSync(dir, { recursive: true });
});

function trial(yaml = '', roles = 'auth,node') {
  const sink = recordingSink();
  const waits: [string, string | undefined][] = [];
  const listening: string[] = [];
  const text = `teleport: {data_dir: ${dir}, nodename: one}\n${yaml}`;
  const parts: Parts = {
    configuration: readConfiguration({ configString: Buffer.from(text).toString('base64'), roles }, {}),
    world: realWorld,
    logger: () => sink,
    metrics: new MetricsRegistry(),
    listeners: {
      strangers: noStrangers,
      listen: (name, server, asked) => {
        listening.push(name);
        server.emit('listening');
        return Promise.resolve({ ...asked, port: 3025 });
      },
    },
    hostId,
    lookUpName: () => Promise.reject(new Error('no names here')),
    programPath: ['own'],
    waitsFor: (service, what) => waits.push([service, what]),
    turnstile: new Turnstile(),
  };
  const services = new Map(servicesOf(parts).map((one) => [one.name, one]));
  const start = async (name: string): Promise<Running> => {
    const one = await (services.get(name) ?? expect.unreachable(name)).start();
    running.push(one);
    return one;
  };
  return { services, start, sink, waits, parts, listening };
}

describe('the services of the roles', () => {
  it.each([
    ['auth,proxy,node', ['auth', 'admin', 'proxy', 'node']],
    ['auth', ['auth', 'admin']],
    ['node,proxy', ['proxy', 'node']],
  ])('of %s come in the order in which they stand on each other', (roles, names) => {
    expect([...trial('', roles).services.keys()]).toEqual(names);
  });

  it('beside an auth service stand on that one, which must have been started', async () => {
    const { start } = trial();
    await expect(start('node')).rejects.toThrow('the auth service starts before those that need it');
    await start('auth');
    await expect(start('node')).rejects.toThrow('it stands');
    expect(built.standing).toMatchObject({ is: 'local', role: 'Node', names: ['one'] });
  });

  it('without one stand on one elsewhere, and give up when they are stopped', async () => {
    const { start, waits } = trial('', 'node');
    await expect(start('node')).rejects.toThrow('it stands');
    expect([built.standing?.is, built.standing?.stopping?.aborted]).toEqual(['joined', false]);
    expect(waits).toEqual([['node', undefined]]);
  });

  it('of an auth server have no use for what is for joining, which is said', () => {
    const said = (yaml: string, roles: string): string[] =>
      trial(yaml, roles).sink.lines.filter((line) => line.includes('not used'));
    const token = `auth_service: {enabled: yes}\n`;
    expect(said(token, 'auth')).toEqual([]);
    const sink = recordingSink();
    const { parts } = trial(token, 'auth');
    const joining = { ...parts.configuration.join, given: ['auth_servers', 'auth_token', 'ca_pin'] };
    servicesOf({
      ...parts,
      logger: () => sink,
      configuration: { ...parts.configuration, join: joining },
    });
    expect(sink.lines).toEqual([
      'warn settings that are not used, because this process has the auth role itself: auth_token, ca_pin {}',
    ]);
  });
});

describe('an auth service', () => {
  it('opens its store and its keys, certifies tctl of this machine, and gives all back at its end', async () => {
    const { start, listening, parts, sink } = trial();
    const auth = await start('auth');
    expect(listening).toEqual(['auth']);
    const admin = await start('admin');
    expect(loadIdentity(dir, 'Admin', hostId)).toMatchObject({
      ...{ role: 'Admin', hostId, clusterName: 'one', askedNames: ['one'] },
    });
    expect(admin.condition()).toEqual({ status: 'serving', notices: [] });
    let ended = false;
    void admin.done.then(() => {
      ended = true;
    });
    await admin.stop(0);
    await admin.done;
    expect(ended).toBe(true);
    running.splice(0);
    await auth.stop(0);
    // The directory is free again.
    const driver = await openBackend(
      { type: 'dir', path: join(dir, 'backend') },
      { sink: recordingSink(), world: realWorld },
    );
    await driver.close();
    expect(readdirSync(dir)).toContain('keyring');
    expect(parts.metrics.render()).toContain('log_');
    expect(sink.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('does not make a new cluster in the place of the one that this machine is of', async () => {
    const first = trial();
    await first.start('auth');
    await first.start('admin');
    for (const one of running.splice(0).reverse()) await one.stop(0);
    rmSync(join(dir, 'backend'), { recursive: true });
    await expect(trial().start('auth')).rejects.toThrow(
      /belongs to the cluster "one".*the store holds no cluster/,
    );
    expect(readdirSync(dir)).not.toContain('backend');
  });

  it('gives its store back when its keys cannot be opened', async () => {
    const first = trial();
    await first.start('auth');
    for (const one of running.splice(0)) await one.stop(0);
    writeFileSync(join(dir, 'keyring'), 'damaged', { mode: 0o600 });
    await expect(trial().start('auth')).rejects.toMatchObject({ code: 'misconfigured' });
    const driver = await openBackend(
      { type: 'dir', path: join(dir, 'backend') },
      { sink: recordingSink(), world: realWorld },
    );
    await driver.close();
  });
});
