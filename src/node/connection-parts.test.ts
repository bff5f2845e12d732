import type { Duplex } from 'node:stream';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { ForwardOpen, SshConnection } from '../ssh/cert-server.ts';
import type { Grant } from './access-request.ts';
import type { PortForwardDeps } from './port-forward.ts';
import { ServedConnection } from './served-connection.ts';
import type { NodeContext } from './session-context.ts';
import { testAudit, testSubject } from './testing.ts';

/** What a connection gave to those who serve its parts. */
interface Parts {
  openAgent: () => Promise<unknown>;
  closeAgent: () => Promise<void>;
  readonly forwards: PortForwardDeps[];
  forward: () => Promise<void>;
}
const parts = vi.hoisted((): Parts => ({
  openAgent: () => Promise.reject(new Error('none')),
  closeAgent: () => Promise.resolve(),
  forwards: [],
  forward: () => Promise.resolve(),
}));
vi.mock(import('./agent-socket.ts'), () => ({
  ConnectionAgent: class {
    constructor(openAgent: () => Promise<Duplex>) {
      parts.openAgent = openAgent;
    }
    close(): Promise<void> {
      return parts.closeAgent();
    }
  } as never,
}));
vi.mock(import('./port-forward.ts'), () => ({
  forwardPort: (deps) => {
    parts.forwards.push(deps);
    return parts.forward();
  },
}));
vi.mock(import('./login-account.ts'), () => ({
  loginAccount: (_context, { login }) => Promise.resolve({ name: login } as never),
}));
beforeEach(() => {
  parts.closeAgent = () => Promise.resolve();
  parts.forward = () => Promise.resolve();
  parts.forwards.length = 0;
});

const grantOf = (wish: Partial<Grant['options']> = {}): Grant => ({
  ...{ roles: [], traits: {} },
  ...{ username: 'ann', login: 'joe' },
  options: {
    ...{ forwardAgent: true, portForwarding: true, disconnectExpiredCert: false, enterOnFullDisk: false },
    ...{ clientIdleTimeoutSeconds: 0, maxSessions: 0, recordSession: 'usual', ...wish },
  },
});
function served(permits: Partial<SshConnection['permits']> = {}) {
  const test = testAudit();
  const closed = Promise.withResolvers<undefined>();
  let grant = grantOf();
  const stop = new AbortController();
  const lookUpName = (): Promise<string[]> => Promise.resolve([]);
  const libc = { status: 'unavailable', reason: 'a test' } as const;
  const one = new ServedConnection({
    context: { ...test, stop: stop.signal, lookUpName, libc } as unknown as NodeContext,
    connection: {
      ...{ peer: testSubject.peer, closed: closed.promise, certificate: { validBefore: 0n } },
      permits: {
        pty: true,
        portForwarding: true,
        agentForwarding: true,
        forceCommand: undefined,
        ...permits,
      },
      openAgent: () => Promise.resolve('the agent' as never),
    } as unknown as SshConnection,
    decide: () => grant,
    grant,
    lastWords: { onConnection: () => undefined, onSession: () => undefined },
  });
  const become = (options: Partial<Grant['options']>): void => {
    grant = grantOf(options);
    one.reconsider();
  };
  const leave = (): void => {
    closed.resolve(undefined);
  };
  return { one, test, become, leave, stop, lookUpName, libc };
}
const forward = ({ one }: ReturnType<typeof served>): PortForwardDeps => {
  one.handlers.forward?.({ target: { host: 'db', port: 1 } } as ForwardOpen);
  return parts.forwards.at(-1) ?? expect.unreachable('nothing is forwarded');
};

describe('the agent of a connection', () => {
  it('is opened so long as it may be lent: a program that holds the socket gets no other', async () => {
    const made = served();
    expect(await parts.openAgent()).toBe('the agent');
    made.become({ forwardAgent: false });
    await expect(parts.openAgent()).rejects.toMatchObject({
      ...{ code: 'access_denied', message: 'the agent may no longer be forwarded' },
    });
    served({ agentForwarding: false });
    await expect(parts.openAgent()).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('whose socket cannot be removed keeps nobody from leaving, and the log says so', async () => {
    const { one, test, leave } = served();
    parts.closeAgent = () => Promise.reject(new Error('EROFS'));
    leave();
    await one.ended;
    expect(test.sink.lines).toEqual(['warn the socket of an agent could not be removed {"reason":"EROFS"}']);
  });
});

describe('a forwarded port', () => {
  it('is allowed where certificate and roles allow it, when it is asked for', () => {
    const made = served();
    const deps = forward(made);
    expect(deps.refusal()).toBeUndefined();
    made.become({ portForwarding: false });
    expect(deps.refusal()).toBe('port forwarding not allowed');
    expect(forward(served({ portForwarding: false })).refusal()).toBe('port forwarding not allowed');
  });

  it('is dialled as the login, with what the node has, and ends with its connection', async () => {
    const made = served();
    const deps = forward(made);
    expect(await deps.account()).toEqual({ name: 'joe' });
    expect(deps).toMatchObject({
      ...{ audit: made.test.audit, libc: made.libc, lookUpName: made.lookUpName, stop: made.stop.signal },
      subject: { username: 'ann', login: 'joe', peer: testSubject.peer },
    });
    expect(deps.left.aborted).toBe(false);
    made.leave();
    await made.one.ended;
    expect(deps.left.aborted).toBe(true);
  });

  it('counts while it is open, and is waited for', async () => {
    const made = served();
    const open = Promise.withResolvers<undefined>();
    parts.forward = () => open.promise;
    forward(made);
    expect(made.one.report()).toMatchObject({ sessions: 0, forwards: 1 });
    made.leave();
    let over = false;
    void made.one.ended.then(() => (over = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(over).toBe(false);
    open.resolve(undefined);
    await made.one.ended;
    expect(made.one.report()).toMatchObject({ forwards: 0 });
  });

  it('that fails where nothing is to fail is told to the log, and ends', async () => {
    const made = served();
    parts.forward = () => Promise.reject(new TypeError('x is undefined'));
    forward(made);
    await new Promise((resolve) => setImmediate(resolve));
    expect(made.test.sink.lines).toEqual([
      expect.stringMatching(/^error a forwarded port failed \{"reason":"x is undefined","stack":"TypeError/),
    ]);
    expect(made.one.report()).toMatchObject({ forwards: 0 });
  });
});

it('whoever is on a full disk is let in by what the roles say now', () => {
  const made = served();
  const { subject } = forward(made);
  expect(subject.mayEnterOnFullDisk()).toBe(false);
  made.become({ enterOnFullDisk: true });
  expect(subject.mayEnterOnFullDisk()).toBe(true);
});
