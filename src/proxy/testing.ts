import type { AuthClient } from '../api/client.ts';
import type { InputOf, Operation, OutputOf } from '../api/operation.ts';
import { fakeWorld, type FakeWorld, recordingSink } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { balancersOf, type RequestSocket } from './client-address.ts';
import type { OpenLink } from './web/open-link.ts';
import { webApp } from './web/web-app.ts';
import type { WebDeps } from './web/web-env.ts';

export const nodeInfo = (hostId: string, nodename: string, address: string): HostInfo => ({
  hostId,
  role: 'Node',
  nodename,
  reachability: { status: 'direct', address },
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
});

/** An invitation of alice. */
export const openLinkFor = (wish: Partial<OpenLink> = {}): OpenLink => ({
  username: 'alice',
  purpose: 'invite',
  secondFactor: 'otp',
  otpUrl: 'otpauth://totp/Teleport:alice@example?secret=JBSWY3DPEHPK3PXP&issuer=Teleport',
  expiresAt: '2026-01-01T01:00:00.000Z',
  ...wish,
});

/** Answers operations by their names, and keeps the calls. */
export interface FakeAuth extends Pick<AuthClient, 'call'> {
  readonly asked: { readonly name: string; readonly input: unknown }[];
  /** `answer` may throw a CodedError to refuse. */
  on<Op extends Operation>(operation: Op, answer: (input: InputOf<Op>) => OutputOf<Op>): void;
}

export function fakeAuth(): FakeAuth {
  const answers = new Map<string, (input: unknown) => unknown>();
  const asked: { name: string; input: unknown }[] = [];
  return {
    asked,
    on: (operation, answer) => {
      answers.set(operation.name, answer as (input: unknown) => unknown);
    },
    call: (operation, input) => {
      asked.push({ name: operation.name, input });
      const answer = answers.get(operation.name);
      if (answer === undefined)
        return Promise.reject(new CodedError('unavailable', `no auth server answers: 10.0.0.5:3025`));
      return new Promise((resolve) => {
        resolve(answer(input) as never);
      });
    },
  };
}

export interface TestWeb {
  readonly auth: FakeAuth;
  readonly world: FakeWorld;
  readonly sink: ReturnType<typeof recordingSink>;
  request(path: string, init?: RequestInit, socket?: Partial<RequestSocket>): Promise<Response>;
}

/** The web half over a fake auth. Requests come over TLS from 192.0.2.9 unless `socket` says otherwise. */
export function testWeb(wish: Partial<WebDeps> = {}): TestWeb {
  const auth = fakeAuth();
  const world = fakeWorld();
  const sink = recordingSink();
  const app = webApp({
    auth,
    world,
    sink,
    clusterName: 'example',
    cluster: () => ({ status: 'created', clusterName: 'example', clusterId: '', secondFactor: 'otp' }),
    hostAuthority: () => ({ status: 'absent' }),
    userAuthority: () => ({ status: 'absent' }),
    sshAddress: () => ({ host: '0.0.0.0', port: 3023 }),
    publicAddress: 'proxy.example.com:3080',
    sshPublicAddress: '',
    tunnelAddress: () => undefined,
    tunnelPublicAddress: '',
    balancers: balancersOf([]),
    tlsOnly: true,
    webWays: ['web', 'web-tls', 'web-upgrade'],
    ...wish,
  });
  return {
    auth,
    world,
    sink,
    request: async (path, init = {}, socket = {}) =>
      app.request(path, init, {
        incoming: {
          socket: { remoteAddress: '192.0.2.9', remotePort: 4711, encrypted: true, ...socket },
        },
      }),
  };
}
