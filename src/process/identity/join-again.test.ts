import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Joining, JoinTrust } from '../../api/join-client.ts';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { replaceableIdentity } from '../../pki/current-identity.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { testAuthority } from '../testing.ts';
import { identityPath, loadIdentity, saveIdentity } from './identity-store.ts';
import { joinAgain, type Refusal } from './join-again.ts';

const now = '2026-01-01T00:00:00.000Z';
const hostId = '11111111-2222-4333-8444-555555555555';
const old = testAuthority('example', now);
const cluster = testAuthority('example', now);
const server = { host: '10.0.0.1', port: 3025 };
const refusal: Refusal = { by: 'own-cluster', servers: [server], why: '10.0.0.1:3025: its key left' };
const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

/** @param outcomes what each attempt meets; the last one goes on. */
function rig({
  token = 'first-token',
  outcomes = [],
}: {
  readonly token?: string | undefined;
  readonly outcomes?: (Error | HostIdentity)[];
} = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'join-again-'));
  dirs.push(dataDir);
  const file = join(dataDir, 'token');
  writeFileSync(file, token);
  const held = old.issue({ hostId, role: 'Node' });
  saveIdentity(dataDir, held);
  const identity = replaceableIdentity(held);
  const attempts: { trust: JoinTrust; joining: Joining; token: string }[] = [];
  const sink = recordingSink();
  const world = fakeWorld(now);
  const joining = joinAgain({
    ...{ dataDir, identity, sink, world },
    settings: {
      ...{ authServers: [server], pins: [], kind: 'either', given: [] },
      token: token === '' ? undefined : file,
    },
    names: { nodename: 'host', additionalPrincipals: ['web'] },
    pass: () => Promise.resolve(),
    joinCluster: (trust, machine) => {
      attempts.push({ trust, joining: machine, token: machine.token() });
      const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0];
      if (outcome instanceof Error) return Promise.reject(outcome);
      return Promise.resolve(
        outcome ?? cluster.issue({ hostId, role: 'Node', key: machine.key, names: ['web', 'host'] }),
      );
    },
  });
  const putToken = (text: string): void => {
    writeFileSync(file, text);
  };
  return { ...{ dataDir, held, identity, attempts, sink, joining, putToken, world } };
}

describe('a service whose identity is refused', () => {
  it('joins again by its token at the servers it knows, and keeps the old identity beside the new one', async () => {
    const { dataDir, held, identity, attempts, sink, joining } = rig();
    expect(await joining.refused(refusal)).toBeUndefined();
    expect(attempts).toHaveLength(1);
    expect(attempts[0]).toMatchObject({
      token: 'first-token',
      trust: { servers: [server], known: held.tlsCasPem },
      joining: { hostId, role: 'Node', nodename: 'host', additionalPrincipals: ['web'] },
    });
    expect(identity.current().tlsCasPem).toEqual([cluster.pem]);
    expect(identity.server()).toBe(identity.current());
    expect(loadIdentity(dataDir, 'Node')).toEqual(identity.current());
    const aside = readdirSync(join(dataDir, 'proc')).filter((name) => name.includes('.refused-'));
    expect(aside).toEqual(['node.identity.json.refused-2026-01-01T00-00-00.000Z']);
    expect(sink.lines.join()).toMatch(/warn.*joined again as Node .*old identity is kept.*its key left/);
  });

  it('tries a token that is refused once, says what to do, and tries the next one', async () => {
    const expired = new CodedError('access_denied', 'the token expired');
    const { attempts, joining, putToken } = rig({ outcomes: [expired] });
    for (let n = 0; n < 3; n++) {
      const left = await joining.refused(refusal);
      expect(left).toMatch(/the token expired.*tctl tokens add --type=node.*auth_token.*SIGHUP/);
    }
    expect(attempts).toHaveLength(1);
    putToken('second-token');
    await joining.refused(refusal);
    expect(attempts.map(({ token }) => token)).toEqual(['first-token', 'second-token']);
  });

  it('tries again, with the same key, what may pass by itself', async () => {
    const { attempts, joining, identity } = rig({
      outcomes: [
        new CodedError('unavailable', 'no answer'),
        new CodedError('no_space', 'the disk is full'),
        cluster.issue({ hostId, role: 'Node' }),
      ],
    });
    expect(await joining.refused(refusal)).toMatch(/\(no answer\); it tries again by itself/);
    expect(await joining.refused(refusal)).toMatch(/\(the disk is full\); it tries again by itself/);
    expect(await joining.refused(refusal)).toBeUndefined();
    expect(identity.current().tlsCasPem).toEqual([cluster.pem]);
    expect(new Set(attempts.map(({ joining: { key } }) => key)).size).toBe(1);
  });

  it('asks for no certificate again and again where what it got is refused as well', async () => {
    const { attempts, joining, world } = rig();
    expect(await joining.refused(refusal)).toBeUndefined();
    expect(await joining.refused(refusal)).toMatch(/what it then got for its token is refused as well/);
    expect(attempts).toHaveLength(1);
    joining.admitted();
    world.advance(1);
    expect(await joining.refused(refusal)).toBeUndefined();
  });

  it('says what to do where it has no token, and where it does not know who answers, and sends nothing', async () => {
    const none = rig({ token: '' });
    expect(await none.joining.refused(refusal)).toMatch(/has no token .*tctl tokens add --type=node.*SIGHUP/);
    const other = rig();
    const stranger = await other.joining.refused({ ...refusal, by: 'stranger' });
    expect(stranger).toMatch(/token was not sent there.*ca_pin.*tctl status.*auth_token/);
    expect([...none.attempts, ...other.attempts]).toEqual([]);
  });

  it('enters no other cluster', async () => {
    const elsewhere = testAuthority('other', now).issue({ hostId, role: 'Node' });
    const { joining, identity, held } = rig({ outcomes: [elsewhere] });
    expect(await joining.refused(refusal)).toContain('is of the cluster "other"');
    expect(identity.current()).toBe(held);
  });

  it('takes what another process of its data directory got, and keeps what is refused though its file is gone', async () => {
    const { dataDir, identity, attempts, joining } = rig();
    const other = cluster.issue({ hostId, role: 'Node' });
    saveIdentity(dataDir, other);
    expect(await joining.refused(refusal)).toBeUndefined();
    expect(identity.current()).toEqual(other);
    expect(attempts).toEqual([]);
    rmSync(identityPath(dataDir, 'Node'));
    expect(await joining.refused(refusal)).toBeUndefined();
    expect(readdirSync(join(dataDir, 'proc')).join()).toContain('.refused-');
  });
});
