/**
 * Two auth servers whose clocks go wrong, and what must be true whatever they show. For
 * `wrong-clocks.test.ts`.
 */
import { expect } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { isCoded } from '../base/errors.ts';
import { minute, plusMs, second } from '../base/time.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { memoryLog } from '../log/memory-log.ts';
import { parseCertificate } from '../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { lifeIdOf } from '../pki/user-certificate.ts';
import { userStandingOf } from '../views/user-life.ts';
import { createToken } from './token/create-token.ts';
import { deleteToken } from './token/delete-token.ts';
import { deleteUser } from './user/delete-user.ts';
import { heartbeat } from './host/heartbeat.ts';
import { joinHost } from './host/join-host.ts';
import { listHosts } from './host/list-hosts.ts';
import { listTokens } from './token/list-tokens.ts';
import { listUsers } from './user/list-users.ts';
import { searchAudit } from './audit/search-audit.ts';
import {
  addUser,
  adminCall,
  callOf,
  hostCall,
  newKeyLine,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from './testing.ts';

const start = '2026-01-01T00:00:00.000Z';
const ttl = { tokenMs: 10 * minute, hostMs: 10 * minute, lockMs: 20 * minute, failureMs: 30 * minute };

interface ModelToken {
  readonly token: string;
  readonly tokenId: string;
  readonly bornMs: number;
  deleted: boolean;
}
interface Issued {
  readonly life: number;
  readonly lifeId: string;
  readonly validFromMs: number;
}

export class WrongClocks {
  readonly servers: readonly TestAuth[];
  readonly #log: ClusterLog;
  readonly #skews: number[];
  readonly #truth: { ms: number };
  #tokens: ModelToken[] = [];
  #hosts = new Map<number, number>();
  #issued: Issued[] = [];
  #life = 0;
  #exists = false;
  #failures: number[] = [];
  #lockedMs: number | undefined;
  #count = 0;

  private constructor(log: ClusterLog, servers: TestAuth[], skews: number[], truth: { ms: number }) {
    this.#log = log;
    this.servers = servers;
    this.#skews = skews;
    this.#truth = truth;
  }

  static async open(): Promise<WrongClocks> {
    const truth = { ms: 0 };
    const skews = [0, 0];
    const log = memoryLog({ world: { ...fakeWorld(), now: () => plusMs(start, truth.ms) } });
    const servers: TestAuth[] = [];
    for (const i of [0, 1]) {
      const ids = fakeWorld();
      const now = (): string => plusMs(start, truth.ms + (skews[i] ?? 0));
      const hostId = `00000000-0000-4000-8000-0000000000a${i}`;
      // Ids of the two must differ.
      const uuid = (): string => ids.uuid().replace(/^0/, String(i + 1));
      const randomBytes = (n: number): Uint8Array => Buffer.from(ids.randomBytes(n)).fill(i + 1, 0, 1);
      const world = { ...ids, uuid, randomBytes, now, advance: () => undefined };
      servers.push(
        await openTestAuth({
          log,
          world,
          hostId,
          nodename: `auth-${i}`,
          secondFactor: 'off',
          ageing: () => truth.ms,
        }),
      );
    }
    return new WrongClocks(log, servers, skews, truth);
  }

  async close(): Promise<void> {
    for (const server of this.servers) await server.close();
    await this.#log.close();
  }

  pass(ms: number): void {
    this.#truth.ms += ms;
  }

  setClock(server: number, skewMs: number): void {
    this.#skews[server] = skewMs;
  }

  async createToken(server: TestAuth): Promise<void> {
    const { token, tokenId } = await createToken(server.deps, adminCall, {
      roles: ['Node'],
      ttlSeconds: 600,
    });
    this.#tokens.push({ token, tokenId, bornMs: this.#truth.ms, deleted: false });
  }

  async joinWith(server: TestAuth, pick: number): Promise<void> {
    const one = this.#tokens[pick % Math.max(1, this.#tokens.length)];
    if (one === undefined) return;
    const n = ++this.#count;
    const call = callOf({ kind: 'anyone', address: `10.${n >> 8}.${n & 255}.1:1` });
    const joined = joinHost(server.deps, call, {
      hostId: `00000000-0000-4000-8000-0000001${n.toString(16).padStart(5, '0')}`,
      nodename: `joined-${n}`,
      role: 'Node',
      token: one.token,
      publicKey: newKeyLine(),
      additionalPrincipals: [],
      sentAt: server.world.now(),
    });
    expect(await wasAdmitted(joined)).toBe(this.#isLive(one));
  }

  async deleteToken(server: TestAuth, pick: number): Promise<void> {
    const one = this.#tokens[pick % Math.max(1, this.#tokens.length)];
    if (one === undefined) return;
    const done = deleteToken(server.deps, adminCall, { token: one.tokenId }).then(
      () => true,
      (e: unknown) => {
        if (!isCoded(e, 'not_found')) throw e;
        return false;
      },
    );
    expect(await done).toBe(this.#isLive(one));
    one.deleted = true;
  }

  async toggleUser(server: TestAuth): Promise<void> {
    if (this.#exists) {
      await deleteUser(server.deps, adminCall, { username: 'joe' });
      this.#exists = false;
      return;
    }
    await addUser(server, 'joe', 'correct horse');
    this.#exists = true;
    this.#life++;
    this.#failures = [];
    this.#lockedMs = undefined;
  }

  async logIn(server: TestAuth, right: boolean): Promise<void> {
    const { ms } = this.#truth;
    const locked = this.#isLocked();
    const attempt = tryLogin(server, {
      username: 'joe',
      password: right ? 'correct horse' : 'wrong horse',
      clientAddress: '192.0.2.77:1',
    });
    expect(await wasAdmitted(attempt)).toBe(right && this.#exists && !locked);
    if (!this.#exists || locked) return;
    if (right) {
      this.#failures = [];
      this.#lockedMs = undefined;
      const certificate = parseCertificate(fromAuthorizedKeyLine((await attempt).sshCertificate));
      const validFromMs = Number(certificate.validAfter) * second;
      this.#issued.push({ life: this.#life, lifeId: lifeIdOf(certificate), validFromMs });
      return;
    }
    this.#failures = [...this.#failures.slice(-4), ms];
    if (this.#failures.filter((at) => ms - at < ttl.failureMs).length < 5) return;
    this.#lockedMs = ms;
    this.#failures = [];
  }

  async beat(server: TestAuth, n: number): Promise<void> {
    const hostId = `00000000-0000-4000-8000-0000000000b${n}`;
    const rest = { address: '', publicAddress: '', sshPublicAddress: '', labels: {}, version: '' };
    const host = { hostId, role: 'Node' as const, nodename: `node-${n}`, ...rest };
    await heartbeat(server.deps, hostCall('Node', hostId), { host, ttlSeconds: 600 });
    await server.deps.presence.flush();
    this.#hosts.set(n, this.#truth.ms);
  }

  /** What each server reports and decides now is true. */
  async check(): Promise<void> {
    for (const { deps } of this.servers) {
      await deps.views.fresh();
      await deps.views.presence.reached(await this.#log.presence.head());
    }
    const { ms } = this.#truth;
    const live = this.#tokens.filter((one) => this.#isLive(one)).map(({ tokenId }) => tokenId);
    const alive = [...this.#hosts].filter(([, at]) => ms - at < ttl.hostMs).map(([n]) => `node-${n}`);
    for (const { deps } of this.servers) {
      const { tokens } = await listTokens(deps, adminCall, {});
      expect(tokens.map(({ tokenId }) => tokenId).sort()).toEqual(live.sort());
      const { hosts } = await listHosts(deps, adminCall, { role: 'Node', labels: {} });
      expect(hosts.map(({ nodename }) => nodename).sort()).toEqual(alive.sort());
      const { users } = await listUsers(deps, adminCall, {});
      expect(users.map(({ lock }) => lock.status)).toEqual(
        this.#exists ? [this.#isLocked() ? 'locked' : 'active'] : [],
      );
      for (const one of this.#issued) this.#checkStanding(deps.views.users.state(), one);
    }
  }

  /** A search for everything until now returns all that was ever done. */
  async checkAudit(expected: number): Promise<void> {
    const { deps, world } = this.servers[0] ?? expect.fail('no server');
    const to = world.now();
    const found = await searchAudit(deps, adminCall, {
      from: '2000-01-01T00:00:00.000Z',
      to,
      types: ['join_token.create'],
      user: '',
      limit: 10_000,
    });
    expect(found.events).toHaveLength(expected);
  }

  get tokensMade(): number {
    return this.#tokens.length;
  }

  #checkStanding(users: Parameters<typeof userStandingOf>[0], one: Issued): void {
    const wanted = !this.#exists ? 'absent' : one.life === this.#life ? 'present' : 'of_earlier';
    const { lifeId, validFromMs } = one;
    expect(userStandingOf(users, { username: 'joe', lifeId, validFromMs }).status).toBe(wanted);
  }

  #isLive = ({ deleted, bornMs }: ModelToken): boolean => !deleted && this.#truth.ms - bornMs < ttl.tokenMs;

  #isLocked = (): boolean =>
    this.#exists && this.#lockedMs !== undefined && this.#truth.ms - this.#lockedMs < ttl.lockMs;
}

async function wasAdmitted(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt;
    return true;
  } catch (e) {
    if (!isCoded(e, 'access_denied')) throw e;
    return false;
  }
}
