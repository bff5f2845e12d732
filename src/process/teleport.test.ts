import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../api/testing.ts';
import { conditionOf } from '../base/condition.ts';
import type { Service } from '../base/service.ts';
import { gitRef, version } from '../base/version.ts';
import { readConfiguration } from './configuration/configuration.ts';
import type { Parts } from './parts.ts';
import { startTeleport, type TeleportProcess } from './teleport.ts';

interface Stage {
  services: (parts: Parts) => readonly Service[];
  slow: string | undefined;
  resolver: string[];
}
const stage = vi.hoisted((): Stage => ({ services: () => [], slow: undefined, resolver: [] }));
vi.mock('./roles.ts', () => ({ servicesOf: (parts: Parts) => stage.services(parts) }));
vi.mock('../ssh/ssh2-library.ts', async (original) => ({
  ...(await original<object>()),
  whyPacketsAreSlow: () => stage.slow,
}));
vi.mock('../base/resolver-process.ts', () => ({
  ResolverProcess: class {
    ask = vi.fn();
    close(): void {
      stage.resolver.push('closed');
    }
  },
}));

let dataDir = '';
const left: (() => unknown)[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'teleport-'));
  stage.slow = undefined;
  stage.resolver = [];
});
afterEach(async () => {
  for (const close of left.splice(0)) await close();
  rmSync(dataDir, { recursive: true });
});

/** A service that listens where it is told, and writes down what becomes of it. */
function service(name: string, parts: Parts, events: string[], fails?: Error): Service {
  return {
    name,
    start: async () => {
      events.push(`${name} starts`);
      if (fails) throw fails;
      const server: Server = createServer();
      await parts.listeners.listen(name === 'proxy' ? 'proxy:web' : name, server, {
        host: '127.0.0.1',
        port: 0,
      });
      const done = Promise.withResolvers<undefined>();
      return {
        done: done.promise,
        condition: () => conditionOf({}),
        diagnostics: () => ({ is: name }),
        stop: (ms, succession) => {
          events.push(`${name} stops ${ms} ${succession} ${server.listening ? 'listening' : 'deaf'}`);
          server.close();
          done.resolve(undefined);
          return Promise.resolve();
        },
      };
    },
  };
}

interface Wish {
  readonly names?: readonly string[];
  readonly fails?: Error;
  readonly diagnostics?: boolean;
  readonly trouble?: () => string | undefined;
}
async function begin({ names = ['node', 'auth'], fails, diagnostics = false, trouble }: Wish = {}) {
  const events: string[] = [];
  const sink = recordingSink();
  const printed: string[] = [];
  const waits: [string, string][][] = [];
  const components: string[] = [];
  let parts: Parts | undefined;
  stage.services = (given) => {
    parts = given;
    return names.map((name) => service(name, given, events, name === 'node' ? fails : undefined));
  };
  const yaml = `teleport: {data_dir: ${dataDir}}\nproxy_service: {trusted_balancers: [10.0.0.1/32]}`;
  const teleport = await startTeleport(
    {
      ...readConfiguration({ configString: Buffer.from(yaml).toString('base64') }, {}),
      diagnostics: diagnostics ? { host: '127.0.0.1', port: 0 } : undefined,
    },
    {
      world: fakeWorld(),
      logger: (component) => {
        components.push(component);
        return sink;
      },
      ...(trouble && { log: { trouble, dropped: () => 3 } }),
      print: (line) => printed.push(line),
      programPath: ['own'],
      onWait: (now) => waits.push([...now]),
    },
  );
  teleport.serving.catch(() => undefined);
  left.push(() => teleport.stop(0, 'none'));
  return {
    teleport,
    events,
    sink,
    printed,
    waits,
    components,
    parts: () => parts ?? expect.unreachable('it has no parts'),
  };
}
const readyz = async (teleport: TeleportProcess, path = 'readyz') => {
  const { port } = teleport.addresses().get('diag') ?? { port: 0 };
  const answer = await fetch(`http://127.0.0.1:${port}/${path}`);
  return { status: answer.status, text: await answer.text() };
};

describe('the services of a process', () => {
  it('start with the foundations, are said to start where they listen, and stop with those last', async () => {
    const { teleport, events, printed, sink, components } = await begin({ names: ['node', 'proxy', 'auth'] });
    await teleport.serving;
    expect(events).toEqual(['auth starts', 'node starts', 'proxy starts']);
    const at = (name: string) => `127.0.0.1:${teleport.addresses().get(name)?.port}`;
    const release = `${version}:${gitRef} is starting on`;
    expect(printed).toEqual([
      `[AUTH]    Auth service ${release} ${at('auth')}.`,
      `[PROXY]   Web proxy service ${release} ${at('proxy:web')}.`,
      `[NODE]    Service ${release} ${at('node')}.`,
    ]);
    expect(sink.lines).toContain(`info Service ${release} ${at('node')}. {}`);
    expect(components.slice(-3)).toEqual(['auth', 'proxy', 'node']);
    expect(await teleport.waitsFor()).toEqual({ auth: 0, node: 0, 'proxy:web': 0 });
    expect([...teleport.diagnostics()].map(([name, of]) => [name, of])).toContainEqual([
      'node',
      { is: 'node' },
    ]);
    expect(teleport.handOver().map(({ name }) => name)).toEqual(['auth', 'node', 'proxy:web']);
    expect(teleport.health().status).toBe('ok');
    expect(stage.resolver).toEqual([]);
    await teleport.stop(7, 'none');
    expect(events.slice(3)).toEqual([
      'node stops 7 none listening',
      'proxy stops 7 none listening',
      'auth stops 7 none listening',
    ]);
    expect(stage.resolver).toEqual(['closed']);
  });

  it('accept nobody any more from the moment on that another process serves', async () => {
    const { teleport, events } = await begin();
    await teleport.serving;
    await teleport.stop(7, 'succeeded');
    expect(events.slice(2).sort()).toEqual(['auth stops 7 succeeded deaf', 'node stops 7 succeeded deaf']);
  });

  it('that cannot start are said to have failed with the reason, and leave nothing open', async () => {
    const { teleport, events, printed } = await begin({
      fails: new Error('the port is in use'),
      diagnostics: true,
    });
    await expect(teleport.serving).rejects.toThrow('the port is in use');
    expect(events.slice(2)).toEqual(['auth stops 0 none listening']);
    expect(printed).toEqual([]);
    expect([[...teleport.addresses()], stage.resolver]).toEqual([[], ['closed']]);
  });

  it('wait for what they say, which is told at each change and no more often', async () => {
    const { teleport, parts, waits } = await begin();
    const { waitsFor } = parts();
    waitsFor('node', undefined);
    for (const text of ['no route', 'no route', 'no token', undefined]) waitsFor('node', text);
    expect(waits).toEqual([[['node', 'no route']], [['node', 'no token']], []]);
    await teleport.serving;
  });

  it('are held at the turnstile until they may go on', async () => {
    const { teleport, parts } = await begin();
    const letGoOn = teleport.hold();
    let passed = false;
    const passing = parts()
      .turnstile.pass(new AbortController().signal)
      .then(() => {
        passed = true;
      });
    await teleport.serving;
    expect(passed).toBe(false);
    letGoOn();
    await passing;
  });

  it('are given what they are made of', async () => {
    const { parts, sink } = await begin();
    expect(parts()).toMatchObject({
      programPath: ['own'],
      hostId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toEqual([]);
    stage.slow = 'packets are encrypted slowly here';
    const slow = await begin();
    expect(slow.sink.lines).toContain('warn packets are encrypted slowly here {}');
  });
});

describe('the health of a process', () => {
  it('lacks what its log cannot write, also at its diagnostics address', async () => {
    const log: { trouble: string | undefined } = { trouble: undefined };
    const { teleport } = await begin({ diagnostics: true, trouble: () => log.trouble });
    await teleport.serving;
    expect((await readyz(teleport)).status).toBe(200);
    expect((await readyz(teleport, 'metrics')).text).toMatch(
      /log_output_failing 0\n[^]*log_lines_dropped 3\n/,
    );
    log.trouble = 'the disk is full';
    expect(teleport.health()).toMatchObject({ status: 'degraded', reasons: ['log: the disk is full'] });
    expect((await readyz(teleport)).text).toContain('log: the disk is full');
    expect((await readyz(teleport, 'metrics')).text).toMatch(/log_output_failing 1\n/);
    await teleport.stop(0, 'none');
    expect(teleport.addresses().has('diag')).toBe(false);
  });

  it('has no diagnostics where they are not asked for, nor counts of a log that it was not given', async () => {
    const { teleport } = await begin();
    await teleport.serving;
    expect(teleport.addresses().has('diag')).toBe(false);
    expect(teleport.health().status).toBe('ok');
  });
});
